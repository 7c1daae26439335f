"""The same job with other shapes of rows: 200 columns, deep objects and lists, kilobytes of text in a cell."""

from __future__ import annotations

from tests.bench import postgres_jsonl, postgres_parquet
from tests.bench.arena import Arena
from tests.bench.contest import Contest
from tests.bench.tables import NESTED, TEXTS, WIDE


def contests(arena: Arena) -> list[Contest]:
    """PostgreSQL to Parquet for each, and to JSON lines for what is nested."""
    return [
        *(postgres_parquet.contest(arena, table) for table in (WIDE, NESTED, TEXTS)),
        postgres_jsonl.contest(arena, NESTED),
    ]
