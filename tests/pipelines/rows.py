"""Rows in one form, wherever they lie: what PostgreSQL holds, what a target wrote as CSV, JSON lines or tables.

Two tables are equal when they hold the same rows equally often. A number is its exact decimal value, a time is an
instant, the rest is text; CSV has no null, so an empty field is one (the data has no empty texts).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.servers.postgres import Postgres

COLUMNS = {
    "airlines": ("carrier", "name"),
    "airports": ("faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone"),
    "planes": (
        *("tailnum", "year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine", "updated_at"),
    ),
    "weather": (
        *("origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"),
        *("precip", "pressure", "visib", "time_hour"),
    ),
}
SIZES = {"airlines": 16, "airports": 1_458, "planes": 3_322, "weather": 26_115}
TEXTS = frozenset(
    ("carrier", "name", "faa", "dst", "tzone", "tailnum", "type", "manufacturer", "model", "engine", "origin")
)
TIMES = frozenset(("updated_at", "time_hour"))

Row = tuple[str | None, ...]


def canonical(column: str, value: Any) -> str | None:
    """One value, in the form that is compared."""
    if value is None or value == "":
        return None
    if column in TEXTS:
        return str(value)
    if column in TIMES:
        moment = datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return format(Decimal(str(value)).normalize(), "f")


class Table:
    """The rows of one table, in no order."""

    def __init__(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self.name = name
        columns = COLUMNS[name]
        self.rows = Counter(tuple(canonical(column, row[column]) for column in columns) for row in rows)

    def __len__(self) -> int:
        return self.rows.total()

    @property
    def checksum(self) -> str:
        """Equal for equal tables."""
        lines = sorted(json.dumps(row, ensure_ascii=False) for row in self.rows.elements())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def must_equal(self, source: Table) -> None:
        """Fail, showing a few rows, unless this table holds what the source holds."""
        missing, extra = source.rows - self.rows, self.rows - source.rows
        shown = f"{self.name}: {missing.total()} missing, {extra.total()} extra"
        assert not missing and not extra, f"{shown}\n-{list(missing)[:3]}\n+{list(extra)[:3]}"
        assert (len(self), self.checksum) == (len(source), source.checksum)


def of_postgres(server: Postgres, table: str, *, database: str | None = None) -> Table:
    """A table of a database; an empty one when there is no such table."""
    if server.sql(f"select to_regclass('{table}')", database=database).strip() == "":
        return Table(table, [])
    return Table(table, server.rows(f"select * from {table}", database=database))


def of_jsonl(name: str, files: Iterable[Path]) -> Table:
    """What one or more files of JSON lines hold."""
    lines = (line for file in files for line in file.read_text("utf-8").splitlines())
    return Table(name, (json.loads(line, parse_float=Decimal) for line in lines if line))


def of_csv(name: str, file: Path, null: str = "") -> Table:
    """What a CSV file holds; an empty table when it does not exist."""
    if not file.exists():
        return Table(name, [])
    with file.open(encoding="utf-8", newline="") as lines:
        return Table(name, ({k: None if v == null else v for k, v in row.items()} for row in csv.DictReader(lines)))
