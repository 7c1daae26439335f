"""`dativo inspect` and `dativo info` show what Dativo reads of a plugin's dialect off its environment."""

from __future__ import annotations

import json

import pytest

from tests.plugins import tiny

TARGET = {"name": "target-shop", "kind": "target", "capabilities": ["about"]}


def library(shelved, tmp_path, name, version):
    shelved.shelf.wheel(tiny.make(tmp_path / name, name, version=version, scripts=()))


@pytest.mark.parametrize(
    ("code", "drafts", "bounds", "words"),
    [
        ("# jsonschema.Draft4Validator(schema)", [4], "boolean", "draft 4"),
        ("# Draft7Validator", [7], "number", "draft 7"),
        ("# Draft202012Validator, Draft7Validator", [7, 202012], "number", "draft 7 and 2020-12"),
        ("# no validator is named", [], "inclusive", "singer-python 5.8.0, jsonschema 2.6.0\n"),
    ],
)
def test_a_target_of_singer_python(shelved, tmp_path, code, drafts, bounds, words):
    library(shelved, tmp_path, "singer-python", "5.8.0")
    library(shelved, tmp_path, "jsonschema", "2.6.0")
    needs = ("singer-python", "jsonschema")
    shelved.shelf.wheel(tiny.make(tmp_path / "t", "target-shop", about=TARGET, dependencies=needs, more=code))
    shelved.dativo("add", "target-shop").expect()
    found = shelved.dativo("inspect", "target-shop", "--json").expect().json
    assert found["engine"] == "singer"
    dialect = found["dialect"]
    assert dialect["libraries"] == ["singer-python 5.8.0", "jsonschema 2.6.0"]
    assert (dialect["drafts"], dialect["bounds"], len(dialect["rules"])) == (drafts, bounds, 6)
    shown = shelved.dativo("inspect", "target-shop").expect().stdout
    assert words in shown and "adapted    in a SCHEMA, where needed: $schema left out" in shown


def test_a_tap_reads_no_schema_and_info_tells_what_is_here(shelved, tmp_path):
    library(shelved, tmp_path, "singer-python", "6.1.0")
    made = tiny.make(tmp_path / "t", "tap-shop", dependencies=("singer-python",))
    shelved.shelf.wheel(made)
    entry = {"kind": "tap", "package": "tap-shop"}
    index = {"format": 1, "plugins": {"tap-shop": {"variants": {"acme": entry}}}}
    (shelved.folder / "index.json").write_text(json.dumps(index))
    shelved.dativo("registry", "add", "ours", ".").expect()
    assert "here" not in shelved.dativo("info", "tap-shop").expect().stdout
    shelved.dativo("add", "tap-shop").expect()
    assert (
        "here      tap-shop 1.0 · speaks Singer with singer-python 6.1.0" in shelved.dativo("info", "tap-shop").stdout
    )
    (here,) = shelved.dativo("info", "tap-shop", "--json").expect().json["installed"]
    assert here["dialect"]["rules"] == [] and here["name"] == "tap-shop"
    assert "adapted" not in shelved.dativo("inspect", "tap-shop").expect().stdout
