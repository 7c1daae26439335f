"""Taps that die of a catalog, and taps that look for the selection where nobody writes it any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workspace import Answer, Workspace, unique

TAP = """#!/usr/bin/env python3
import json, sys
ABOUT, KEEPS_TO = {about!r}, {keeps_to!r}
SCHEMA = {{"type": "object", "properties": {{"id": {{"type": "integer"}}, "of": {{"type": "string"}}}}}}
def value(flag):
    return json.load(open(sys.argv[sys.argv.index(flag) + 1])) if flag in sys.argv else None
if "--about" in sys.argv:
    print(json.dumps(ABOUT)) if ABOUT else sys.exit(2)
    sys.exit(0)
if "--help" in sys.argv:
    print("usage: [--config FILE] [--state FILE] [--catalog FILE] [--discover]")
    sys.exit(0)
SAID = {metadata!r}
found = [{{"tap_stream_id": one, "stream": one, "schema": SCHEMA, **(SAID.get(one) or {{}})}} for one in "ab"]
if "--discover" in sys.argv:
    print(json.dumps({{"streams": found}}))
    sys.exit(0)
catalog = value("--catalog")
if KEEPS_TO == "no catalog" and catalog:
    sys.exit("AttributeError: property 'primary_keys' has no setter")
if KEEPS_TO == "schema":  # as singer-python's is_selected had it before there was metadata
    found = [one for one in catalog["streams"] if one["schema"].get("selected")]
for one in found:
    kept = [k for k, v in one["schema"]["properties"].items() if KEEPS_TO != "schema" or v.get("selected")]
    print(json.dumps({{"type": "SCHEMA", "stream": one["stream"], "schema": SCHEMA, "key_properties": []}}))
    row = {{k: v for k, v in {{"id": 1, "of": one["stream"]}}.items() if k in kept}}
    print(json.dumps({{"type": "RECORD", "stream": one["stream"], "record": row}}))
print(json.dumps({{"type": "STATE", "value": {{"bookmarks": {{}}, "given": bool(catalog)}}}}))
"""
TARGET = """#!/usr/bin/env python3
import json, sys
if "--config" not in sys.argv:
    sys.exit(2)
with open({seen!r}, "w") as seen:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            seen.write(json.dumps(message["record"]) + "\\n")
        if message["type"] == "STATE":
            print(json.dumps(message["value"]), flush=True)
"""
OF_THE_SDK = {
    "name": "tap-chosen",
    "version": "1.0",
    "sdk_version": "0.41.0",
    "capabilities": ["catalog", "discover", "state", "about"],
    "settings": {"type": "object", "properties": {}},
}
CHOSEN = {"metadata": [{"breadcrumb": [], "metadata": {"inclusion": "available", "selected": True}}]}
LEFT_OUT = {"metadata": [{"breadcrumb": [], "metadata": {"inclusion": "available", "selected": False}}]}


class Pair:
    """A tap that keeps to some way of being told, and a target that writes rows to a file."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.seen = workspace, workspace.folder / "seen"

    def having(self, **tap: object) -> Pair:
        """With such a tap."""
        texts = {"tap-chosen": TAP.format(**tap), "target-rows": TARGET.format(seen=str(self.seen))}
        for name, text in texts.items():
            (self.workspace.folder / name).write_text(text)
            (self.workspace.folder / name).chmod(0o755)
            self.workspace.dativo("add", self.workspace.folder / name).expect()
        self.workspace.configure({"target-rows": {"sandbox": {"write": [str(self.workspace.folder)]}}})
        return self

    def run(self, *words: str) -> Answer:
        """One run, as a job of its own."""
        return self.workspace.dativo("run", "tap-chosen", "target-rows", "--job", unique("catalog"), *words)

    def rows(self) -> list[dict[str, object]]:
        """What arrived in the last run."""
        return [json.loads(line) for line in self.seen.read_text().splitlines()]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(Workspace(tmp_path / "project", tmp_path / "home"))


EVERY = [{"id": 1, "of": "a"}, {"id": 1, "of": "b"}]


def test_a_tap_of_the_sdk_is_handed_no_catalog_where_it_would_say_what_the_tap_does_anyway(pair: Pair) -> None:
    pair.having(about=OF_THE_SDK, keeps_to="no catalog", metadata={"a": CHOSEN, "b": CHOSEN})
    pair.run().expect()
    assert pair.rows() == EVERY
    line = "dativo tap-chosen | dativo target-rows"
    pair.workspace.shell(line, job=unique("catalog")).expect()
    assert pair.rows() == EVERY
    assert pair.workspace.dativo("learn", "tap-chosen", "--json").expect().json["records"] == len(EVERY)


@pytest.mark.parametrize("words", [("--stream", "a"), ("--select", "a.*"), ("--parallel", "2")])
def test_whatever_is_chosen_is_told(pair: Pair, words: tuple[str, ...]) -> None:
    pair.having(about=OF_THE_SDK, keeps_to="no catalog", metadata={"a": CHOSEN, "b": CHOSEN})
    assert "has no setter" in pair.run(*words).expect(1).stderr


def test_a_stream_that_the_tap_would_leave_out_is_told_to_come(pair: Pair) -> None:
    pair.having(about=OF_THE_SDK, keeps_to="no catalog", metadata={"a": CHOSEN, "b": LEFT_OUT})
    assert "has no setter" in pair.run().expect(1).stderr


def test_metadata_of_dativo_yml_is_told(pair: Pair) -> None:
    pair.having(about=OF_THE_SDK, keeps_to="no catalog", metadata={"a": CHOSEN, "b": CHOSEN})
    pair.workspace.configure({"tap-chosen": {"metadata": {"a": {"replication-method": "FULL_TABLE"}}}})
    assert "has no setter" in pair.run().expect(1).stderr


def test_a_tap_without_metadata_finds_the_selection_in_the_schema(pair: Pair) -> None:
    pair.having(about=None, keeps_to="schema", metadata={})
    pair.run().expect()
    assert pair.rows() == EVERY
    pair.run("--select", "a.id").expect()
    assert pair.rows() == [{"id": 1}]
    pair.run("--stream", "b").expect()
    assert pair.rows() == [{"id": 1, "of": "b"}]
    pair.run("--parallel", "2").expect()
    assert sorted(pair.rows(), key=str) == EVERY
