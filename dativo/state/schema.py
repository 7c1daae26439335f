"""The tables of the SQLite store, as numbered migrations.

`PRAGMA user_version` counts the migrations applied, `PRAGMA application_id` tells our files from other SQLite files.
A migration is never edited once released: add the next one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

APPLICATION_ID = 0x44617469  # "Dati"

_FIRST = (
    # The lease lives in the job's row. `token` only ever grows: it is the fencing token (I5).
    """
    CREATE TABLE jobs (
        name    TEXT PRIMARY KEY,
        token   INTEGER NOT NULL DEFAULT 0,
        holder  TEXT,
        expires REAL
    ) STRICT
    """,
    # One row a job: where its next run starts. `settled` says that the history has this value already.
    """
    CREATE TABLE bookmarks (
        job     TEXT PRIMARY KEY REFERENCES jobs (name),
        value   TEXT NOT NULL,
        origin  TEXT NOT NULL CHECK (origin IN ('run', 'set', 'clear', 'adopted')),
        run     TEXT,
        at      TEXT NOT NULL,
        records INTEGER,
        of      INTEGER,
        settled INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    """
    CREATE TABLE runs (
        number  INTEGER PRIMARY KEY AUTOINCREMENT,
        id      TEXT NOT NULL UNIQUE,
        job     TEXT NOT NULL REFERENCES jobs (name),
        started TEXT NOT NULL,
        ended   TEXT,
        verdict TEXT,
        reason  TEXT,
        message TEXT,
        stats   TEXT
    ) STRICT
    """,
    "CREATE INDEX runs_by_job ON runs (job, number)",
    """
    CREATE TABLE history (
        seq     INTEGER PRIMARY KEY AUTOINCREMENT,
        job     TEXT NOT NULL,
        value   TEXT NOT NULL,
        origin  TEXT NOT NULL,
        run     TEXT,
        at      TEXT NOT NULL,
        records INTEGER,
        of      INTEGER,
        reason  TEXT,
        by      TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX history_by_job ON history (job, seq)",
    # I4: what happened to a bookmark stays on record.
    """
    CREATE TRIGGER history_is_final BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END
    """,
    """
    CREATE TRIGGER history_stays BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END
    """,
)

# The order of what happened must not hang on the clock, which can stand still or jump: a change by hand is placed after
# the job's last run, which is known when it is made.
_SECOND = ("ALTER TABLE history ADD COLUMN after_run INTEGER",)

# What a run did in several attempts (`waited` where another was to follow), the failures of each plugin in a row
# (`since` the last one, or since a run was let through to try), and the SCHEMA that earlier runs saw of each stream.
_THIRD = (
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
    """
    CREATE TABLE breakers (
        plugin   TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        since    REAL NOT NULL,
        reason   TEXT,
        message  TEXT
    ) STRICT
    """,
    """
    CREATE TABLE schemas (
        job            TEXT NOT NULL REFERENCES jobs (name),
        stream         TEXT NOT NULL,
        schema         TEXT NOT NULL,
        key_properties TEXT NOT NULL,
        run            TEXT,
        at             TEXT NOT NULL,
        PRIMARY KEY (job, stream)
    ) STRICT
    """,
)

# What a destination was last told of each stream: its name there, its rows' generation, the least that was to stay.
_FOURTH = (
    """
    CREATE TABLE generations (
        job        TEXT NOT NULL REFERENCES jobs (name),
        stream     TEXT NOT NULL,
        generation INTEGER NOT NULL,
        minimum    INTEGER NOT NULL,
        name       TEXT NOT NULL,
        namespace  TEXT,
        PRIMARY KEY (job, stream)
    ) STRICT
    """,
)

MIGRATIONS: tuple[Sequence[str], ...] = (_FIRST, _SECOND, _THIRD, _FOURTH)


class NotOurs(Exception):
    """The file is a SQLite file, but not one that this Dativo can use. The message says why."""


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_owner(connection: sqlite3.Connection, known: int = len(MIGRATIONS)) -> None:
    """Refuse another program's file and a newer Dativo's."""
    with _one_moment(connection):  # or another process's migration falls between two of the questions
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        applied = version(connection)
    if identity != APPLICATION_ID and (identity or tables or applied):
        raise NotOurs("it is another program's SQLite file")
    if applied > known:
        raise NotOurs("it was written by a newer Dativo")


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment, that of the transaction around it if there is one."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        # PRAGMA alone may be answered from before the snapshot: it begins with the first read of a table.
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        yield
    finally:
        connection.execute("ROLLBACK")


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the file to the newest version, all in one transaction. Safe when two processes open a new file at once."""
    check_owner(connection, len(migrations))
    if version(connection) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        check_owner(connection, len(migrations))  # another process may have been first
        for statements in migrations[version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
