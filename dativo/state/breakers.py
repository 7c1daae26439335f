"""The circuit breaker of each plugin: failed runs in a row that were blamed on it, in any job of this store.

It is counted whether or not a job has a breaker; the job that asks says how many are too many and for how long.
Functions over an open connection; the caller brings the transaction where something is written.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

TABLES = (
    # `since` is when it failed last, or when a run was let through to try.
    """
    CREATE TABLE breakers (
        plugin   TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        since    REAL NOT NULL,
        reason   TEXT,
        message  TEXT
    ) STRICT
    """,
)


@dataclass(frozen=True)
class OpenBreaker:
    """A breaker that lets nothing through."""

    plugin: str
    failures: int
    left: float
    """Seconds until one run may try."""
    reason: str | None
    message: str | None


def enter(db: sqlite3.Connection, plugin: str, failures: int, pause: float, now: float) -> OpenBreaker | None:
    """None when a run may start. Once the pause is over, the first that asks may try, the others wait another pause."""
    row = db.execute("SELECT failures, since, reason, message FROM breakers WHERE plugin = ?", (plugin,)).fetchone()
    if row is None or row[0] < failures:
        return None
    left = row[1] + pause - now
    if 0 < left <= pause:  # more than the pause: the clock was set back, so nothing is known
        return OpenBreaker(plugin, row[0], left, row[2], row[3])
    db.execute("UPDATE breakers SET since = ? WHERE plugin = ?", (now, plugin))
    return None


def failed(db: sqlite3.Connection, plugin: str, now: float, reason: str, message: str) -> None:
    """One more failed run that is blamed on the plugin."""
    db.execute(
        "INSERT INTO breakers (plugin, failures, since, reason, message) VALUES (?, 1, ?, ?, ?) "
        "ON CONFLICT (plugin) DO UPDATE SET failures = failures + 1, since = excluded.since, "
        "reason = excluded.reason, message = excluded.message",
        (plugin, now, reason, message),
    )


def close(db: sqlite3.Connection, plugin: str) -> None:
    """The plugin did its work, or the user says so: count from nothing."""
    db.execute("DELETE FROM breakers WHERE plugin = ?", (plugin,))
