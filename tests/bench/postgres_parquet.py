"""PostgreSQL to Parquet files: the table as it is, all rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import arrivals, ours, rivals, singers
from tests.bench.arena import Arena
from tests.bench.contest import Absent, Contender, Contest, Wanted
from tests.bench.peers import TARGET_PARQUET, NotInstalled, installed
from tests.bench.tables import ORDERS, Table

NAME = "postgres-parquet"
COPY = "COPY binary to /dev/null"
WANTED = (
    Wanted(COPY, 0.55),
    Wanted("dlt", 1.5),
    Wanted("ingestr", 2.2),
    Wanted("sling", 5),
    Wanted("meltano", 40),
)
MEMORY_MB = 400
REMARK = "Meltano loads with our target-parquet: none of the package index can hold these columns"


def contest(arena: Arena, table: Table = ORDERS) -> Contest:
    """All that can do it; the slow ones with the first table only."""
    name, rows = arena.table(table)
    uri = arena.database.uri

    def place(contender: str) -> Path:
        return arena.out(f"{NAME}-{contender}")

    def kept(contender: str) -> dict[str, Any]:
        folder = place(contender)
        return {"prepare": arena.emptied(folder), "count": arrivals.of(arrivals.parquet, folder)}

    def file(contender: str) -> Path:
        return place(contender) / f"{table.name}.parquet"

    return Contest(
        f"PostgreSQL to Parquet, {table.name}",
        ours.run(arena, rows, ours.tap_postgres(arena, name), ours.target_parquet(place("ours")), **kept("ours")),
        [
            arena.limit(COPY, rows, f"psql -c 'copy {name} to stdout (format binary)' >/dev/null"),
            rivals.connectorx(arena, rows, name, file("cx"), **kept("cx")),
            rivals.dlt(arena, rows, f"{uri}#{name}", str(place("dlt")), "parquet", **kept("dlt")),
            rivals.ingestr(arena, rows, (uri, name), (f"parquet://{file('ingestr')}", table.name), **kept("ingestr")),
            rivals.sling(arena, rows, (uri, f"public.{name}"), ("", f"file://{file('sling')}"), **kept("sling")),
            *(_slow(arena, place("meltano"), **kept("meltano")) if table is ORDERS else ()),
        ],
        WANTED if table is ORDERS else (),
        memory_mb=MEMORY_MB if table is ORDERS else None,
        remarks=(REMARK,) if table is ORDERS else (),
        settle=arena.database.settle,
    )


def _slow(arena: Arena, folder: Path, **kept: Any) -> list[Contender | Absent]:
    name, rows = arena.table(few=True)
    tap, target = singers.tap_postgres(arena, name), singers.ours(arena, ours.target_parquet(folder))
    try:
        installed(TARGET_PARQUET, arena.cache / "peers")
    except NotInstalled as why:
        return [
            singers.meltano(arena, rows, tap, target, **kept),
            Absent(TARGET_PARQUET.version, f"not installed: {why}"),
        ]
    return [singers.meltano(arena, rows, tap, target, **kept)]
