"""PostgreSQL to another schema of the same server, into a new table with the same key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench import ours, rivals, singers
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted
from tests.bench.tables import ORDERS, Table

NAME = "postgres-postgres"
COPY = "COPY binary | COPY binary"
WANTED = (Wanted(COPY, 0.75), Wanted("ingestr", 2.8))


def into(arena: Arena, schema: str, table: str) -> dict[str, Any]:
    """Preparing a schema, and counting what is in its one table."""
    return {
        "prepare": lambda: arena.database.empty_schema(schema),
        "count": lambda: arena.database.count(f'{schema}."{table}"'),
    }


def copied(arena: Arena, schema: str, table: Table) -> Callable[[], None]:
    """Prepares the schema and the table in it."""

    def prepare() -> None:
        arena.database.empty_schema(schema)
        arena.database.server.sql(table.create(f"{schema}.{table.name}"))

    return prepare


def contest(arena: Arena, table: Table = ORDERS) -> Contest:
    """All that can do it."""
    name, rows = arena.table(table)
    few_name, few = arena.table(table, few=True)
    uri = arena.database.uri
    line = f"psql -c 'copy {name} to stdout (format binary)' | psql -c 'copy by_copy.{name} from stdin (format binary)'"
    return Contest(
        f"PostgreSQL to PostgreSQL, {table.name}",
        ours.run(
            arena,
            rows,
            ours.tap_postgres(arena, name),
            ours.target_postgres(arena, "by_dativo"),
            **into(arena, "by_dativo", f"public-{name}"),
        ),
        [
            arena.limit(
                COPY,
                rows,
                line,
                prepare=copied(arena, "by_copy", table),
                count=lambda: arena.database.count(f"by_copy.{name}"),
            ),
            rivals.ingestr(arena, rows, (uri, name), (uri, f"by_ingestr.{name}"), **into(arena, "by_ingestr", name)),
            rivals.sling(
                arena, rows, (uri, f"public.{name}"), (uri, f"by_sling.{name}"), **into(arena, "by_sling", name)
            ),
            rivals.dlt(arena, rows, f"{uri}#{name}", f"{uri}#by_dlt", "csv", **into(arena, "by_dlt", name)),
            singers.pair(
                arena,
                few,
                singers.pipelinewise_tap(arena, few_name),
                singers.pipelinewise_target(arena, "by_pipelinewise"),
                **into(arena, "by_pipelinewise", few_name),
            ),
            singers.pair(
                arena,
                few,
                singers.tap_postgres(arena, few_name),
                singers.target_postgres(arena, "by_sdk"),
                **into(arena, "by_sdk", few_name),
            ),
            singers.meltano(
                arena,
                few,
                singers.tap_postgres(arena, few_name),
                singers.target_postgres(arena, "by_meltano"),
                **into(arena, "by_meltano", few_name),
            ),
        ],
        WANTED,
        settle=arena.database.settle,
    )
