"""The data plane on one stream of lines, on either encoding, and what came of it in a form that both encodings have."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from dativo.native import find_bus
from dativo_protocol import codec
from dativo_protocol.exact import number
from dativo_protocol.types import ColumnType, columns

TARGET = r"""
import json, sys
place, arrow, last, number = sys.argv[1], sys.argv[2] == "arrow", None, 0
with open(place + "/lines", "wb") as lines:
    for line in sys.stdin.buffer:
        lines.write(line)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):  # a record deeper or longer than this reader needs to look at
            continue
        if message["type"] == "STATE":
            last = message
        if message["type"] == "BATCH" and arrow:
            for name in message.get("manifest", ()) if message.get("encoding", {}).get("format") == "arrow" else ():
                kept = f"{place}/files/{number}.arrow"
                with open(name.removeprefix("file://"), "rb") as file, open(kept, "wb") as copy:
                    copy.write(file.read())
                number += 1
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
try:
    print(end="", flush=True)
    with open(place + "/answers", "rb") as answers:
        sys.stdout.buffer.write(answers.read())
except FileNotFoundError:
    if last is not None:
        print(json.dumps(last["value"]))
"""
DIED = "; kill -9 $$"
BOUNDED = 'ulimit -v 4194304; exec "$0" "$@"'
"""What makes the data plane ask for memory without end ends it, and not its machine."""
ENVIRONMENT = dict(os.environ)
"""Taken once: pytest changes its own as each test begins, and threads start programs meanwhile."""


@dataclass(frozen=True)
class Ran:
    """How a run ended, and what its target was given."""

    code: int
    events: list[dict[str, Any]]
    place: Path

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def end(self) -> dict[str, Any]:
        """The last event."""
        return self.events[-1]

    @property
    def lines(self) -> list[bytes]:
        """What the target was given: messages, and in them the names of files."""
        return [line + b"\n" for line in (self.place / "lines").read_bytes().split(b"\n")[:-1]]

    @cached_property
    def letters(self) -> list[dict[str, Any]]:
        """What was set aside, with its reason."""
        file = self.place / "letters.jsonl"
        return [codec.decode(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def play(place: Path, lines: bytes, arrow: bool, policy: dict[str, Any], **more: Any) -> Ran:
    """Run a stream of lines through the data plane.

    `died`: its writer is killed behind it. `files`: a folder that the writer puts into its part of the spool, whose
    name stands in the lines as `{spool}`. `answers`: what the target prints at the end, which is else the last STATE.
    """
    (place / "files").mkdir(parents=True)
    copies = ""
    if "files" in more:
        lines = lines.replace(b"{spool}", str(place / "spool" / "tap").encode())
        copies = f"cp {more['files']}/* {place}/spool/tap/; " if any(more["files"].iterdir()) else ""
    if "answers" in more:
        (place / "answers").write_bytes(more["answers"])
    (place / "input").write_bytes(lines)
    tap = ["/bin/sh", "-c", f"{copies}cat {place}/input{DIED if more.get('died') else ''}"]
    return run(place, tap, arrow, policy, **more)


def run(place: Path, tap: Sequence[str], arrow: bool, policy: dict[str, Any], **more: Any) -> Ran:
    """Run a tap into the target of these tests."""
    (place / "files").mkdir(parents=True, exist_ok=True)
    target = [sys.executable, "-I", "-S", "-c", TARGET, str(place), "arrow" if arrow else "records"]
    spool = {"dir": str(place / "spool"), "bytes": 1 << 30}
    told = {"DATIVO_SPOOL": str(place / "spool" / "tap"), "DATIVO_SPOOL_BYTES": str(1 << 30)} if arrow else {}
    plan = {
        "plan": 1,
        "run": "r-1",
        "job": "parity",
        "run_dir": str(place / "run"),
        "children": [child("tap", tap, told), child("target", target, {}) | {"arrow": arrow}],
        "policy": policy,
        "known_schemas": more.get("known_schemas", {}),
        "limits": {"max_line": more.get("max_line", 64 << 20)},
        "dead_letters": {"path": str(place / "letters.jsonl")},
        "spool": spool if arrow else None,
    }
    document = os.memfd_create("plan")
    os.write(document, json.dumps(plan).encode())
    os.lseek(document, 0, os.SEEK_SET)
    read, write = os.pipe()
    words = ["/bin/sh", "-c", BOUNDED, str(find_bus()), "--plan-fd", str(document), "--events-fd", str(write)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=(document, write), env=ENVIRONMENT)
    os.close(document)
    os.close(write)
    with open(read, "rb") as events:
        found = [codec.decode(line) for line in events]
    return Ran(process.wait(), found, place)


def child(role: str, argv: Sequence[str], env: dict[str, str]) -> dict[str, Any]:
    """A child of a plan."""
    env = {"PATH": "/usr/bin:/bin", **env}
    return {"name": role, "role": role, "argv": list(argv), "env": env, "sandbox": {"profile": "limits"}}


@dataclass(frozen=True)
class Row:
    """A row of an Arrow file; `partial`: it has its columns and no others."""

    cells: dict[str, tuple[pa.Field, Any]]
    partial: bool


@dataclass(frozen=True)
class Entry:
    """What a target is told about one stream: `what` is schema, activate or row."""

    what: str
    value: Any
    declared: dict[str, ColumnType] | None = None


@dataclass
class Given:
    """All that a target was given: by stream, in order; and each STATE, with the rows of each stream before it."""

    streams: dict[str, list[Entry]]
    states: list[tuple[bytes, dict[str, int]]]


def given(ran: Ran) -> Given:
    """Read what the target wrote down."""
    streams: dict[str, list[Entry]] = {}
    declared: dict[str, dict[str, ColumnType]] = {}
    repeated: dict[str, Entry] = {}
    states, number_of_file, rows = [], 0, Counter[str]()
    for line in ran.lines:
        message = codec.decode(line)
        if message["type"] == "STATE":
            states.append((text(message["value"]), dict(rows)))
            continue
        name = message["stream"]
        entries = streams.setdefault(name, [])
        version, found = message.get("version"), []
        if message["type"] == "SCHEMA":
            declared[name] = columns(message["schema"])
            entry = Entry("schema", text([message["schema"], message.get("key_properties")]))
            if entry != repeated.get(name):  # one that only repeats the one before it says nothing about rows
                entries.append(entry)
            repeated[name] = entry
        elif message["type"] == "ACTIVATE_VERSION":
            entries.append(Entry("activate", version))
        elif message["type"] == "RECORD":
            found = [message["record"]]
        elif message.get("encoding", {}).get("format") != "arrow":
            entries.append(Entry("batch", text(message)))
        else:
            for _ in message["manifest"]:
                file = ran.place / "files" / f"{number_of_file}.arrow"
                found += rows_of(pa.ipc.open_file(file).read_all(), message.get("partial") is True)
                number_of_file += 1
        entries += [Entry("row", (version, one), declared[name]) for one in found]
        rows[name] += len(found)
    return Given(streams, states)


def rows_of(table: pa.Table, partial: bool) -> list[Row]:
    """The rows of a file."""
    names, arrays = table.schema.names, [column.to_pylist() for column in table.columns]
    values = zip(*arrays, strict=True) if arrays else [()] * table.num_rows
    fields = dict(zip(names, table.schema, strict=True))
    return [Row({name: (fields[name], cell) for name, cell in zip(names, row, strict=True)}, partial) for row in values]


def text(value: Any) -> bytes:
    """A value's JSON text: every digit, and keys in their order."""
    return codec.encode(value, nonfinite="keep")


def differences(lines: Given, arrow: Given) -> list[str]:
    """What a target of the one encoding was given that means something else than what one of the other was."""
    names = {*lines.streams, *arrow.streams}
    found = [why for name in names for why in differences_of(lines, arrow, name)]
    if lines.states[-1:] != arrow.states[-1:]:
        found.append(f"last STATE {lines.states[-1:]}, with arrow {arrow.states[-1:]}")
    found += [f"a STATE that covers other rows: {one}" for one in arrow.states if one not in lines.states]
    return found


def differences_of(lines: Given, arrow: Given, stream: str) -> list[str]:
    """The same of one stream."""
    expected, got = lines.streams.get(stream, []), arrow.streams.get(stream, [])
    kinds = [one.what for one in expected], [one.what for one in got]
    if kinds[0] != kinds[1]:
        return [f"stream {stream!r}: {kinds[0][:50]}, with arrow {kinds[1][:50]}"]
    found = []
    for at, (wanted, one) in enumerate(zip(expected, got, strict=True)):
        why = unequal_rows(wanted, one) if one.what == "row" else wanted.value != one.value
        if why:
            found.append(f"stream {stream!r}, {one.what} {at}: {wanted.value}, with arrow {one.value}: {why}"[:2_000])
    return found


def unequal_rows(wanted: Entry, got: Entry) -> str:
    """Why two rows are not the same; empty where they are."""
    (version, record), (other, row) = wanted.value, got.value
    if version != other:
        return f"version {other}"
    if isinstance(row, dict):
        return "" if text(record) == text(row) else "another record"
    if row.partial and set(record) != set(row.cells):
        return f"partial, with {sorted(row.cells)}"
    declared = got.declared or {}
    for name in {*record, *row.cells}:
        value, (field, cell) = record.get(name), row.cells.get(name, (None, None))
        if value is None or cell is None:
            if value is not cell:
                return f"column {name!r} is {cell!r}"
        elif not same(value, field, cell, declared[name].text if name in declared else False):
            return f"column {name!r} is {cell!r}"
    return ""


def same(value: Any, field: pa.Field, cell: Any, decimal_text: bool) -> bool:
    """Whether a cell of an Arrow column stands for that value of a record."""
    kind = field.type
    if getattr(kind, "extension_name", "") == "arrow.json":
        return text(value) == text(codec.decode(cell.encode()))
    if pa.types.is_boolean(kind):
        return value is cell
    if pa.types.is_decimal(kind) and decimal_text:
        return isinstance(value, str) and Decimal(value) == cell
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return not isinstance(value, str | bool) and bool(exactly(value) == exactly(cell))
    if not isinstance(value, str):
        return False
    if pa.types.is_timestamp(kind):
        read = dt.datetime.fromisoformat(value.upper())
        return bool((read if read.tzinfo else read.replace(tzinfo=dt.UTC)) == cell)
    if pa.types.is_date(kind):
        return bool(dt.date.fromisoformat(value) == cell)
    if pa.types.is_time(kind):
        return bool(dt.time.fromisoformat(value) == cell)
    if pa.types.is_binary(kind):
        return bool(base64.b64decode(value, validate=True) == cell)
    return bool(pa.types.is_string(kind) and value == cell)


def exactly(value: Any) -> Any:
    """A number's value, digit by digit; the name of one that is none."""
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else repr(value)
    return Decimal(value)


def books(ran: Ran, *, lines: bool) -> dict[str, Any]:
    """What the events of a run say; `lines`: also what depends on which lines the rows came in."""
    end, marks = ran.end, ran.all("bookmark")
    # A column of floats spells nothing: that NaN is no JSON is said of lines.
    notices = [one["code"] for one in ran.all("notice") if lines or one["code"] != "data.nonstandard_number"]
    found = {
        "exit": ran.code,
        "end": {key: end.get(key) for key in ("verdict", "reason", "child", "stream", "last_bookmark_is_last_state")},
        "counts": {name: told["records"] for name, told in end.get("streams", {}).items() if told["records"]},
        "rejected": end.get("rejected", {}),
        "covered": end.get("covered"),
        "bookmark": [text(mark["value"]) for mark in marks[-1:]],
        "books": {name: told["records"] for mark in marks for name, told in mark.get("streams", {}).items()},
        "notices": sorted(notices),
        "ignored": [event["why"] for event in ran.all("state_ignored")],
        "rejects": [{key: one.get(key) for key in ("stream", "rule", "path")} for one in ran.all("reject")],
        "letters": [letter(one, lines=lines) for one in ran.letters if one["type"] != "SCHEMA"],
    }
    if lines:
        found["place"] = {key: end.get(key) for key in ("line", "offset", "junk")}
        found["reasons"] = [(one["reason"], one["line"], one["offset"]) for one in ran.all("reject")]
        found["hashes"] = {name: told["hash"] for mark in marks for name, told in mark.get("streams", {}).items()}
    return found


def books_of(ran: Ran, stream: str) -> dict[str, Any]:
    """What of it is said about one stream."""
    rejects = [(one["rule"], one["path"]) for one in ran.all("reject") if one["stream"] == stream]
    mine = [one for one in ran.letters if one["type"] != "SCHEMA" and one.get("stream") == stream]
    count = ran.end["streams"].get(stream, {}).get("records", 0), ran.end["rejected"].get(stream, 0)
    return {"counts": count, "rejects": rejects, "letters": [letter(one, lines=False) for one in mine]}


def letter(found: dict[str, Any], *, lines: bool) -> Any:
    """What was set aside, and why."""
    why = {key: found["dead_letter"].get(key) for key in ("rule", "path", *(("reason", "line") if lines else ()))}
    if lines or found["type"] != "RECORD":
        return text({**{key: value for key, value in found.items() if key != "dead_letter"}, "why": why})
    record = {key: plain(value) for key, value in sorted(found["record"].items()) if value is not None}
    return text({"stream": found["stream"], "version": found.get("version"), "record": record, "why": why})


def plain(value: Any) -> Any:
    """A number in one spelling."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    exact = exactly(value)
    return exact if isinstance(exact, str) else number(f"{exact.normalize():f}")
