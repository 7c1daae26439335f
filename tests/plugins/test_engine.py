"""One connector, several engines: added beside each other, chosen at run time, each with a bookmark of its own."""

from __future__ import annotations

import json

import pytest

from dativo.plugins.registry import connector
from dativo.plugins.registry.connector import Connector
from tests.plugins import tiny

TAP = """else:
        given = dict(zip(sys.argv, sys.argv[1:]))
        state = json.load(open(given["--state"])) if "--state" in given else None
        schema = {"type": "object", "properties": {"by": {"type": "string"}, "after": {}}}
        config = json.load(open(given["--config"]))
        row = {"by": WHO + config.get("mark", ""), "after": state}
        print(json.dumps({"type": "SCHEMA", "stream": "orders", "key_properties": [], "schema": schema}))
        print(json.dumps({"type": "RECORD", "stream": "orders", "record": row}))
        print(json.dumps({"type": "STATE", "value": {"bookmarks": {"orders": {WHO: 1}}}}))
"""


TARGET = """#!/usr/bin/env python3
import json, sys
if "--about" in sys.argv:
    settings = {"type": "object", "properties": {"path": {"type": "string"}}}
    print(json.dumps({"name": "target-kept", "kind": "target", "sandbox": {"write": ["{config:path}"]},
                      "settings": settings, "capabilities": []}))
    sys.exit()
with open(json.load(open(sys.argv[sys.argv.index("--config") + 1]))["path"], "a") as out:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            out.write(line)
        if message["type"] == "STATE":
            out.flush()
            print(json.dumps(message["value"]), flush=True)
"""


def shop(who: str) -> str:
    return TAP.replace("WHO", repr(who))


@pytest.fixture
def work(shelved, tmp_path):
    """A registry that has tap-shop as native (acme) and as singer (globex), and a target that writes what it reads."""
    settings = {"type": "object", "properties": {"mark": {"type": "string"}, "engine": {"type": "string"}}}
    about = {"name": "tap-shop", "capabilities": ["catalog", "state"], "kind": "tap", "settings": settings}
    variants = {}
    for who, engine in (("acme", "native"), ("globex", "singer")):
        name = f"{who}-tap-shop"
        shelved.shelf.wheel(tiny.make(tmp_path / name, name, about=about, more=shop(who)))
        variants[who] = {"kind": "tap", "package": name, "executable": name, "engines": [engine]}
    hub = {"kind": "tap", "package": "airbyte-source-shop", "engines": ["airbyte"], "executable": "source-shop"}
    index = {"tap-shop": {"default": "acme", "variants": variants}, "source-shop": {"variants": {"hub": hub}}}
    (shelved.folder / "registry").mkdir()
    (shelved.folder / "registry/index.json").write_text(json.dumps({"format": 1, "plugins": index}))
    shelved.dativo("registry", "add", "ours", "registry").expect()
    (shelved.folder / "target-kept").write_text(TARGET)
    (shelved.folder / "target-kept").chmod(0o755)
    (shelved.folder / "out.txt").touch()
    shelved.dativo("add", "./target-kept").expect()
    shelved.configure({"target-kept": {"config": {"path": str(shelved.folder / "out.txt")}}})
    return shelved


@pytest.fixture
def both(work):
    work.dativo("add", "tap-shop").expect()
    work.dativo("add", "tap-shop", "--engine", "singer").expect()
    return work


def rows(work):
    return [json.loads(line)["record"] for line in (work.folder / "out.txt").read_text().splitlines()]


def write(work, **job):
    work.configure({})  # as JSON, whatever edited it
    file = work.folder / "dativo.yml"
    project = json.loads(file.read_text())
    project["jobs"] = {"shop": {"steps": ["tap-shop", "target-kept"], **job}}
    file.write_text(json.dumps(project))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tap-postgres", Connector("tap", "postgres")),
        ("meltanolabs-tap-postgres", Connector("tap", "postgres")),
        ("airbyte-source-google-drive", Connector("tap", "google-drive")),
        ("z3-target-bigquery", Connector("target", "bigquery")),
        ("destination_duckdb", Connector("target", "duckdb")),
        ("tap-rest-api-msdk", Connector("tap", "rest-api-msdk")),
        ("tap-target-stitch", Connector("tap", "target-stitch")),
        ("meltano-map-transform", None),
        ("tap-", None),
    ],
)
def test_the_connector_of_a_name(name, found):
    assert connector.of_name(name) == found


def test_a_second_engine_gets_a_name_of_its_own(work):
    work.dativo("add", "tap-shop").expect()
    added = work.dativo("add", "tap-shop", "--engine", "singer").expect()
    assert "tap-shop is acme-tap-shop (native) here, so this one is called globex-tap-shop" in added.stderr
    work.dativo("add", "tap-shop", "--engine", "singer").expect()  # again: the same one
    listed = {one["name"]: one["engine"] for one in work.dativo("list", "--json").expect().json}
    assert listed == {"tap-shop": "native", "globex-tap-shop": "singer", "target-kept": "singer"}
    lock = (work.folder / "dativo.lock").read_text()
    assert lock.count("engine = ") == 1 and 'engine = "native"' in lock
    assert "nothing to install" in work.dativo("sync", "--frozen").expect().stdout
    assert "error[plugin.engine]" in work.dativo("add", "tap-shop", "--engine", "warp").expect(2).stderr


def test_what_the_declaration_says_is_what_sync_installs(work):
    work.dativo("add", "tap-shop", "--engine", "singer").expect()
    before = (work.folder / "dativo.lock").read_text()
    (work.folder / "dativo.lock").unlink()
    work.dativo("sync").expect()
    assert (work.folder / "dativo.lock").read_text() == before and "globex-tap-shop" in before


def test_the_engine_of_a_run(both):
    both.dativo("run", "tap-shop", "target-kept").expect()
    ran = both.dativo("run", "tap-shop", "target-kept", "--engine", "singer").expect()
    assert "job globex-tap-shop-to-target-kept" in ran.stderr
    assert rows(both)[-1] == {"by": "globex", "after": None}
    both.dativo("run", "tap-shop", "target-kept", "--engine", "tap-shop=singer").expect()
    assert rows(both)[-1] == {"by": "globex", "after": {"bookmarks": {"orders": {"globex": 1}}}}
    both.dativo("run", "tap-shop", "target-kept", "--engine", "native").expect()
    assert rows(both)[-1] == {"by": "acme", "after": {"bookmarks": {"orders": {"acme": 1}}}}


def test_settings_come_from_the_chosen_plugins_own_block(both):
    both.configure({"tap-shop": {"config": {"mark": "-1"}}, "globex-tap-shop": {"config": {"mark": "-2"}}})
    both.dativo("run", "tap-shop", "target-kept", "--engine", "singer").expect()
    assert rows(both)[-1]["by"] == "globex-2"
    write(both, engine="singer", plugins={"tap-shop": {"config": {"mark": "-3"}}})
    both.dativo("run", "shop").expect()
    assert rows(both)[-1]["by"] == "globex-2"  # what the job says of the other engine's settings is not for this one
    write(both, plugins={"tap-shop": {"engine": "singer", "config": {"mark": "-4"}}})
    both.dativo("run", "shop").expect()
    assert rows(both)[-1]["by"] == "globex-4"


def test_the_nearest_word_counts(both):
    write(both, engine="singer", plugins={"tap-shop": {"engine": "native"}})
    both.dativo("run", "shop").expect()
    assert rows(both)[-1]["by"] == "acme"
    both.dativo("run", "shop", "--engine", "singer", "--job", "b").expect()
    assert rows(both)[-1]["by"] == "globex"
    both.dativo("run", "shop", "--engine", "singer", "--engine", "tap-shop=native", "--job", "c").expect()
    assert rows(both)[-1]["by"] == "acme"
    both.configure({"globex-tap-shop": {}, "tap-shop": {"engine": "singer"}})
    both.dativo("run", "tap-shop", "target-kept", "--job", "d").expect()
    assert rows(both)[-1]["by"] == "globex"
    file = both.folder / "job.yml"
    file.write_text("steps: [tap-shop, target-kept]\nengine: native\n")
    both.dativo("run", file).expect()
    assert rows(both)[-1]["by"] == "acme"
    file.write_text("steps: [tap-shop, target-kept]\nengine: warp\n")
    assert "one of native, singer, airbyte is expected" in both.dativo("run", file).expect(2).stderr


def test_the_engine_of_a_side_of_a_pipe(both):
    ran = both.shell("dativo tap-shop --engine singer --mark=! | dativo target-kept").expect()
    assert rows(both)[-1]["by"] == "globex!" and "job globex-tap-shop-to-target-kept" in ran.stderr
    both.shell("dativo tap-shop --engine=native | dativo target-kept").expect()
    assert rows(both)[-1]["by"] == "acme"
    help_text = both.dativo("tap-shop", "--engine", "singer", "--help").expect().stdout
    assert "dativo globex-tap-shop | dativo target" in help_text
    failed = both.shell("dativo tap-shop --engine airbyte | dativo target-kept").expect(2)
    assert "dativo add tap-shop --engine airbyte" in failed.stderr


def test_what_is_not_installed_is_named(work):
    work.dativo("add", "tap-shop").expect()
    told = work.dativo("run", "tap-shop", "target-kept", "--engine", "singer").expect(2).stderr
    assert "tap-shop is native here, and no singer one is installed" in told
    assert "it can be had as singer (globex): dativo add tap-shop --engine singer" in told
    told = work.dativo("run", "tap-shop", "target-kept", "--engine", "tap-shop=airbyte").expect(2).stderr
    assert "airbyte (source-shop): dativo add tap-shop --engine airbyte" in told
    told = work.dativo("run", "tap-shop", "target-kept", "--engine", "tap-shop=warp").expect(2).stderr
    assert "tap-shop has no engine warp" in told
    assert "it has native (acme), singer (globex), airbyte (source-shop)" in told
    told = work.dativo("run", "tap-shop", "target-kept", "--engine", "tap-nothing=singer").expect(2).stderr
    assert "the job's plugins: tap-shop, target-kept" in told
    work.dativo("remove", "tap-shop").expect()
    told = work.dativo("tap-shop", "--engine", "singer").expect(2).stderr
    assert "tap-shop is not installed" in told and "dativo add tap-shop --engine singer" in told


def test_two_of_one_engine_are_not_chosen_between(both):
    both.dativo("add", "globex-tap-shop", "--as", "tap-shop-2").expect()
    told = both.dativo("run", "tap-shop", "target-kept", "--engine", "singer").expect(2).stderr
    assert "tap-shop as singer may be globex-tap-shop and" in told and "tap-shop-2 here" in told
    both.dativo("run", "globex-tap-shop", "target-kept", "--engine", "singer").expect()


def test_a_bookmark_is_not_handed_to_another_engines_tap(both):
    write(both)
    both.dativo("run", "shop").expect()
    mark = both.bookmark("shop")
    refused = both.dativo("run", "shop", "--engine", "singer").expect(2).stderr
    assert "error[state.another_tap]  the bookmark of shop was written by acme-tap-shop (native)" in refused
    assert "--full-refresh" in refused and "--job shop-2" in refused
    assert both.bookmark("shop") == mark and len(rows(both)) == 1
    both.dativo("run", "shop", "--engine", "singer", "--job", "shop-2").expect()
    assert rows(both)[-1] == {"by": "globex", "after": None}
    # in a pipe as well, and whoever runs first
    piped = both.shell("dativo tap-shop --engine singer --job shop | dativo target-kept").expect(2)
    assert "error[state.another_tap]" in piped.stderr and both.bookmark("shop") == mark
    both.shell("dativo tap-shop --job shop | dativo target-kept").expect()
    both.dativo("run", "shop", "--engine", "singer", "--full-refresh").expect()
    assert rows(both)[-1] == {"by": "globex", "after": None}
    assert "state.another_tap" in both.dativo("run", "shop").expect(2).stderr
    # what somebody sets by hand is meant for whoever runs next
    both.dativo("state", "set", "shop", "--yes", '{"bookmarks": {"orders": {"acme": 7}}}').expect()
    both.dativo("run", "shop").expect()
    assert rows(both)[-1] == {"by": "acme", "after": {"bookmarks": {"orders": {"acme": 7}}}}


def test_search_and_info_tell_the_engines(work):
    found = work.dativo("search", "tap-shop", "--json").expect().json[0]
    assert found["name"] == "tap-shop" and found["engines"] == ["native", "singer"]
    some = work.dativo("search", "shop", "--engine", "airbyte", "--json").expect().json
    assert "source-shop" in [one["name"] for one in some] and "tap-shop" not in [one["name"] for one in some]
    assert "engines   native (acme), singer (globex), airbyte (source-shop)" in work.dativo("info", "tap-shop").stdout
    one = work.dativo("info", "tap-shop", "--engine", "singer", "--json").expect().json
    assert one["variant"] == "globex"
    assert [name["name"] for name in one["by_engine"]["airbyte"]] == ["source-shop"]
    system = work.dativo("info", "shop", "--json").expect().json
    assert [(one["name"], one["engines"], one["variant"]) for one in system] == [
        ("tap-shop", ["native"], "acme"),
        ("tap-shop", ["singer"], "globex"),
        ("source-shop", ["airbyte"], "hub"),
    ]
    told = work.dativo("info", "tap-csv", "--engine", "singer").expect(2).stderr
    assert "tap-csv has no engine singer" in told and "it has native (dativo)" in told


def test_a_system_is_no_plugin(work):
    told = work.dativo("add", "postgres").expect(2).stderr
    assert "postgres is a system, no plugin" in told and "dativo add tap-postgres or dativo add target-postgres" in told


def test_a_lock_from_before_there_were_engines(work):
    work.dativo("add", "tap-shop").expect()
    lock = work.folder / "dativo.lock"
    lock.write_text(lock.read_text().replace('engine = "native"\n', ""))
    listed = {one["name"]: one["engine"] for one in work.dativo("list", "--json").expect().json}
    assert listed["tap-shop"] == "singer"  # of others nobody knows; ours are known by their package
