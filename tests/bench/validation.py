"""What it costs to compare every record with its SCHEMA, and what dead letters cost the good ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.cats import through_bus, through_three
from tests.bench.data_plane import memory
from tests.bench.figures import Figure
from tests.bench.measure import Pair

EVERY = 1_000
"""One record of so many is bad where letters are measured."""


def poisoned(file: Path, other: Path) -> int:
    """The same stream with a bad record behind every thousandth; returns how many were added."""
    added = 0
    with file.open("rb") as lines, other.open("wb") as out:
        for number, line in enumerate(lines):
            out.write(line)
            if number % EVERY == EVERY - 1 and line.startswith(b'{"type":"RECORD"'):
                out.write(line.replace(b'"quantity":', b'"quantity":"x","was":', 1))
                added += 1
    return added


def figures(file: Path, scratch: Path, rounds: int) -> list[Figure]:
    """Validation against three cats, and a stream with dead letters against the same with none."""
    last: dict[str, Any] = {}
    validate = {"validate": "on"}

    pair = Pair("validation, to cat | cat | cat", 5.0)
    pair.run(lambda: through_bus(file, scratch, validate, last), lambda: through_three(file), rounds)
    usage = last["bus"]
    cpu, rows = usage["user_s"] + usage["sys_s"], sum(one["records"] for one in last["streams"].values())
    result = pair.figure(f"bus {cpu / rows * 1e6:.2f} CPU s per million records")
    bad = scratch / "bad.singer.jsonl"
    added = poisoned(file, bad)
    aside: dict[str, Any] = {}
    letters = Pair("a stream with dead letters, to one without", 1.05)
    letters.run(
        lambda: through_bus(bad, scratch, {**validate, "on_bad_record": "quarantine"}, aside),
        lambda: through_bus(file, scratch, validate, last),
        rounds,
    )
    assert sum(aside["rejected"].values()) == added, aside
    told = letters.figure(f"{added:,} letters, one behind every {EVERY:,} records; wall time")
    return [result, memory(usage, "validation"), told]
