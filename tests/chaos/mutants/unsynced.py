"""The state store never waits for the disk: what it says is durable is lost when the power goes."""

from __future__ import annotations

import functools
import sqlite3
from typing import Any


class Unsynced(sqlite3.Connection):
    """A connection that turns every wish for fsync down."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """As wished, but for the syncing."""
        return super().execute("PRAGMA synchronous = OFF" if "synchronous" in sql else sql, *values)


def mutate() -> None:
    """Every SQLite file of this process."""
    sqlite3.connect = functools.partial(sqlite3.connect, factory=Unsynced)
