"""Every vector that has rows, on both encodings: the same rows, rejects, counts, end and bookmark.

The real data plane runs each vector three times: as lines into a target that reads lines; as lines into a target that
speaks Arrow, whose columns the data plane makes; and as files of Arrow from a tap that speaks it, which the data plane
judges by their columns. The targets write down what they are given. The files are those that the data plane makes when
it judges nothing; a line that is no message stays a line, and so does a record that columns cannot say (null or
missing). A stream of which no row is delivered or rejected has no files, and one whose BATCH is refused, or whose lines
may not be as long as a BATCH's, cannot have them: these run as lines only, into both targets.

Vectors of types, columns and precision are streams of one run. Those of `selection` go through tap-parquet, which
reads the columns that are selected either way; those of `state` have a row before each STATE. `merge` is left out: that
is values of STATE, put together where no row is near.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dativo.native import find_bus
from dativo_protocol import codec
from dativo_protocol.catalog import apply_selection
from dativo_protocol.vectors import Case, cases
from tests.pipelines.parity import Given, Ran, books, books_of, differences, differences_of, given, play, run
from tests.workspace import ROOT, installed

pytestmark = pytest.mark.timeout(1_200)

STREAMS = list(cases("framing", "envelope", "order", "malformed", "validation"))
STATES = list(cases("state"))
REFUSED = [case for case in cases("arrow") if "refused" in case.spec]
TABLES = [case for case in cases("types", "arrow", "precision") if case not in REFUSED]
# Ours read a selection from metadata; where a catalog has none of it, it is for taps that are older.
SELECTIONS = [
    case
    for case in cases("selection")
    if not any("schema" in written for written in case.spec.get("written", {}).values())
]
POLICIES = {
    "judged": {"validate": "on", "on_bad_record": "quarantine"},
    "unjudged": {"validate": "off"},
}
# Every type is given all of these, each line of them in columns that are as its SCHEMA says.
VALUES = (
    ("1", "0", "-5", "7", "10", "2147483648", "9223372036854775807"),
    ("2.0", "1e3", "-0"),
    ("9223372036854775808", "-18446744073709551616"),
    ("1" * 39, "1" * 80),
    ("1.5", "-0.1", "0.25", "12.34", "100000000", "1e-9", "5e-324"),
    ("12.125", "0.12345678901234567890"),
    ("1E400",),
    ("true", "false"),
    ('"naïve 🚢"', '""', r'"a\"b\\c\n\u0000"', '"a"', '"b"', '"1"'),
    ('"2026-11-23"', '"0001-01-01"', '"9999-12-31"'),
    ('"2026-11-23T06:10:00.123456Z"', '"2026-11-23T06:10:00+02:00"', '"9999-12-31T23:59:59Z"'),
    ('"06:10:00"', '"23:59:59.999999"'),
    ('"06:10:00+01:00"', '"2026-02-30"', '"2016-12-31T23:59:60Z"'),
    ('"YWJj"', '"/+8="'),
    ('"12.340"', '"-0.001"', '"123456789012345678.9012"', '"1e3"', '"NaN"'),
    ("null", "1", "null"),
    ('{"b":[1,2.50,{"c":null}],"a":"x"}', "{}"),
    ("[]", "[1,null]", '["a"]'),
    (r'"\ud800"', r'{"\ud800":1}'),
)
LONGEST = 1000
"""Bytes of a BATCH line: a stream whose lines may not be so long has none."""
Runs = dict[str, Ran]


class Both:
    """Runs on every encoding, some at a time, each kept until it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pool = folder, ThreadPoolExecutor(4)
        self.begun: dict[str, Future[Runs]] = {}
        find_bus()  # what it asks Python about its own folders may not be asked by two threads first

    def begin(self, name: str, lines: bytes, policy: dict[str, Any], **more: Any) -> None:
        """Have a stream of lines run."""
        self.begun[name] = self.pool.submit(self._all, self.folder / name.replace("/", "."), lines, policy, more)

    def __getitem__(self, name: str) -> Runs:
        return self.begun[name].result()

    def _all(self, place: Path, lines: bytes, policy: dict[str, Any], more: dict[str, Any]) -> Runs:
        found = {name: play(place / name, lines, name == "made", policy, **more) for name in ("lines", "made")}
        end = found["lines"].end
        rowless = not end["rejected"] and not any(told["records"] for told in end["streams"].values())
        if rowless or end["reason"] == "data.batch_refused" or more.get("max_line", LONGEST) < LONGEST:
            return found
        evolve = {"validate": "off", "on_bad_record": "fail", "activate": "forward", "schema_change": {}}
        taken = {**policy, "batch": "forward"}
        unsaid, kept = without_the_unsayable(found["lines"], lines)
        captured = play(place / "captured", unsaid, True, {**taken, **evolve})
        files = {**more, "files": captured.place / "files"}
        return {**found, "files": play(place / "files", as_files(captured, lines, kept), True, taken, **files)}


def without_the_unsayable(ran: Ran, lines: bytes) -> tuple[bytes, dict[int, bytes]]:
    """The lines, with an ACTIVATE_VERSION, whose version is below any, for each record that is bad for a null or a gap.

    In columns a null is as good as a missing property: what is wrong with such a record cannot be said in them.
    """
    split, kept = lines.split(b"\n"), {}
    for letter in ran.letters:
        why = letter.get("dead_letter", {})
        name = (why.get("path") or "/").split("/")[1]
        if letter["type"] == "RECORD" and why["path"].count("/") == 1 and letter["record"].get(name) is None:
            at = why["line"] - 1
            kept[-why["line"]] = split[at]
            split[at] = codec.encode({"type": "ACTIVATE_VERSION", "stream": letter["stream"], "version": -why["line"]})
    return b"\n".join(split), kept


def as_files(captured: Ran, lines: bytes, kept: dict[int, bytes]) -> bytes:
    """What a tap that speaks Arrow would write in place of these lines, up to the one that is no message."""
    written, at = [], 0
    for line in captured.lines:
        if line.startswith(b'{"type":"BATCH"') and b'"format":"arrow"' in line:
            line = codec.encode(codec.decode(line) | {"manifest": [f"file://{{spool}}/{at}.arrow"]}) + b"\n"
            at += 1
        elif kept and b'"ACTIVATE_VERSION"' in line:
            line = kept.get(codec.decode(line)["version"], line[:-1]) + b"\n"
        written.append(line)
    wrong = captured.end.get("line")
    rest = [] if wrong is None else lines.split(b"\n")[wrong - 1 :]
    return b"".join(written) + b"\n".join(rest)


def message(kind: str, stream: str, **more: Any) -> bytes:
    return codec.encode({"type": kind, "stream": stream, **more}) + b"\n"


def record(stream: str, text: bytes) -> bytes:
    return b'{"type":"RECORD","stream":' + codec.encode(stream) + b',"record":' + text + b"}\n"


def joined(pieces: Any) -> bytes:
    """A record's text: as it is, or of pieces."""
    return pieces.encode() if isinstance(pieces, str) else Case("", "", Path(), {"input": pieces}).input()


def rows_of(case: Case) -> bytes:
    """A vector of a table as lines: its streams are `case` and, where numbers are declared as such, `case/number`."""
    name, spec = str(case), case.spec
    if case.topic == "arrow":
        rows = b"".join(record(name, joined(one)) for one in spec["records"])
        return message("SCHEMA", name, schema=spec["schema"], key_properties=[]) + rows
    if case.topic == "precision":
        number: dict[str, Any] = {"type": ["number", "null"]}
        declared = {"properties": dict.fromkeys(codec.decode(spec["record"].encode()), number)}
        streams: tuple[tuple[str, dict[str, Any]], ...] = ((name, {}), (f"{name}/number", declared))
        return b"".join(
            message("SCHEMA", stream, schema=schema, key_properties=[]) + record(stream, spec["record"].encode())
            for stream, schema in streams
        )
    lines = b""
    for title, texts in enumerate(VALUES):
        schema = {**spec.get("root", {}), "title": str(title), "properties": {"p": spec["schema"]}}
        lines += message("SCHEMA", name, schema=schema, key_properties=[])
        lines += b"".join(record(name, f'{{"p":{text}}}'.encode()) for text in texts)
    return lines + message("STATE", name, value={"bookmarks": {name: 1}})


def states_of(case: Case) -> bytes:
    """A vector of STATEs as lines, in which each STATE has a row before it and a SCHEMA behind it."""
    lines = b""
    for number, text in enumerate(case.spec["forwarded"]):
        lines += message("SCHEMA", "t", schema={"title": str(number)}, key_properties=[]) + record("t", b'{"a":1}')
        lines += b'{"type":"STATE","value":' + text.encode() + b"}\n"
    return lines


def policy_of(case: Case) -> dict[str, Any]:
    """A vector's policy; what it discards is set aside, so that it can be looked at."""
    policy = dict(case.spec.get("policy", {}))
    return {**policy, "on_bad_record": "quarantine"} if policy.get("on_bad_record") == "discard" else policy


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """All runs, begun."""
    both = Both(tmp_path_factory.mktemp("parity"))
    for case in STREAMS:
        more = {key: case.spec[key] for key in ("known_schemas", "max_line") if key in case.spec}
        both.begin(str(case), case.input(), policy_of(case), died=case.spec.get("upstream") == "died", **more)
    for case in STATES:
        answers = "".join(line + "\n" for line in case.spec["target_lines"]).encode()
        both.begin(str(case), states_of(case), {}, answers=answers)
    for name, policy in POLICIES.items():
        both.begin(name, b"".join(map(rows_of, TABLES)), policy)
        for case in REFUSED:
            both.begin(f"{case}/{name}", rows_of(case), policy)
    yield both
    both.pool.shutdown(cancel_futures=True)


def must_agree(runs: Runs) -> None:
    """The encodings of a run say and give the same."""
    lines = runs["lines"]
    assert books(runs["made"], lines=True) == books(lines, lines=True)
    assert differences(given(lines), given(runs["made"])) == []
    if "files" in runs:
        assert books(runs["files"], lines=False) == books(lines, lines=False)
        assert differences(given(lines), given(runs["files"])) == []


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream(both: Both, case: Case) -> None:
    runs = both[str(case)]
    assert runs["lines"].end["reason"] == (case.spec["error"] or {}).get("code", runs["lines"].end["reason"])
    must_agree(runs)


@pytest.mark.parametrize("case", STATES, ids=str)
def test_states(both: Both, case: Case) -> None:
    runs = both[str(case)]
    for ran in runs.values():
        ignored = [event["why"] for event in ran.all("state_ignored")]
        assert [why for why in ignored if why in ("empty", "foreign")] == case.spec["ignored"]
        marks = [codec.encode(mark["value"]) for mark in ran.all("bookmark")[-1:]]
        confirmed = case.spec["confirmed"]
        wanted = [] if confirmed is None else [codec.encode(codec.decode(case.spec["forwarded"][confirmed].encode()))]
        assert marks == wanted
    must_agree(runs)


@pytest.mark.parametrize("wrong", ["file", "value"])
def test_a_batch_that_cannot_be_read_ends_the_run_whatever_the_policy(tmp_path: Path, wrong: str) -> None:
    place = tmp_path / "sealed"
    place.mkdir()
    if wrong == "file":
        (place / "0.arrow").write_bytes(b"ARROW1, and then nothing")
    else:  # the other column has a bound, so that the rows are judged one by one; no text says this moment
        table = pa.table({"p": [1.0], "t": pa.array([1 << 62], pa.timestamp("us", "UTC"))})
        with pa.ipc.new_file(place / "0.arrow", table.schema) as file:
            file.write_table(table)
    properties = {"p": {"type": "number", "maximum": 0}, "t": {"type": "string", "format": "date-time"}}
    lines = message("SCHEMA", "s", schema={"properties": properties}, key_properties=[])
    lines += message("BATCH", "s", encoding={"format": "arrow"}, manifest=["file://{spool}/0.arrow"])
    lines += message("STATE", "s", value={"s": 1})
    ran = play(tmp_path / "run", lines, True, {**POLICIES["judged"], "batch": "forward"}, files=place)
    assert (ran.end["reason"], ran.end["line"]) == ("data.bad_message", 2)
    assert ran.letters == [] == ran.all("bookmark")


@pytest.fixture(scope="module")
def tap_parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our tap-parquet, built from this checkout: the program itself."""
    temporary = tmp_path_factory.mktemp("tap-parquet")
    return installed("ours-parquet", [ROOT / "taps" / "tap-parquet"], temporary).executable("tap-parquet")


def filled(schema: dict[str, Any], row: int) -> Any:
    """A value of a property, another in each row; null in the last. Numbers are such as can be a replication key."""
    if "properties" in schema:
        return {name: filled(part, row) for name, part in schema["properties"].items()}
    kind = next(one for one in schema["type"] if one != "null")
    return None if row == 2 else {"integer": row, "number": Decimal(row) / 2, "string": f"text {row}"}[kind]


@pytest.mark.parametrize("case", SELECTIONS, ids=str)
def test_a_selection(tap_parquet: Path, case: Case, tmp_path: Path) -> None:
    for number, stream in enumerate(case.spec["catalog"]["streams"]):
        columns = stream["schema"]["properties"]
        rows = [{name: filled(part, row) for name, part in columns.items()} for row in range(3)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"s{number}.parquet")
    catalog = apply_selection(case.spec["catalog"], case.spec["patterns"], case.spec["metadata"])
    chosen, under_way = {}, {}
    for number, stream in enumerate(catalog["streams"]):  # the tap calls a stream as its file is called
        chosen[f"s{number}"] = case.spec["selected"].get(stream["tap_stream_id"])
        stream |= {"tap_stream_id": f"s{number}", "stream": f"s{number}"}
        if stream.get("replication_method") == "FULL_TABLE":  # whose version would else be the time
            under_way[f"s{number}"] = {"version": 7}
    tap = [str(tap_parquet)]
    config = {"files": [str(tmp_path / "*.parquet")]}
    for name, content in (("config", config), ("catalog", catalog), ("state", {"bookmarks": under_way})):
        (tmp_path / name).write_text(json.dumps(content), "utf-8")
        tap += [f"--{name}", str(tmp_path / name)]
    policy = {**POLICIES["judged"], "batch": "forward"}
    lines, files = (run(tmp_path / name, tap, name == "files", policy) for name in ("lines", "files"))
    assert lines.end["verdict"] == "done"
    assert books(files, lines=False) == books(lines, lines=False)
    assert differences(given(lines), given(files)) == []
    found = {name: codec.decode(entries[0].value)[0]["properties"] for name, entries in given(files).streams.items()}
    assert {name: sorted(columns) for name, columns in found.items()} == {
        name: sorted(columns) for name, columns in chosen.items() if columns
    }
    assert len(list((files.place / "files").iterdir())) == len(found)


@pytest.fixture(scope="module")
def tables(both: Both) -> dict[tuple[str, str], Given]:
    """What the targets were given of all tables."""
    return {(policy, name): given(ran) for policy in POLICIES for name, ran in both[policy].items()}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", TABLES, ids=str)
def test_a_table(both: Both, tables: dict[tuple[str, str], Given], case: Case, policy: str) -> None:
    lines = both[policy]["lines"]
    for stream in (str(case), f"{case}/number"):
        for way in ("made", "files"):
            assert books_of(both[policy][way], stream) == books_of(lines, stream), way
            assert differences_of(tables[policy, "lines"], tables[policy, way], stream) == [], way


@pytest.mark.parametrize("policy", POLICIES)
def test_all_tables(both: Both, policy: str) -> None:
    assert both[policy]["lines"].end["verdict"] == "done"
    must_agree(both[policy])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_no_column_can_hold(both: Both, case: Case, policy: str) -> None:
    must_agree(both[f"{case}/{policy}"])
