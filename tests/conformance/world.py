"""What there is to read from and to write to: the same four tables in PostgreSQL, MariaDB, S3, files and a web site.

Everything is on loopback and is started when it is first asked for:

    with World(folder) as world:
        world.postgres.sql("select count(*) from planes")
"""

from __future__ import annotations

import contextlib
import csv
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.pipelines import rows
from tests.pipelines.rows import Table
from tests.servers import buckets, mariadb, postgres, web
from tests.servers.buckets import Buckets
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import Postgres
from tests.servers.web import Site

TABLES = tuple(rows.COLUMNS)
ROWS = sum(rows.SIZES.values())
"""30,911."""
BEGIN = datetime(2014, 1, 1, tzinfo=UTC)
MARIADB_TYPES = {
    **dict.fromkeys(rows.TEXTS, "varchar(120)"),
    **dict.fromkeys(rows.TIMES, "datetime"),
    **dict.fromkeys(("lat", "lon", "wind_speed", "wind_gust"), "double"),
    **dict.fromkeys(("temp", "dewp", "humid", "precip", "visib"), "decimal(6, 2)"),
    "pressure": "decimal(8, 2)",
}
KEYS = {"airlines": "carrier", "airports": "faa", "planes": "tailnum"}


class World(contextlib.ExitStack):
    """Servers and files for as long as it is open; `folder` is where its files lie."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    @cached_property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The four tables as Python values: texts, ints, Decimals, None. Times are texts in UTC."""
        source = postgres.fetch_flights()
        found = {}
        for table in TABLES:
            with (source / f"{table}.csv").open(encoding="utf-8", newline="") as file:
                found[table] = [
                    {name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)
                ]
        for place, row in enumerate(sorted(found["planes"], key=lambda one: str(one["tailnum"])), 1):
            row["updated_at"] = (BEGIN + timedelta(seconds=place)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert {name: len(table) for name, table in found.items()} == rows.SIZES
        return found

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The same, to be compared with."""
        return {name: Table(name, found) for name, found in self.rows.items()}

    @cached_property
    def postgres(self) -> Postgres:
        """The tables in the database `nyc`, in its schema `public`."""
        server = self.enter_context(postgres.cluster())
        postgres.load_flights(server, postgres.fetch_flights(), TABLES)
        assert {name: rows.of_postgres(server, name).checksum for name in TABLES} == self._checksums
        return server

    @cached_property
    def mariadb(self) -> MariaDB:
        """The tables in the database `nyc`."""
        server = self.enter_context(mariadb.server())
        for name, found in self.rows.items():
            columns = [f"`{column}` {MARIADB_TYPES.get(column, 'int')}" for column in found[0]]
            key = [f"primary key ({KEYS[name]})"] if name in KEYS else []
            server.sql(f"create table {name} ({', '.join([*columns, *key])})")
            plain = [
                {one: str(v)[:19].replace("T", " ") if one in rows.TIMES and v else v for one, v in row.items()}
                for row in found
            ]
            server.insert(name, plain)
        assert {name: Table(name, server.rows(name)).checksum for name in TABLES} == self._checksums
        return server

    @cached_property
    def buckets(self) -> Buckets:
        """S3 without any bucket."""
        return self.enter_context(buckets.served())

    @cached_property
    def site(self) -> Site:
        """The tables as JSON on a web site."""
        return self.enter_context(web.site(self.rows))

    @property
    def _checksums(self) -> dict[str, str]:
        return {name: table.checksum for name, table in self.tables.items()}


def fresh(word: str) -> str:
    """A name for a database or a bucket that nobody else uses."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


def _value(column: str, text: str) -> Any:
    if text == "NA":
        return None
    if column in rows.TEXTS or column in rows.TIMES:
        return text
    return Decimal(repr(float(text))) if set(text) & set(".e") else int(text)  # a double, in as few digits as tell it
