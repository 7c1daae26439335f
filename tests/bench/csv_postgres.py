"""A CSV file into a new table of PostgreSQL."""

from __future__ import annotations

from tests.bench import ours, rivals
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted
from tests.bench.postgres_postgres import copied, into
from tests.bench.tables import ORDERS, Table

NAME = "csv-postgres"
COPY = "\\copy"
WANTED = (Wanted(COPY, 0.75), Wanted("ingestr", 1.8))


def contest(arena: Arena, table: Table = ORDERS) -> Contest:
    """All that can do it."""
    files = arena.files(table)
    name, rows, uri = table.name, files.rows, arena.database.uri
    line = f"psql -c '\\copy from_copy.{name} from {files.csv} csv header'"
    return Contest(
        f"CSV to PostgreSQL, {name}",
        ours.run(
            arena,
            rows,
            ours.tap_csv(files.csv),
            ours.target_postgres(arena, "from_dativo"),
            **into(arena, "from_dativo", name),
        ),
        [
            arena.limit(
                COPY,
                rows,
                line,
                prepare=copied(arena, "from_copy", table),
                count=lambda: arena.database.count(f"from_copy.{name}"),
            ),
            rivals.ingestr(
                arena,
                rows,
                (f"csv://{files.csv}", name),
                (uri, f"from_ingestr.{name}"),
                **into(arena, "from_ingestr", name),
            ),
            rivals.sling(
                arena, rows, ("", f"file://{files.csv}"), (uri, f"from_sling.{name}"), **into(arena, "from_sling", name)
            ),
            rivals.dlt(arena, rows, str(files.csv), f"{uri}#from_dlt", "csv", **into(arena, "from_dlt", name)),
        ],
        WANTED,
        settle=arena.database.settle,
    )
