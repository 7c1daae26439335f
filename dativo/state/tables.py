"""The tables of the PostgreSQL store, as numbered migrations. A migration is never edited once released: add the next.

`about` counts the migrations applied and tells our schema from another program's.
"""

from __future__ import annotations

from collections.abc import Sequence

from dativo.state.sql import Transaction

SCHEMA = "dativo"
NAMES = ("jobs", "bookmarks", "runs", "attempts", "breakers", "history", "schemas", "generations")
_LOCK = 0x44617469
"""Of the advisory lock that one process holds while it makes the tables."""

_FIRST = (
    "CREATE TABLE about (program TEXT NOT NULL, migrations INTEGER NOT NULL)",
    "INSERT INTO about VALUES ('dativo', 0)",
    # The lease lives in the job's row. `token` only ever grows: it is the fencing token (I5).
    """
    CREATE TABLE jobs (
        name    TEXT PRIMARY KEY,
        token   BIGINT NOT NULL DEFAULT 0,
        holder  TEXT,
        expires DOUBLE PRECISION
    )
    """,
    # One row a job: where its next run starts. `settled` says that the history has this value already.
    """
    CREATE TABLE bookmarks (
        job     TEXT PRIMARY KEY REFERENCES jobs (name),
        value   TEXT NOT NULL,
        origin  TEXT NOT NULL CHECK (origin IN ('run', 'set', 'clear', 'adopted')),
        run     TEXT,
        at      TEXT NOT NULL,
        records BIGINT,
        of      BIGINT,
        settled INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE runs (
        number  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id      TEXT NOT NULL UNIQUE,
        job     TEXT NOT NULL REFERENCES jobs (name),
        started TEXT NOT NULL,
        ended   TEXT,
        verdict TEXT,
        reason  TEXT,
        message TEXT,
        stats   TEXT
    )
    """,
    "CREATE INDEX runs_by_job ON runs (job, number)",
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
        waited  DOUBLE PRECISION,
        PRIMARY KEY (run, number)
    )
    """,
    """
    CREATE TABLE breakers (
        plugin   TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        since    DOUBLE PRECISION NOT NULL,
        reason   TEXT,
        message  TEXT
    )
    """,
    """
    CREATE TABLE history (
        seq       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        job       TEXT NOT NULL,
        value     TEXT NOT NULL,
        origin    TEXT NOT NULL,
        run       TEXT,
        at        TEXT NOT NULL,
        records   BIGINT,
        of        BIGINT,
        reason    TEXT,
        by        TEXT NOT NULL,
        after_run BIGINT
    )
    """,
    "CREATE INDEX history_by_job ON history (job, seq)",
    # I4: what happened to a bookmark stays on record.
    """
    CREATE FUNCTION history_is_final() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the history is append-only'; END $$
    """,
    """
    CREATE TRIGGER history_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON history
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final()
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
    )
    """,
)

_SECOND = (
    """
    CREATE TABLE generations (
        job        TEXT NOT NULL REFERENCES jobs (name),
        stream     TEXT NOT NULL,
        generation BIGINT NOT NULL,
        minimum    BIGINT NOT NULL,
        name       TEXT NOT NULL,
        namespace  TEXT,
        PRIMARY KEY (job, stream)
    )
    """,
)

MIGRATIONS: tuple[Sequence[str], ...] = (_FIRST, _SECOND)


class NotOurs(Exception):
    """There is a schema of that name, but not one that this Dativo can use. The message says why."""


def version(db: Transaction) -> int | None:
    """How many migrations were applied; None where there is no schema, or an empty one."""
    known = [row[0] for row in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = ?", (SCHEMA,)).fetchall()]
    if not known:
        return None
    if "about" not in known:
        raise NotOurs("it holds another program's tables")
    columns = db.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = 'about'", (SCHEMA,)
    ).fetchall()
    found = None
    if {one[0] for one in columns} == {"program", "migrations"}:
        found = db.execute("SELECT migrations FROM about WHERE program = 'dativo'").fetchone()
    if found is None:
        raise NotOurs("it holds another program's tables")
    if found[0] > len(MIGRATIONS):
        raise NotOurs("it was written by a newer Dativo")
    return int(found[0])


def migrate(db: Transaction) -> None:
    """Bring the schema to the newest version, in the caller's transaction; one process at a time."""
    db.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
    applied = version(db)
    there = db.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (SCHEMA,)).fetchone()
    if there is None:
        db.execute(f"CREATE SCHEMA {SCHEMA}")
    for statements in MIGRATIONS[applied or 0 :]:
        for statement in statements:
            db.execute(statement)
    db.execute("UPDATE about SET migrations = ?", (len(MIGRATIONS),))
