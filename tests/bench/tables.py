"""The tables that are moved: their columns, and rows that are the same on every machine.

`orders` is the 20 mixed columns that every figure is about; `wide` (200 columns), `nested` (deep objects and lists) and
`texts` (kilobytes a cell) show what the shape of the data changes. A table is made once, as CSV and as Singer messages,
and kept in the cache.
"""

from __future__ import annotations

import csv
import hashlib
import os
import random
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WORDS = _words(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo"
    " sierra tango"
)
FIRST = _words(
    "Ana Bruno Chloé Dmitri Elif Fatima Goran Hana Igor José Kaja Lars Müller Nadia Omar Petra Quinn Rosa Søren Tomás"
)
LAST = _words("Silva Novak Schmidt O'Brien García Y\u0131lmaz Kowalski Nguyen Andersen Müller Rossi Dubois")
COUNTRIES = _words("US DE FR BR TR PL DK ES IT VN CZ GB")
STATUS = _words("new paid packed shipped delivered returned cancelled")
EPOCH = datetime(2023, 1, 1, tzinfo=UTC)
STATE_EVERY = 10_000
MAKER = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
"""Other rows are other files."""

_SCHEMAS: dict[str, dict[str, Any]] = {
    "bigint": {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1},
    "int": {"type": ["integer", "null"]},
    "text": {"type": ["string", "null"]},
    "double precision": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "timestamptz": {"type": ["string", "null"], "format": "date-time"},
    "date": {"type": ["string", "null"], "format": "date"},
    "uuid": {"type": ["string", "null"]},
    "jsonb": {"type": ["object", "array", "null"]},
}


def schema_of(sql: str) -> dict[str, Any]:
    """The JSON Schema of a column of this SQL type."""
    name, _, arguments = sql.partition("(")
    if name in ("varchar", "char"):
        return {"type": ["string", "null"], "maxLength": int(arguments.rstrip(")"))}
    if name == "numeric":
        return {"type": ["number", "null"]}
    return _SCHEMAS[sql]


@dataclass(frozen=True)
class Table:
    """Columns with their SQL types, the first of them the key, and how a row is made."""

    name: str
    columns: tuple[tuple[str, str], ...]
    row: Callable[[random.Random, int], Sequence[Any]]
    share: float = 1.0
    """How many of the asked rows it has: wider rows are fewer, so that all the tables are about as large."""

    def rows(self, count: int) -> Iterator[Sequence[Any]]:
        """So many rows, as JSON values; dates and times are ISO 8601."""
        rng = random.Random(42)
        return (self.row(rng, number) for number in range(1, count + 1))

    def create(self, name: str) -> str:
        """The SQL that makes it, under a name."""
        listing = ", ".join(f"{column} {sql}" for column, sql in self.columns)
        return f"create table {name} ({listing}, primary key ({self.columns[0][0]}))"

    def schema(self, stream: str) -> dict[str, Any]:
        """The SCHEMA message of its stream."""
        properties = {name: schema_of(sql) for name, sql in self.columns}
        key = [self.columns[0][0]]
        schema = {"type": "object", "properties": properties}
        return {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": key, "bookmark_properties": key}


@dataclass(frozen=True)
class Files:
    """A table on disk; the CSV file is alone in its folder, as some read whole folders."""

    table: Table
    rows: int
    csv: Path
    singer: Path

    @property
    def stream(self) -> str:
        """The stream's name in the Singer file, as taps for PostgreSQL spell it."""
        return f"public-{self.table.name}"


def _order(rng: random.Random, number: int) -> Sequence[Any]:
    first, last = rng.choice(FIRST), rng.choice(LAST)
    when = EPOCH + timedelta(seconds=rng.randrange(86_400 * 900), microseconds=rng.randrange(10**6))
    quantity, price, discount = rng.randrange(1, 20), rng.randrange(99, 99_999) / 100, rng.random() * 0.3
    tax = rng.choice((0.0, 0.07, 0.19, 0.2, 0.23))
    updated = None if rng.random() < 0.25 else (when + timedelta(seconds=rng.randrange(10**6))).isoformat()
    note = None if rng.random() < 0.4 else _sentence(rng, 3, 14) + (' "quoted"' if rng.random() < 0.05 else "")
    return (
        number,
        rng.randrange(1, 200_000),
        f"ORD-{number:010d}",
        rng.choice(STATUS),
        None if rng.random() < 0.1 else f"{first.lower()}.{number % 9973}@example.com",
        f"{first} {last}",
        rng.choice(COUNTRIES),
        quantity,
        price,
        discount,
        tax,
        round(quantity * price * (1 - discount) * (1 + tax), 4),
        rng.random() < 0.8,
        None if rng.random() < 0.5 else rng.random() < 0.1,
        note,
        when.isoformat(),
        updated,
        None if rng.random() < 0.3 else when.date().isoformat(),
        str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        {
            "source": rng.choice(("web", "app", "pos", "api")),
            "tags": rng.sample(WORDS, rng.randrange(0, 4)),
            "geo": {"lat": round(rng.uniform(-90, 90), 6), "lon": round(rng.uniform(-180, 180), 6)},
        },
    )


def _sentence(rng: random.Random, least: int, most: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randrange(least, most)))


ORDERS = Table(
    "orders",
    (
        ("id", "bigint"),
        ("account_id", "int"),
        ("order_no", "varchar(32)"),
        ("status", "text"),
        ("email", "text"),
        ("customer_name", "text"),
        ("country", "char(2)"),
        ("quantity", "int"),
        ("unit_price", "numeric(12,2)"),
        ("discount", "double precision"),
        ("tax_rate", "double precision"),
        ("total", "numeric(14,4)"),
        ("is_active", "boolean"),
        ("is_gift", "boolean"),
        ("note", "text"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
        ("ship_date", "date"),
        ("ref", "uuid"),
        ("meta", "jsonb"),
    ),
    _order,
)

_WIDE: tuple[tuple[str, str, Callable[[random.Random], Any]], ...] = (
    ("count", "int", lambda rng: rng.randrange(10**6)),
    ("amount", "double precision", lambda rng: rng.randrange(10**9) / 1000),
    ("name", "text", lambda rng: rng.choice(WORDS)),
    ("flag", "boolean", lambda rng: rng.random() < 0.5),
    ("day", "date", lambda rng: date.fromordinal(738_000 + rng.randrange(1000)).isoformat()),
    ("sparse", "text", lambda rng: rng.choice(LAST) if rng.random() < 0.1 else None),
)
_WIDE_COLUMNS = tuple((f"{_WIDE[n % len(_WIDE)][0]}_{n}", *_WIDE[n % len(_WIDE)][1:]) for n in range(1, 200))
WIDE = Table(
    "wide",
    (("id", "bigint"), *((name, sql) for name, sql, _ in _WIDE_COLUMNS)),
    lambda rng, number: (number, *(make(rng) for _, _, make in _WIDE_COLUMNS)),
    share=0.1,
)


def _person(rng: random.Random) -> dict[str, Any]:
    return {"name": f"{rng.choice(FIRST)} {rng.choice(LAST)}", "tags": rng.sample(WORDS, 3), "score": rng.random()}


def _document(rng: random.Random, depth: int) -> dict[str, Any]:
    inner = [_document(rng, depth - 1) for _ in range(2)] if depth else []
    return {"owner": _person(rng), "at": {"lat": round(rng.uniform(-90, 90), 6), "country": None}, "parts": inner}


NESTED = Table(
    "nested",
    (("id", "bigint"), ("people", "jsonb"), ("document", "jsonb"), ("updated_at", "timestamptz")),
    lambda rng, number: (
        number,
        [_person(rng) for _ in range(rng.randrange(5))],
        _document(rng, 2),
        (EPOCH + timedelta(seconds=number)).isoformat(),
    ),
    share=0.25,
)
TEXTS = Table(
    "texts",
    (("id", "bigint"), ("title", "text"), ("body", "text"), ("updated_at", "timestamptz")),
    lambda rng, number: (
        number,
        _sentence(rng, 3, 9),
        _sentence(rng, 50, 2000) + '\n"é" \\ 🜁\n',
        (EPOCH + timedelta(seconds=number)).isoformat(),
    ),
    share=0.05,
)
TABLES = {table.name: table for table in (ORDERS, WIDE, NESTED, TEXTS)}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "t" if value else "f"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def write(table: Table, rows: int, csv_file: Path, singer_file: Path) -> None:
    """Both files: CSV with a heading, NULL as nothing; Singer with a STATE behind every 10,000 rows."""
    stream, names = f"public-{table.name}", [name for name, _ in table.columns]
    head = b'{"type":"RECORD","stream":"' + stream.encode() + b'","record":'
    tail = b',"time_extracted":"2026-11-23T04:00:00.000000+00:00"}\n'
    with csv_file.open("w", 1 << 20, encoding="utf-8", newline="") as out, singer_file.open("wb", 1 << 20) as messages:
        cells = csv.writer(out, lineterminator="\n")
        cells.writerow(names)
        messages.write(orjson.dumps(table.schema(stream)) + b"\n")
        for number, values in enumerate(table.rows(rows), 1):
            cells.writerow([_cell(value) for value in values])
            messages.write(head + orjson.dumps(dict(zip(names, values, strict=True))) + tail)
            if number % STATE_EVERY == 0 or number == rows:
                place = {"replication_key": names[0], "replication_key_value": number}
                messages.write(orjson.dumps({"type": "STATE", "value": {"bookmarks": {stream: place}}}) + b"\n")


def made(table: Table, rows: int, cache: Path) -> Files:
    """The table's files, made if this cache lacks them; half-made ones are never seen."""
    folder = cache / f"{table.name}-{rows}-{MAKER}"
    files = Files(table, rows, folder / "csv" / f"{table.name}.csv", folder / f"{table.name}.singer.jsonl")
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
        try:
            (half / "csv").mkdir()
            write(table, rows, half / "csv" / files.csv.name, half / files.singer.name)
            half.chmod(0o755)
            os.replace(half, folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return files
