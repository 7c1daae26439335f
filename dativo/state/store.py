"""The state store: one SQLite file with bookmarks, their history, runs and leases.

Every change is one `BEGIN IMMEDIATE` transaction that is on disk (fsync) when the method returns (I2), and every write
of a run checks the fencing token in that same transaction (I5).
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from dativo import errors
from dativo.state import attempts, breakers, schema
from dativo.state.attempts import AttemptEntry
from dativo.state.bookmark import Bookmark, exact_text, with_stream, without_stream
from dativo.state.breakers import OpenBreaker
from dativo.state.faults import translated
from dativo.state.lease import Holder, Lease
from dativo.state.record import Entry, JobState, read_jobs, read_log

BUSY_TIMEOUT = 10.0
LEASE_TTL = 60.0
_BOOKMARK = "SELECT job, value, origin, run, at, records, of FROM bookmarks WHERE job = ?"


class Store:
    """An open state store. Use as a context manager, from one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for writing; makes the file (mode 0600) where there is none."""
        with translated(path):
            _make(path)
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                schema.check_owner(connection)  # before anything is written into a file that may not be ours
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = FULL")  # I2: fsync at each commit, not at checkpoints only
                connection.execute("PRAGMA foreign_keys = ON")
                schema.migrate(connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open without changing anything; a store that does not exist reads as an empty one."""
        if not path.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            schema.migrate(connection)
            return cls(path, connection)
        with translated(path):
            # A read-only directory cannot hold the -shm file that WAL needs; where there is no log, the file says all.
            still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
            uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                schema.check_owner(connection)
                if schema.version(connection) < len(schema.MIGRATIONS):
                    connection.close()
                    return cls.open(path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the file. A lease that was not released stays until its holder is gone."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is durable when this returns, or none of it happened."""
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # -- leases (I5)

    def acquire(self, job: str, ttl: float = LEASE_TTL) -> Lease:
        """Take the job's lease, or raise BusyError job.busy naming who has it."""
        now = time.time()
        mine = Holder.this_process(_stamp(now))
        with self._writing() as db:
            db.execute("INSERT INTO jobs (name) VALUES (?) ON CONFLICT DO NOTHING", (job,))
            self._refuse_if_held(db, job, now)
            db.execute(
                "UPDATE runs SET ended = ?, verdict = 'interrupted', reason = 'delivery.interrupted', "
                "message = 'its process was gone' WHERE job = ? AND ended IS NULL",
                (_stamp(now), job),
            )
            token = db.execute(
                "UPDATE jobs SET token = token + 1, holder = ?, expires = ? WHERE name = ? RETURNING token",
                (mine.to_text(), now + ttl, job),
            ).fetchone()[0]
        return Lease(job, token, mine, ttl, now + ttl)

    def renew(self, lease: Lease) -> None:
        """Push the lease's end out by its ttl. Raises BusyError job.lease_lost if it is no longer ours."""
        expires = time.time() + lease.ttl
        with self._writing() as db:
            self._check_token(db, lease)
            db.execute("UPDATE jobs SET expires = ? WHERE name = ?", (expires, lease.job))
        lease.expires = expires

    def release(self, lease: Lease) -> None:
        """Give the lease back. Nothing happens if another run took it."""
        with self._writing() as db:
            db.execute(
                "UPDATE jobs SET holder = NULL, expires = NULL WHERE name = ? AND token = ?", (lease.job, lease.token)
            )

    @staticmethod
    def _check_token(db: sqlite3.Connection, lease: Lease) -> None:
        row = db.execute("SELECT token, holder FROM jobs WHERE name = ?", (lease.job,)).fetchone()
        if row is None or row[0] != lease.token or row[1] is None:
            raise errors.BusyError(
                "job.lease_lost",
                f"the lease of {lease.job} is no longer this run's; its bookmark was not written",
                context={"job": lease.job, "run": lease.run},
            )

    @staticmethod
    def _refuse_if_held(db: sqlite3.Connection, job: str, now: float) -> None:
        row = db.execute("SELECT holder, expires FROM jobs WHERE name = ?", (job,)).fetchone()
        if row is None or row[0] is None:
            return
        holder, expires = Holder.from_text(row[0]), float(row[1])
        alive = holder.alive()
        if alive is False or (alive is None and expires <= now):
            return  # dead, or unseen and expired: taken over, and fenced by the next token
        until = _stamp(expires)
        raise errors.BusyError(
            "job.busy",
            f"{job} is being run by pid {holder.pid} on {holder.host} since {_clock(holder.since)} "
            f"(lease until {_clock(until)})",
            context={"job": job, "pid": holder.pid, "host": holder.host, "since": holder.since, "until": until},
        )

    # -- runs

    def start_run(self, lease: Lease) -> str:
        """Record that a run began; its identifier is unique and sorts by time."""
        now = time.time()
        with self._writing() as db:
            self._check_token(db, lease)
            self._settle(db, lease.job)
            name = f"r-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{secrets.token_hex(4)}"
            db.execute("INSERT INTO runs (id, job, started) VALUES (?, ?, ?)", (name, lease.job, _stamp(now)))
        lease.run = name
        return name

    def end_run(
        self, run: str, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None = None
    ) -> None:
        """Record how a run ended, and put its last bookmark into the history."""
        with self._writing() as db:
            row = db.execute(
                "UPDATE runs SET ended = ?, verdict = ?, reason = ?, message = ?, stats = ? WHERE id = ? RETURNING job",
                (_stamp(), verdict, reason, message, json.dumps(stats, default=str), run),
            ).fetchone()
            if row is not None:
                self._settle(db, row[0], only_run=run)

    # -- attempts and breakers

    def start_attempt(self, run: str, number: int) -> None:
        """Record that an attempt of a run began."""
        with self._writing() as db:
            attempts.start(db, run, number, _stamp())

    def end_attempt(
        self,
        run: str,
        number: int,
        verdict: str,
        *,
        cause: str | None = None,
        reason: str | None = None,
        message: str | None = None,
        waited: float | None = None,
    ) -> None:
        """Record how it ended; `waited` are the seconds until the next one, None if none is to follow."""
        with self._writing() as db:
            attempts.end(
                db, run, number, _stamp(), verdict=verdict, cause=cause, reason=reason, message=message, waited=waited
            )

    def attempts(self, run: str) -> list[AttemptEntry]:
        """A run's attempts, in order."""
        with translated(self.path):
            return attempts.read(self._db, run)

    def retries(self, job: str, seconds: float) -> int:
        """How often the job's runs were retried in the last seconds."""
        with translated(self.path):
            return attempts.retries_since(self._db, job, _stamp(time.time() - seconds))

    def enter_breaker(self, plugin: str, failures: int, pause: float) -> OpenBreaker | None:
        """None when a run with the plugin may start; once its pause is over, the first that asks may."""
        with self._writing() as db:
            return breakers.enter(db, plugin, failures, pause, time.time())

    def breaker_failed(self, plugin: str, reason: str, message: str) -> None:
        """One more failed run that is blamed on the plugin."""
        with self._writing() as db:
            breakers.failed(db, plugin, time.time(), reason, message)

    def close_breaker(self, plugin: str) -> None:
        """Count the plugin's failures from nothing."""
        with self._writing() as db:
            breakers.close(db, plugin)

    # -- bookmarks

    def bookmark(self, job: str) -> Bookmark | None:
        """The job's bookmark; origin `clear` when a user cleared it, None when there never was one."""
        with translated(self.path):
            row = self._db.execute(_BOOKMARK, (job,)).fetchone()
        return Bookmark(*row) if row else None

    def commit(
        self,
        lease: Lease,
        value: str | Mapping[str, Any],
        records: int | None = None,
        of: int | None = None,
        *,
        origin: str = "run",
    ) -> None:
        """Persist a bookmark that the target confirmed (I1). Durable when this returns (I2).

        `value` is best given as the exact JSON text. `origin` is "adopted" for one that the destination remembered.
        """
        text = exact_text(value)
        with self._writing() as db:
            self._check_token(db, lease)  # I5: in the transaction that writes
            self._write(db, lease.job, text, origin, run=lease.run, records=records, of=of)
            if origin == "adopted":  # the run will move on from here: this step stays on record
                self._settle(db, lease.job)

    def set(
        self, job: str, value: str | Mapping[str, Any], stream: str | None = None, reason: str | None = None
    ) -> None:
        """Replace the bookmark, or one stream's part of it, by hand (I4: explicit, and kept in the history)."""
        with self._editing(job) as db:
            text = exact_text(value)
            if stream is not None:
                row = db.execute(_BOOKMARK, (job,)).fetchone()
                text = with_stream(row[1] if row else "{}", stream, text)
            self._write(db, job, text, "set")
            self._settle(db, job, reason=reason)

    def clear(self, job: str, stream: str | None = None, reason: str | None = None) -> None:
        """Forget the bookmark, or one stream's part of it: the next run reads that from the start."""
        with self._editing(job) as db:
            row = db.execute(_BOOKMARK, (job,)).fetchone()
            if row is None:
                raise errors.ConfigError("state.unknown", f"{job} has no bookmark")
            text = "{}" if stream is None else without_stream(row[1], stream)
            self._write(db, job, text, "clear" if stream is None else "set")
            self._settle(db, job, reason=reason or (f"cleared {stream}" if stream else None))

    @contextmanager
    def _editing(self, job: str) -> Iterator[sqlite3.Connection]:
        """A change by hand: refused while a run holds the job, and any older lease is fenced off (I5)."""
        with self._writing() as db:
            self._refuse_if_held(db, job, time.time())
            db.execute("INSERT INTO jobs (name) VALUES (?) ON CONFLICT DO NOTHING", (job,))
            db.execute("UPDATE jobs SET token = token + 1, holder = NULL, expires = NULL WHERE name = ?", (job,))
            self._settle(db, job)
            yield db

    @staticmethod
    def _write(
        db: sqlite3.Connection,
        job: str,
        text: str,
        origin: str,
        *,
        run: str | None = None,
        records: int | None = None,
        of: int | None = None,
    ) -> None:
        db.execute(
            "INSERT INTO bookmarks (job, value, origin, run, at, records, of) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (job) DO UPDATE SET value = excluded.value, origin = excluded.origin, run = excluded.run, "
            "at = excluded.at, records = excluded.records, of = excluded.of, settled = 0",
            (job, text, origin, run, _stamp(), records, of),
        )

    @staticmethod
    def _settle(db: sqlite3.Connection, job: str, only_run: str | None = None, reason: str | None = None) -> None:
        """Append the bookmark to the history if it is not there yet.

        A run moves its bookmark often; the history takes where the run stopped: at its end, or, if it died, before the
        next change to the job.
        """
        holder = Holder.this_process("")
        db.execute(
            "INSERT INTO history (job, value, origin, run, at, records, of, reason, by, after_run) "
            "SELECT job, value, origin, run, at, records, of, ?, ?, "
            "(SELECT max(number) FROM runs WHERE runs.job = bookmarks.job) FROM bookmarks "
            "WHERE job = ? AND NOT settled AND (? IS NULL OR run = ?)",
            (reason, f"{holder.user}@{holder.host}", job, only_run, only_run),
        )
        db.execute(
            "UPDATE bookmarks SET settled = 1 WHERE job = ? AND (? IS NULL OR run = ?)", (job, only_run, only_run)
        )

    # -- reading

    def jobs(self) -> list[JobState]:
        """Every job that has a bookmark, a run or a lease."""
        with translated(self.path):
            return read_jobs(self._db)

    def log(self, job: str, stream: str | None = None, limit: int | None = None) -> list[Entry]:
        """What happened to a job's bookmark, newest first; with `stream`, only what that stream took part in."""
        with translated(self.path):
            entries = read_log(self._db, job, limit if stream is None else None)
        if stream is not None:
            entries = [entry for entry in entries if entry.concerns(stream)]
        return entries if limit is None else entries[:limit]

    def check(self) -> list[str]:
        """What SQLite finds wrong in the file; nothing is an empty list."""
        with translated(self.path):
            found = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check(5)")]
        return [] if found == ["ok"] else found

    def journal_mode(self) -> str:
        """`wal` where the file system can; anything else is slower but as safe."""
        with translated(self.path):
            return str(self._db.execute("PRAGMA journal_mode").fetchone()[0])


def _make(path: Path) -> None:
    """Make the file, private to its owner, and its name durable."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for locks here, so two processes that open a new file would collide."""
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return


def _stamp(at: float | None = None) -> str:
    """UTC in RFC 3339, with milliseconds."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(stamp: str) -> str:
    """A time of today as people say it, in the local zone; with the date if it is another day's."""
    moment = datetime.fromisoformat(stamp).astimezone()
    today = moment.date() == datetime.now(moment.tzinfo).date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
