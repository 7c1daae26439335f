"""A CSV file to a file of JSON lines: text to text, no database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import arrivals, ours, rivals, singers
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted
from tests.bench.tables import ORDERS, Table

NAME = "csv-jsonl"
WANTED = (
    Wanted("faucet", 1.0),
    Wanted("faucet", 1.0, "cpu"),
    Wanted("meltano", 60),
)
MEMORY_MB = 64


def contest(arena: Arena, table: Table = ORDERS) -> Contest:
    """All that can do it."""
    files, less = arena.files(table), arena.files(table, few=True)

    def place(contender: str) -> Path:
        return arena.out(f"{NAME}-{contender}")

    def kept(contender: str) -> dict[str, Any]:
        folder = place(contender)
        return {"prepare": arena.emptied(folder), "count": arrivals.of(arrivals.json_lines, folder)}

    def file(contender: str) -> Path:
        return place(contender) / f"{table.name}.jsonl"

    return Contest(
        f"CSV to JSONL, {table.name}",
        ours.run(arena, files.rows, ours.tap_csv(files.csv), ours.target_jsonl(place("ours")), **kept("ours")),
        [
            arena.limit("cat to a file", files.rows, f"cat {files.csv} > {place('cat') / 'copy'}"),
            rivals.faucet(arena, files.rows, files.csv, file("faucet"), **kept("faucet")),
            rivals.ingestr(
                arena,
                files.rows,
                (f"csv://{files.csv}", table.name),
                (f"jsonl://{file('ingestr')}", table.name),
                **kept("ingestr"),
            ),
            rivals.sling(
                arena, files.rows, ("", f"file://{files.csv}"), ("", f"file://{file('sling')}"), **kept("sling")
            ),
            singers.pair(
                arena, less.rows, singers.tap_csv(less.csv), singers.target_jsonl(place("sdk")), **kept("sdk")
            ),
            singers.meltano(
                arena, less.rows, singers.tap_csv(less.csv), singers.target_jsonl(place("meltano")), **kept("meltano")
            ),
        ],
        WANTED,
        memory_mb=MEMORY_MB,
    )
