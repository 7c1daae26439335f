"""What was sent against what is there: keys, versions, deletions, types and names, without any process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dativo.run.verify import canonical
from dativo.run.verify.comparison import Comparison
from dativo.run.verify.findings import Finding
from dativo.run.verify.readback import Read

TEXT = {"type": ["null", "string"]}
STAMP = {"type": ["null", "string"], "format": "date-time"}


class Bench:
    """Lines and rows that are written down and compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def schema(self, keys: list[str] | None = None, mark: str | None = None, **properties: Any) -> Bench:
        message = {"type": "SCHEMA", "stream": "s", "schema": {"properties": properties}, "key_properties": keys or []}
        self.lines.append(json.dumps({**message, **({"bookmark_properties": [mark]} if mark else {})}))
        return self

    def record(self, version: int | None = None, **record: Any) -> Bench:
        more = {} if version is None else {"version": version}
        self.lines.append(json.dumps({"record": record, "type": "RECORD", "stream": "s", **more}))
        return self

    def line(self, text: str) -> Bench:
        self.lines.append(text)
        return self

    def compare(
        self, *rows: dict[str, Any] | str, columns: dict[str, str] | None = None, found: bool = True, **how: Any
    ) -> Finding:
        sent, there = self.folder / "sent", self.folder / "there"
        sent.write_text("".join(f"{line}\n" for line in self.lines), "utf-8")
        there.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
        comparison = Comparison(self.folder)
        try:
            comparison.take(sent)
            how = {"upserts": True, "whole": True, **how}
            return comparison.compare("s", Read(found, there, columns, how.pop("names", {})), **how)
        finally:
            comparison.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_last_row_of_a_key_counts(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}, v=TEXT)
    bench.record(id=1, v="old").record(id=2, v="b").record(id=1, v="new")
    assert bench.compare({"id": "2", "v": "b"}, {"id": "1", "v": "new"}).equal


def test_missing_different_and_extra_are_told_with_their_keys(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}, v=TEXT, n={"type": "number"})
    for at in range(6):
        bench.record(id=at, v=f"v{at}", n=1.5)
    rows: list[dict[str, Any]] = [{"id": at, "v": f"v{at}", "n": 1.5} for at in range(2, 6)]
    rows[0]["n"], rows[1]["v"] = 1.25, None
    found = bench.compare(*rows, {"id": 9, "v": "x"}, rows[-1])
    assert (found.rows, found.missing, found.different, found.extra) == (6, 2, 2, 2)
    assert found.examples["missing"] == ["id=0", "id=1"]
    assert found.examples["different"] == ["id=2: n", "id=3: v"]
    assert found.examples["extra"] == ["id=5", "id=9"]
    assert found.words() == (
        "s: 2 rows missing (id=0, id=1), 2 rows extra (id=5, id=9), 2 rows different (id=2: n, id=3: v)"
    )


def test_rows_of_others_are_no_news_after_a_run(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}).record(id=1)
    assert bench.compare({"id": 1}, {"id": 2}, whole=False).equal
    assert bench.compare({"id": 1}, {"id": 1}, whole=False).extra == 1
    assert bench.compare({"id": 1}, {"id": 1}, whole=False, upserts=False).equal


def test_without_keys_each_row_must_be_there_as_often_as_it_was_sent(bench: Bench) -> None:
    bench.schema(v=TEXT)
    for value in ("a", "b", "a", None):
        bench.record(v=value)
    assert bench.compare({"v": "a"}, {}, {"v": "b"}, {"v": "a"}).equal
    found = bench.compare({"v": "a"}, {"v": "b"}, {"v": "c"}, {"v": "b"})
    assert (found.missing, found.extra, found.examples["missing"]) == (2, 2, ["row 1", "row 4"])
    assert bench.compare({"v": "a"}, {}, {"v": "b"}, {"v": "a"}, {"v": "a"}, whole=False).equal


def test_an_append_only_file_may_hold_older_rows_of_a_key(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}, v=TEXT).record(id=1, v="new")
    assert bench.compare({"id": 1, "v": "old"}, {"id": 1, "v": "new"}, upserts=False).equal
    assert bench.compare({"id": 1, "v": "old"}, upserts=False).different == 1


def test_deleted_rows_and_rows_of_older_versions_are_not_missed(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}, _sdc_deleted_at=STAMP)
    bench.record(1, id=1).record(2, id=2).record(2, id=3, _sdc_deleted_at="2026-11-26T00:00:00Z")
    bench.line('{"type":"ACTIVATE_VERSION","stream":"s","version":2}')
    assert bench.compare({"id": 2}).equal
    assert bench.compare({"id": 2}, {"id": 3, "_sdc_deleted_at": "2026-11-26 00:00:00"}).equal
    assert bench.compare({"id": 1}, {"id": 2}).extra == 1


def test_rows_beyond_the_bookmark_are_newer_not_missing(bench: Bench) -> None:
    bench.schema(["id"], "at", id={"type": "integer"}, at=STAMP)
    bench.record(id=1, at="2026-11-25T23:30:00-01:00").record(id=2, at="2026-11-26T00:30:00+00:00")
    bench.record(id=3, at="2026-11-26T00:30:01Z")
    rows = [{"id": 1, "at": "2026-11-26 00:30:00"}, {"id": 2, "at": "2026-11-26 00:30:00+00"}]
    found = bench.compare(*rows, since="2026-11-26T00:30:00.000000+00:00")
    assert (found.equal, found.rows, found.newer) == (True, 2, 1)
    assert found.words() == "s: 2 rows equal, 1 newer than the bookmark"
    assert bench.compare(*rows).missing == 1
    numbers = Bench(bench.folder / "n")
    numbers.folder.mkdir()
    numbers.schema([], "n", n={"type": "integer"}).record(n=9).record(n=10).record(n=11)
    assert (numbers.compare({"n": 9}, {"n": 10}, since=10).newer, numbers.compare({"n": 9}, since=10).missing) == (1, 1)


def test_columns_are_found_under_other_spellings(bench: Bench) -> None:
    bench.schema(["Order Id"], **{"Order Id": {"type": "integer"}, "a/b~c": TEXT, "x": TEXT})
    bench.record(**{"Order Id": 1, "a/b~c": "v", "x": "w"})
    columns = {"order_id": "BIGINT", "a/b~c": "VARCHAR", "x_2": "VARCHAR", "_sdc_batched_at": "TIMESTAMP"}
    row = {"order_id": "1", "a/b~c": "v", "x_2": "w"}
    assert bench.compare(row, columns=columns, names={"x": "x_2"}).equal
    found = bench.compare(row, columns=columns)
    assert (found.equal, found.absent) == (False, ["x"])
    assert "no column for x" in found.words()


def test_columns_that_are_not_kept_exactly_are_left_out_and_listed(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}, f={"type": "number"}, o={"type": "object"}, empty=TEXT)
    bench.record(id=1, f=0.1, o={"a": 1})
    columns = {"id": "INTEGER", "f": "REAL", "o__a": "INTEGER"}
    found = bench.compare({"id": "1", "f": "0.1000000015", "o__a": "1"}, columns=columns)
    assert found.equal
    assert list(found.remarks()) == ["s: not compared: f (kept as a 32-bit float), o (spread over columns)"]


def test_a_stream_without_a_place_is_missing_as_a_whole(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}).record(id=1).record(id=2)
    assert bench.compare(found=False).missing == 2
    lost = bench.compare({"x": 1}, columns={"x": "INTEGER"})
    assert (lost.equal, lost.absent) == (False, ["id"])


def test_a_broken_line_in_a_file_is_no_row(bench: Bench) -> None:
    bench.schema(["id"], id={"type": "integer"}).record(id=1).record(id=2)
    found = bench.compare({"id": 1}, '{"id": 2', columns=None)
    assert (found.missing, found.extra, found.examples["missing"]) == (1, 0, ["id=2"])


SAME = [
    ({"type": "integer"}, 7, "7"),
    ({"type": "integer"}, 7, "7.000"),
    ({"type": "integer"}, 1.0, "1"),
    ({"type": "integer"}, 123456789012345678901234567890, "123456789012345678901234567890"),
    ({"type": "number"}, 1.1, "1.100"),
    ({"type": "number"}, -0.0, "0"),
    ({"type": ["number", "null"]}, 1e21, "1e+21"),
    ({"type": "boolean"}, True, "t"),
    ({"type": "boolean"}, False, "False"),
    (STAMP, "2026-11-23T06:10:00.123456+05:30", "2026-11-23 00:40:00.123456"),
    ({"type": "string", "format": "date"}, "2026-11-23", "2026-11-23T00:00:00"),
    ({"type": "string", "format": "time"}, "10:00", "10:00:00"),
    ({"anyOf": [STAMP, {"type": "null"}]}, "2026-11-23T06:10:00Z", "2026-11-23 06:10:00+00"),
    (STAMP, "0000-00-00", "0000-00-00"),
    ({"type": "object"}, {"b": [1, {"x": "é"}], "a": None}, '{"a": null, "b": [1, {"x": "\\u00e9"}]}'),
    ({"type": "array"}, ["a,b", 1.50], '["a,b",1.5]'),
    ({}, "text", '"text"'),
    ({}, 2.50, "2.5"),
    ({}, {"a": 1, "b": 2}, '{"b":2,"a":1}'),
    (TEXT, "", ""),
]


@pytest.mark.parametrize(("prop", "sent", "kept"), SAME)
def test_the_same_value_in_another_spelling(bench: Bench, prop: dict[str, Any], sent: Any, kept: str) -> None:
    bench.schema(v=prop).record(v=sent)
    assert bench.compare({"v": kept}).equal


OTHERS = [
    ({"type": "integer"}, 9007199254740993, "9007199254740992"),
    ({"type": "integer"}, 1, "1.5"),
    ({"type": "number"}, 1.1, "1.1000001"),
    ({"type": "boolean"}, True, "f"),
    (STAMP, "2026-11-23T06:10:00+05:30", "2026-11-23 06:10:00"),
    ({"type": "array"}, [1, 2], "[2, 1]"),
    ({"type": "object"}, {"a": "1"}, '{"a": "2"}'),
    (TEXT, "1", "1.0"),
    (TEXT, "a", " a"),
    (TEXT, None, ""),
]


@pytest.mark.parametrize(("prop", "sent", "kept"), OTHERS)
def test_another_value_is_told(bench: Bench, prop: dict[str, Any], sent: Any, kept: str) -> None:
    bench.schema(v=prop).record(v=sent)
    assert not bench.compare({"v": kept}).equal


def test_empty_and_null_are_one_in_csv(bench: Bench) -> None:
    bench.schema(v=TEXT, w=TEXT).record(v=None, w="")
    assert bench.compare({"v": "", "w": ""}, empty_is_null=True).equal


def test_kinds() -> None:
    kinds = {
        "string": TEXT,
        "instant": STAMP,
        "integer": {"type": ["integer", "null"]},
        "number": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
        "json": {"type": ["object", "array", "null"]},
        "any": {"type": ["string", "integer"]},
    }
    assert {kind: canonical.kind_of(prop) for kind, prop in kinds.items()} == {kind: kind for kind in kinds}
    assert canonical.kind_of(True) == canonical.kind_of({}) == "any"
