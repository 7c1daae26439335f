"""The attempts of each run: how often it was tried, what ended each attempt and how long the next one was put off.

Functions over an open connection; the caller brings the transaction where something is written.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

TABLES = (
    # `waited` is set where another attempt was to follow: a retry.
    """
    CREATE TABLE attempts (
        run     TEXT NOT NULL REFERENCES runs (id),
        number  INTEGER NOT NULL,
        started TEXT NOT NULL,
        ended   TEXT,
        verdict TEXT,
        cause   TEXT,
        reason  TEXT,
        message TEXT,
        waited  REAL,
        PRIMARY KEY (run, number)
    ) STRICT
    """,
)


@dataclass(frozen=True)
class AttemptEntry:
    """One attempt as the history has it."""

    number: int
    started: str
    ended: str | None
    """None while it lasts, and for ever when its process was gone."""
    verdict: str | None
    cause: str | None
    """transient, permanent or never: whether another attempt could help."""
    reason: str | None
    """The error's code."""
    message: str | None
    waited: float | None
    """Seconds until the next attempt; None where none was to follow."""


def start(db: sqlite3.Connection, run: str, number: int, at: str) -> None:
    """Record that an attempt began."""
    db.execute("INSERT INTO attempts (run, number, started) VALUES (?, ?, ?)", (run, number, at))


def end(
    db: sqlite3.Connection,
    run: str,
    number: int,
    at: str,
    *,
    verdict: str,
    cause: str | None,
    reason: str | None,
    message: str | None,
    waited: float | None,
) -> None:
    """Record how it ended."""
    db.execute(
        "UPDATE attempts SET ended = ?, verdict = ?, cause = ?, reason = ?, message = ?, waited = ? "
        "WHERE run = ? AND number = ?",
        (at, verdict, cause, reason, message, waited, run, number),
    )


def read(db: sqlite3.Connection, run: str) -> list[AttemptEntry]:
    """A run's attempts, in order."""
    rows = db.execute(
        "SELECT number, started, ended, verdict, cause, reason, message, waited FROM attempts WHERE run = ? "
        "ORDER BY number",
        (run,),
    )
    return [AttemptEntry(*row) for row in rows.fetchall()]


def retries_since(db: sqlite3.Connection, job: str, since: str) -> int:
    """How often an attempt of any of the job's runs was to be followed by another since then."""
    row = db.execute(
        "SELECT count(*) FROM attempts a JOIN runs r ON r.id = a.run "
        "WHERE r.job = ? AND a.waited IS NOT NULL AND a.ended >= ?",
        (job, since),
    ).fetchone()
    return int(row[0])
