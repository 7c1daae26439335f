"""A file of Singer lines as a table: which streams it has, with the SCHEMA, key and version that count at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dativo.dataclass import dataclass
from dativo.run.verify.database import Database

LEAST = 1 << 20
"""The smallest buffer for one line that DuckDB is given."""


@dataclass(frozen=True)
class Sent:
    """A stream as it was sent."""

    name: str
    schema: dict[str, Any]
    keys: tuple[str, ...]
    replication: str | None
    version: int | None
    """The version that was activated last: records of older ones are gone."""
    rows: int
    batches: int


def longest(path: Path) -> int:
    """The longest line in bytes: DuckDB has to hold it."""
    with path.open("rb") as file:
        return max(map(len, file), default=0)


def buffer(path: Path) -> int:
    """What DuckDB is told to hold for one line of this file."""
    return max(longest(path) + 1, LEAST)


def take(db: Database, path: Path) -> dict[str, Sent]:
    """Make the table `lines` of a file, and say what is in it."""
    db.run(
        "CREATE OR REPLACE TABLE lines AS"
        " SELECT t[1] AS type, t[2] AS stream, TRY_CAST(t[3] AS HUGEINT) AS version, json"
        " FROM (SELECT json, json_extract_string(json, ['/type', '/stream', '/version']) AS t"
        " FROM read_ndjson_objects($1, maximum_object_size = $2))",
        [str(path), buffer(path)],
    )
    rows = db.rows(
        "SELECT stream, arg_max(CASE WHEN type = 'SCHEMA' THEN json END, CASE WHEN type = 'SCHEMA' THEN rowid END),"
        " arg_max(CASE WHEN type = 'ACTIVATE_VERSION' THEN version END,"
        "         CASE WHEN type = 'ACTIVATE_VERSION' THEN rowid END),"
        " count(*) FILTER (type = 'RECORD'), count(*) FILTER (type = 'BATCH')"
        " FROM lines WHERE stream IS NOT NULL GROUP BY stream ORDER BY min(rowid)"
    )
    return {name: _sent(name, json.loads(schema or "{}"), *rest) for name, schema, *rest in rows}


def _sent(name: str, message: dict[str, Any], version: int | None, rows: int, batches: int) -> Sent:
    schema = message.get("schema")
    keys = message.get("key_properties") or ()
    marks = message.get("bookmark_properties") or ()
    marks = [marks] if isinstance(marks, str) else marks
    return Sent(
        name,
        schema if isinstance(schema, dict) else {},
        tuple(key for key in keys if isinstance(key, str)),
        next((mark for mark in marks if isinstance(mark, str)), None),
        version,
        rows,
        batches,
    )
