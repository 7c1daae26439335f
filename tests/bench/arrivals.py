"""How many rows arrived, counted in what a contender wrote; a contender that lost some has no figure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet


def parquet(folder: Path) -> int:
    """Rows of all Parquet files below a folder."""
    return sum(pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in folder.rglob("*.parquet"))


def json_lines(folder: Path) -> int:
    """Lines of all .jsonl files below a folder; each of a few is looked at."""
    count = 0
    for file in folder.rglob("*.jsonl*"):
        if any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts):
            continue  # dlt's own tables
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for line in lines:
                if count % 50_000 == 0:
                    assert "id" in json.loads(line), line
                count += 1
    return count


def csv_lines(folder: Path) -> int:
    """Lines of all CSV files below a folder, without their headings; for tables whose cells hold no line breaks."""
    total = 0
    for file in folder.rglob("*.csv"):
        with file.open("rb") as lines:
            total += sum(1 for _ in lines) - 1
    return total


def of(count: Callable[[Path], int], folder: Path) -> Callable[[], int]:
    """Counted when it is asked for."""
    return lambda: count(folder)


def duckdb_rows(file: Path) -> int:
    """Rows of the one table with rows in a DuckDB database, Dativo's own left out."""
    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.sql("select schema_name, table_name from duckdb_tables()").fetchall()
        tables = [(schema, name) for schema, name in names if not name.startswith("_")]
        counts = [
            connection.sql(f'select count(*) from "{schema}"."{name}"').fetchall()[0][0] for schema, name in tables
        ]
    return sum(counts)
