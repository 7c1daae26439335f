"""A SCHEMA as its reader understands it, streams under other names, and BATCH for targets that take none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.workspace import Workspace, unique

TAP = """#!/bin/sh
case "$*" in *--about*|*--help*) exit 2;; esac
exec cat {lines}
"""
TARGET = """#!/usr/bin/env python3
import json, sys  # {draft}
if "--config" not in sys.argv:
    sys.exit(2)
with open({seen!r}, "w") as seen:
    for line in sys.stdin:
        seen.write(line)
        message = json.loads(line)
        if message["type"] == "BATCH":
            sys.exit("a BATCH")
        if message["type"] == "STATE":
            print(json.dumps(message["value"]), flush=True)
"""
PIPELINEWISE = {"type": ["null", "number"], "exclusiveMaximum": True, "maximum": 100, "multipleOf": 0.01}
SDK = {"type": ["null", "integer"], "exclusiveMinimum": 0}


class Pair:
    """A tap that prints lines and a target that keeps what it reads."""

    def __init__(self, workspace: Workspace, draft: str = "") -> None:
        self.workspace, self.folder = workspace, workspace.folder
        self.lines, self.seen, self.files = (self.folder / name for name in ("lines", "seen", "files"))
        self.files.mkdir()
        for name, text in {
            "tap-lines": TAP.format(lines=self.lines),
            "target-lines": TARGET.format(draft=draft, seen=str(self.seen)),
        }.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
            workspace.dativo("add", self.folder / name).expect()
        place = [str(self.folder)]
        workspace.configure(
            {
                "tap-lines": {"sandbox": {"read": place, "write": [str(self.files)]}},
                "target-lines": {"sandbox": {"write": place}},
            }
        )

    def run(self, *messages: dict[str, Any], words: tuple[str, ...] = ()) -> Any:
        self.lines.write_text("".join(json.dumps(one) + "\n" for one in messages))
        return self.workspace.dativo("run", "tap-lines", "target-lines", "--job", unique("adapt"), "--json", *words)

    def read(self) -> list[Any]:
        return [json.loads(line) for line in self.seen.read_text().splitlines()]

    def column(self) -> Any:
        return self.read()[0]["schema"]["properties"]["v"]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(Workspace(tmp_path / "project", tmp_path / "home"))


def schema(column: dict[str, Any] | None = None, stream: str = "public-t", **more: Any) -> dict[str, Any]:
    properties = {"id": {"type": "integer"}, "v": column or {}}
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}, "key_properties": ["id"], **more}


def record(stream: str = "public-t", **columns: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": columns}


STATE = {"type": "STATE", "value": {"bookmarks": {"public-t": {"id": 1}}}}


@pytest.mark.parametrize(
    ("draft", "sent", "read"),
    [
        ("Draft7Validator", PIPELINEWISE, {"type": ["null", "number"], "exclusiveMaximum": 100}),
        (
            "Draft4Validator",
            PIPELINEWISE,
            {"type": ["null", "number"], "exclusiveMaximum": True, "maximum": 100},
        ),
        ("Draft4Validator", SDK, {"type": ["null", "integer"], "exclusiveMinimum": True, "minimum": 0}),
        ("Draft4Validator, Draft7Validator", PIPELINEWISE, {"type": ["null", "number"], "maximum": 100}),
        ("", SDK, {"type": ["null", "integer"], "minimum": 0}),
    ],
)
def test_bounds_as_the_targets_own_code_knows_them(tmp_path: Path, draft: str, sent: Any, read: Any):
    pair = Pair(Workspace(tmp_path / "project", tmp_path / "home"), draft)
    summary = pair.run(schema(sent), record(id=1, v=5), STATE).expect().json
    assert pair.column() == read
    assert summary["records"] == 1
    assert summary["adapted"]["target-lines"].keys() <= {"exclusive-bounds", "multiple-of"}


def test_records_are_judged_by_the_schema_as_it_came(pair: Pair):
    answer = pair.run(schema(PIPELINEWISE), record(id=1, v=100), STATE).expect(4)
    assert answer.json["code"] == "data.schema"


def test_it_can_be_switched_off_in_whole_and_in_part(pair: Pair):
    summary = pair.run(schema(PIPELINEWISE), record(id=1), STATE, words=("--no-adapt",)).expect().json
    assert (pair.column(), summary["adapted"]) == (PIPELINEWISE, {})
    job = {"steps": ["tap-lines", "target-lines"], "adapt": ["multiple-of"]}
    (pair.folder / "job.yml").write_text(json.dumps({"name": "part", **job}))
    pair.workspace.dativo("run", "job.yml").expect()
    assert pair.column() == {key: value for key, value in PIPELINEWISE.items() if key != "multipleOf"}
    (pair.folder / "job.yml").write_text(json.dumps({"name": "part", **job, "adapt": ["bounds"]}))
    answer = pair.workspace.dativo("run", "job.yml").expect(2)
    assert "bounds is not one of" in answer.stderr


def test_people_are_told_what_was_changed(pair: Pair):
    pair.lines.write_text("".join(json.dumps(one) + "\n" for one in (schema(PIPELINEWISE), record(id=1), STATE)))
    line = f"cat {pair.lines} | dativo target-lines --stream-name '{{table}}' --job told"
    told = pair.workspace.shell(line).expect().stderr
    assert "changed for target-lines: exclusive bounds put in its way (1 in 1 stream)" in told
    assert "multipleOf left out (1 in 1 stream)" in told
    assert "streams under other names: public-t as t" in told


def test_streams_under_other_names(pair: Pair):
    activate = {"type": "ACTIVATE_VERSION", "stream": "public-t", "version": 1}
    answer = pair.run(schema(), activate, record(id=1, v="public-t"), STATE, words=("--stream-name", "raw_{table}"))
    summary = answer.expect().json
    assert [one.get("stream") for one in pair.read()] == ["raw_t"] * 3 + [None]
    assert pair.read()[2:] == [record("raw_t", id=1, v="public-t"), STATE]
    assert summary["renamed"] == {"public-t": "raw_t"}
    assert summary["streams"].keys() == {"public-t"}


def test_two_streams_never_get_one_name(pair: Pair):
    words = ("--stream-name", "{table}")
    answer = pair.run(schema(), record(id=1), schema(stream="other-t"), record("other-t", id=1), words=words).expect(4)
    assert answer.json["code"] == "data.stream_name"
    assert [one["stream"] for one in pair.read()] == ["t", "t"]
    for template in ("{tabel}", "all", "{schema}", "{table"):
        answer = pair.run(schema(), words=("--stream-name", template)).expect(2)
        assert answer.json["code"] == "config.invalid"


def test_a_deleted_at_that_nobody_declared(pair: Pair):
    deleted = record(id=1, _sdc_deleted_at="2026-11-27T00:00:00Z")
    summary = pair.run(schema(), record(id=1), deleted, deleted, STATE).expect().json
    first, row, second, *rest = pair.read()
    assert (row, rest) == (record(id=1), [deleted, deleted, STATE])
    assert "_sdc_deleted_at" not in first["schema"]["properties"]
    assert second["schema"]["properties"]["_sdc_deleted_at"]["format"] == "date-time"
    assert summary["adapted"]["target-lines"] == {"sdc-columns": {"changes": 1, "streams": 1}}


def batch(*files: Path, **encoding: str) -> dict[str, Any]:
    uris = [file.as_uri() for file in files]
    return {"type": "BATCH", "stream": "public-t", "encoding": {"format": "jsonl", **encoding}, "manifest": uris}


def test_the_files_of_a_batch_become_records(pair: Pair):
    many = [json.dumps({"id": number, "v": "x" * 300}) for number in range(5_000)]
    plain, packed = pair.files / "1.jsonl", pair.files / "2.jsonl.gz"
    plain.write_text("\n".join(many))
    packed.write_bytes(gzip.compress(b'{"id": 5000, "v": 1.50}\n\n') + gzip.compress(b'{"id": 5001}\n'))
    shape = {"type": "BATCH", "stream": "public-t", "filepath": str(packed), "format": "jsonl", "compression": "gzip"}
    behind = record(id=9_999)
    summary = pair.run(schema(), batch(plain), {**shape, "version": 7}, behind, STATE).expect().json
    rows = pair.read()
    assert [one["record"]["id"] for one in rows[1:-1]] == [*range(5_002), 9_999]
    assert rows[5_001]["version"] == 7
    assert '"v": 1.50' in pair.seen.read_text()
    assert summary["records"] == 5_003
    assert summary["bookmark"]["covered"] == 5_003
    assert summary["adapted"]["target-lines"]["batch"] == {"changes": 2, "streams": 1}


def test_a_bad_row_of_a_batch_is_a_bad_record(pair: Pair):
    file = pair.files / "1.jsonl"
    file.write_text('{"id": 1}\n{"id": "x"}\n{"id": 3}\n')
    summary = pair.run(schema(), batch(file), STATE, words=("--on-bad-record", "quarantine")).expect().json
    assert (summary["records"], summary["rejects"]) == (2, {"public-t": 1})
    assert '"id": "x"' in Path(summary["dead_letters"]).read_text()


@pytest.mark.parametrize("what", ["parquet", "zstd", "bucket", "outside", "link", "cut", "torn"])
def test_what_cannot_be_read_ends_the_run_before_a_row_is_lost(pair: Pair, what: str):
    file = pair.files / "1.jsonl"
    file.write_text('{"id": 1}\n')
    message = batch(file)
    if what == "parquet":
        message["encoding"]["format"] = "parquet"
    elif what == "zstd":
        message["encoding"]["compression"] = "zstd"
    elif what == "bucket":
        message["manifest"] = ["s3://bucket/1.jsonl"]
    elif what == "outside":
        message["manifest"] = ["file:///etc/hostname"]
    elif what == "link":
        (pair.files / "link").symlink_to("/etc/hostname")
        message = batch(pair.files / "link")
    elif what == "cut":
        file.write_bytes(gzip.compress(b'{"id": 1}\n' * 99)[:-9])
        message["encoding"]["compression"] = "gzip"
    else:
        file.write_text('{"id": 1}\n{"id": ')
    answer = pair.run(schema(), message, record(id=7), STATE, words=("--on-bad-record", "quarantine"))
    assert answer.code == 4, answer
    codes = {"parquet": "refused", "zstd": "refused", "bucket": "refused", "outside": "outside", "link": "outside"}
    wanted = f"data.batch_{codes[what]}" if what in codes else answer.json["code"]
    assert answer.json["code"] == wanted
    assert answer.json["code"].startswith("data.")
    assert {"id": 7} not in [one.get("record") for one in pair.read()]
    assert answer.json["bookmark"]["confirmed"] == 0
