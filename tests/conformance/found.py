"""Rows where targets leave them: files of several formats, buckets, databases. Each place lists all that lies there."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.pipelines.rows import COLUMNS, Table
from tests.servers.buckets import Buckets
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import Postgres

csv.field_size_limit(1 << 30)  # a hostile stream has a text of 20 MB
Rows = list[dict[str, Any]]
Place = Callable[[], Iterator[tuple[str, Rows]]]
"""All that lies there: names of files, objects or tables, with their rows."""


def tables(names: Iterable[str], place: Place, called: Mapping[str, str] | None = None) -> dict[str, Table]:
    """The rows of tables of ours, wherever their names occur; of their columns those that the source has.

    `called` has our names for streams and columns by those that a tap has for them.
    """
    ours = called or {}
    theirs = {name: own for own, name in ours.items()}
    there = [
        (one.lower(), [{ours.get(key, key): value for key, value in row.items()} for row in rows] if ours else rows)
        for one, rows in place()
    ]
    return {
        name: _table(name, [row for one, some in there if theirs.get(name, name) in one for row in some])
        for name in names
    }


def _table(name: str, there: Rows) -> Table:
    lowered = ({key.lower(): value for key, value in row.items()} for row in there)
    return Table(name, ({column: row.get(column) for column in COLUMNS[name]} for row in lowered))


def total(place: Place) -> int:
    """How many rows lie there in all."""
    return sum(len(some) for _, some in place())


def folder(path: Path, pattern: str = "*") -> Place:
    """The files in a folder, at any depth."""

    def all_of_it() -> Iterator[tuple[str, Rows]]:
        for file in sorted(one for one in path.rglob(pattern) if one.is_file()):
            yield str(file.relative_to(path)), parsed(file.name, file.read_bytes())

    return all_of_it


def bucket(service: Buckets, name: str) -> Place:
    """The objects of a bucket."""
    return lambda: ((key, parsed(key, content)) for key, content in sorted(service.objects(name).items()))


def parsed(name: str, content: bytes) -> Rows:
    """The rows of a file, by what it begins with and how its name ends. Singer messages are told from plain JSON."""
    if content[:2] == b"\x1f\x8b":
        return parsed(name.removesuffix(".gz"), gzip.decompress(content))
    if content[:4] == b"PAR1":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist())
    text = content.decode("utf-8-sig", errors="replace")
    if name.endswith(".json") and text.startswith("{\n"):
        document = json.loads(text, parse_float=Decimal)
        (rows, *others) = document.values()
        return _records(rows if isinstance(rows, list) and not others else [document])
    if ".csv" in name or ".tsv" in name:
        delimiter = "\t" if ".tsv" in name else ","
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    if text.lstrip().startswith("["):
        return list(json.loads(text, parse_float=Decimal))
    found = [json.loads(line, parse_float=Decimal) for line in text.split("\n") if line.strip()]
    return _records(found)


def _records(found: Rows) -> Rows:
    """What Singer messages hold, or the rows as they are."""
    if found and found[0].get("type") in ("SCHEMA", "RECORD"):
        return [one["record"] for one in found if one["type"] == "RECORD"]
    return found


def postgres(server: Postgres, database: str) -> Place:
    """The tables of a database, in whichever schema."""

    def all_of_it() -> Iterator[tuple[str, Rows]]:
        query = (
            "select quote_ident(table_schema) || '.' || quote_ident(table_name) from information_schema.tables "
            "where table_schema not in ('information_schema', 'pg_catalog')"
        )
        for one in filter(None, server.sql(query, database=database).split("\n")):
            yield one, server.rows(f"select * from {one}", database=database)

    return all_of_it


def mariadb(server: MariaDB, database: str) -> Place:
    """The tables of a database."""
    return lambda: ((one, server.rows(one, database=database)) for one in server.tables(database=database))


def sqlite(file: Path) -> Place:
    """The tables of a SQLite file."""

    def all_of_it() -> Iterator[tuple[str, Rows]]:
        if not file.exists():
            return
        with closing(sqlite3.connect(file)) as database:
            database.row_factory = sqlite3.Row
            for (name,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                yield str(name), [dict(row) for row in database.execute(f'select * from "{name}"')]

    return all_of_it


def duckdb(file: Path) -> Place:
    """The tables of a DuckDB file."""

    def all_of_it() -> Iterator[tuple[str, Rows]]:
        import duckdb

        if not file.exists():
            return
        with duckdb.connect(str(file), read_only=True) as database:
            known = database.sql("select table_schema, table_name from information_schema.tables").fetchall()
            for schema, one in known:
                lines = database.sql(f'select to_json(line) from "{schema}"."{one}" as line').fetchall()
                yield str(one), [json.loads(line, parse_float=Decimal) for (line,) in lines]

    return all_of_it
