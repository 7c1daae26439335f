"""What has arrived in a target, read by others than the target; half a row that a killed writer left is none."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from pyarrow import parquet

if TYPE_CHECKING:
    from tests.chaos.jobs import Row
    from tests.servers.postgres import Postgres


def of_lines(file: Path) -> list[Row]:
    """The rows of a file of JSON lines."""
    found = []
    for line in file.read_text("utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found.append((record["id"], record["name"], record["value"]))
    return found


def of_csv(file: Path) -> list[Row]:
    """The rows of a CSV file; what stands behind the last line's end is half a row."""
    whole, _, _ = file.read_text("utf-8", errors="replace").rpartition("\n")
    records = csv.DictReader(whole.split("\n"))
    return [(int(record["id"]), record["name"], int(record["value"])) for record in records]


def of_parquet(folder: Path) -> list[Row]:
    """The rows of a stream's Parquet files: a file that can be seen is whole."""
    found = []
    for file in sorted(folder.glob("part-*.parquet")):
        columns = parquet.ParquetFile(file).read(["id", "name", "value"]).to_pydict()
        found += list(zip(columns["id"], columns["name"], columns["value"], strict=True))
    return found


def of_postgres(server: Postgres, database: str, table: str) -> list[Row]:
    """The rows of a table."""
    if not server.sql(f"select to_regclass('{table}')", database=database).strip():
        return []
    listing = server.sql(f"select id, name, value from {table}", database=database)
    cells = [line.split("|") for line in listing.splitlines()]
    return [(int(number), name, int(value)) for number, name, value in cells]


def of_duckdb(database: Path, table: str, aside: Path | None) -> list[Row]:
    """The rows of a table; `aside` is where a copy is looked at in place of the file."""
    if not database.exists():
        return []
    if aside is not None:
        database = _brought(database, aside)
    try:
        connection = duckdb.connect(str(database), read_only=True)
    except duckdb.IOException:  # a file that could not be made whole holds no row; the next run must cope
        return []
    with connection:
        names = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        if table not in names:
            return []
        return connection.execute(f'select id::int, name, value::int from "{table}"').fetchall()


def _brought(database: Path, folder: Path) -> Path:
    """A copy of the database and its log."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in database.parent.glob(f"{database.name}*"):
        shutil.copy(file, folder)
    return folder / database.name
