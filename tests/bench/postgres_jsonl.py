"""PostgreSQL to a file of JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import arrivals, ours, rivals, singers
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted
from tests.bench.tables import ORDERS, Table

NAME = "postgres-jsonl"
COPY = "COPY of row_to_json to a file"
WANTED = (Wanted("ingestr", 2.5), Wanted("meltanolabs-tap-postgres", 16))


def contest(arena: Arena, table: Table = ORDERS) -> Contest:
    """All that can do it."""
    name, rows = arena.table(table)
    few_name, few = arena.table(table, few=True)
    uri = arena.database.uri

    def place(contender: str) -> Path:
        return arena.out(f"{NAME}-{contender}")

    def kept(contender: str) -> dict[str, Any]:
        folder = place(contender)
        return {"prepare": arena.emptied(folder), "count": arrivals.of(arrivals.json_lines, folder)}

    def file(contender: str) -> Path:
        return place(contender) / f"{table.name}.jsonl"

    query = f"copy (select row_to_json(line) from {name} as line) to stdout"
    return Contest(
        f"PostgreSQL to JSONL, {table.name}",
        ours.run(arena, rows, ours.tap_postgres(arena, name), ours.target_jsonl(place("ours")), **kept("ours")),
        [
            arena.limit(COPY, rows, f"psql -c '{query}' > {file('copy')}", prepare=arena.emptied(place("copy"))),
            rivals.ingestr(arena, rows, (uri, name), (f"jsonl://{file('ingestr')}", table.name), **kept("ingestr")),
            rivals.sling(arena, rows, (uri, f"public.{name}"), ("", f"file://{file('sling')}"), **kept("sling")),
            rivals.dlt(arena, few, f"{uri}#{few_name}", str(place("dlt")), "jsonl", **kept("dlt")),
            singers.pair(
                arena,
                few,
                singers.tap_postgres(arena, few_name),
                singers.target_jsonl(place("sdk")),
                **kept("sdk"),
            ),
            singers.meltano(
                arena,
                few,
                singers.tap_postgres(arena, few_name),
                singers.target_jsonl(place("meltano")),
                **kept("meltano"),
            ),
        ],
        WANTED,
        settle=arena.database.settle,
    )
