"""What the stores in a database have in common: the statements, in the SQL that SQLite and PostgreSQL share.

A subclass gives a transaction (`_writing`), reads (`_rows`) and, where rows are locked one by one, `LOCK`.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from typing import Any, Protocol

from dativo.state.attempts import AttemptEntry
from dativo.state.bookmark import Bookmark, exact_text, with_stream, without_stream
from dativo.state.breakers import Breaker, OpenBreaker
from dativo.state.lease import Holder, Lease
from dativo.state.record import Entry, JobState
from dativo.state.store import (
    LEASE_TTL,
    Store,
    by_whom,
    lease_lost,
    no_bookmark,
    refuse_if_held,
    run_name,
    schema_text,
    stamp,
)

_BOOKMARK = "SELECT job, value, origin, run, at, records, of FROM bookmarks WHERE job = ?"
_RUNS_LAST = "SELECT id, verdict, ended FROM runs WHERE job = ? ORDER BY number DESC LIMIT 1"
_ATTEMPTS = (
    "SELECT number, started, ended, verdict, cause, reason, message, waited FROM attempts WHERE run = ? ORDER BY number"
)
_ENDLESS = 1 << 62
# Newest first, by what the store counts and not by the clock: the run, then what was done by hand after it, then the
# order of writing. Rows of a store older than `after_run` have only their time to go by.
_LOG = f"""
    SELECT at, origin, value, records, of, run, number, verdict, why, message, stats, by FROM (
        SELECT h.at, h.origin, h.value, h.records, h.of, h.run, r.number, r.verdict,
               coalesce(h.reason, r.reason) AS why, r.message, r.stats, h.by, h.seq,
               coalesce(r.number, h.after_run,
                   (SELECT max(number) FROM runs WHERE job = h.job AND started <= h.at), 0) AS place
        FROM history h LEFT JOIN runs r ON r.id = h.run WHERE h.job = ?
        UNION ALL
        SELECT b.at, b.origin, b.value, b.records, b.of, b.run, r.number, r.verdict,
               r.reason, r.message, r.stats, NULL, {_ENDLESS}, coalesce(r.number, {_ENDLESS})
        FROM bookmarks b LEFT JOIN runs r ON r.id = b.run WHERE b.job = ? AND b.settled = 0
        UNION ALL
        SELECT coalesce(r.ended, r.started), 'run', NULL, NULL, NULL, r.id, r.number, r.verdict,
               r.reason, r.message, r.stats, NULL, 0, r.number
        FROM runs r WHERE r.job = ?
            AND NOT EXISTS (SELECT 1 FROM history h WHERE h.job = r.job AND h.run = r.id)
            AND NOT EXISTS (SELECT 1 FROM bookmarks b WHERE b.job = r.job AND b.run = r.id AND b.settled = 0)
    ) AS found ORDER BY place DESC, number IS NULL DESC, seq DESC LIMIT ?
"""


class Rows(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The rest of the rows."""


class Transaction(Protocol):
    """Takes statements with `?` for each value."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""


class SqlStore(Store):
    """A store in a database."""

    LOCK = ""
    """What keeps a row that was read as it is until the transaction ends."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """One transaction: all of it is durable when this returns, or none of it happened."""

    @abstractmethod
    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query, outside any transaction."""

    def _now(self, db: Transaction) -> float:
        """The time that leases are measured with."""
        return time.time()

    # -- leases (I5)

    def acquire(self, job: str, ttl: float = LEASE_TTL) -> Lease:
        """Take the job's lease, or raise BusyError job.busy naming who has it."""
        mine = Holder.this_process(stamp())
        with self._writing() as db:
            db.execute("INSERT INTO jobs (name) VALUES (?) ON CONFLICT DO NOTHING", (job,))
            now = self._free(db, job)
            ended = "ended = ?, verdict = 'interrupted', reason = 'delivery.interrupted', message = ?"
            gone = (stamp(), "its process was gone", job)
            db.execute(f"UPDATE runs SET {ended} WHERE job = ? AND ended IS NULL", gone)
            db.execute(
                f"UPDATE attempts SET {ended} WHERE ended IS NULL AND run IN (SELECT id FROM runs WHERE job = ?)",
                gone,
            )
            token = db.execute(
                "UPDATE jobs SET token = token + 1, holder = ?, expires = ? WHERE name = ? RETURNING token",
                (mine.to_text(), now + ttl, job),
            ).fetchone()[0]
        return Lease(job, token, mine, ttl, now + ttl)

    def renew(self, lease: Lease) -> None:
        """Push the lease's end out by its ttl. Raises BusyError job.lease_lost if it is no longer ours."""
        with self._writing() as db:
            self._check_token(db, lease)
            expires = self._now(db) + lease.ttl
            db.execute("UPDATE jobs SET expires = ? WHERE name = ?", (expires, lease.job))
        lease.expires = expires

    def release(self, lease: Lease) -> None:
        """Give the lease back. Nothing happens if another run took it."""
        with self._writing() as db:
            db.execute(
                "UPDATE jobs SET holder = NULL, expires = NULL WHERE name = ? AND token = ?", (lease.job, lease.token)
            )

    def _check_token(self, db: Transaction, lease: Lease) -> None:
        row = db.execute(f"SELECT token, holder FROM jobs WHERE name = ?{self.LOCK}", (lease.job,)).fetchone()
        if row is None or row[0] != lease.token or row[1] is None:
            raise lease_lost(lease)

    def _free(self, db: Transaction, job: str, *, by_hand: bool = False) -> float:
        """Make sure that nobody holds the job; returns the time by which that was judged."""
        row = db.execute(f"SELECT holder, expires FROM jobs WHERE name = ?{self.LOCK}", (job,)).fetchone()
        now = self._now(db)
        if row is not None and row[0] is not None:
            refuse_if_held(job, Holder.from_text(row[0]), float(row[1]), now, by_hand=by_hand)
        return now

    # -- runs

    def start_run(self, lease: Lease, stats: Mapping[str, Any] | None = None) -> str:
        """Record that a run began, with what is known of it by then; its identifier is unique and sorts by time."""
        name = run_name()
        with self._writing() as db:
            self._check_token(db, lease)
            self._settle(db, lease.job)
            told = json.dumps(stats) if stats else None
            db.execute(
                "INSERT INTO runs (id, job, started, stats) VALUES (?, ?, ?, ?)", (name, lease.job, stamp(), told)
            )
        lease.run = name
        return name

    def end_run(
        self, run: str, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None = None
    ) -> None:
        """Record how a run ended, and put its last bookmark into the history."""
        with self._writing() as db:
            row = db.execute("SELECT job FROM runs WHERE id = ?", (run,)).fetchone()
            if row is None:
                return
            db.execute(f"SELECT token FROM jobs WHERE name = ?{self.LOCK}", (row[0],))
            db.execute(
                "UPDATE runs SET ended = ?, verdict = ?, reason = ?, message = ?, stats = ? WHERE id = ?",
                (stamp(), verdict, reason, message, json.dumps(stats, default=str), run),
            )
            self._settle(db, row[0], only_run=run)

    def start_attempt(self, run: str, number: int) -> None:
        """Record that an attempt of a run began; the first is number 1."""
        with self._writing() as db:
            db.execute("INSERT INTO attempts (run, number, started) VALUES (?, ?, ?)", (run, number, stamp()))

    def end_attempt(  # noqa: PLR0917 - what is known of an attempt, in the order of its columns
        self,
        run: str,
        number: int,
        verdict: str,
        cause: str | None = None,
        reason: str | None = None,
        message: str | None = None,
        waited: float | None = None,
    ) -> None:
        """Record how an attempt ended and why; `waited` are the seconds until the next one."""
        with self._writing() as db:
            db.execute(
                "UPDATE attempts SET ended = ?, verdict = ?, cause = ?, reason = ?, message = ?, waited = ? "
                "WHERE run = ? AND number = ?",
                (stamp(), verdict, cause, reason, message, waited, run, number),
            )

    def attempts(self, run: str) -> list[AttemptEntry]:
        """The attempts of a run, first to last."""
        return [AttemptEntry(*row) for row in self._rows(_ATTEMPTS, (run,))]

    # -- breakers

    def retries(self, job: str, seconds: float) -> int:
        """How often an attempt of any of the job's runs was to be followed by another in the last seconds."""
        rows = self._rows(
            "SELECT count(*) FROM attempts a JOIN runs r ON r.id = a.run "
            "WHERE r.job = ? AND a.waited IS NOT NULL AND a.ended >= ?",
            (job, stamp(time.time() - seconds)),
        )
        return int(rows[0][0]) if rows else 0

    def enter_breaker(self, plugin: str, failures: int, pause: float) -> OpenBreaker | None:
        """None when a run with the plugin may start. Once the pause is over one may try, the others wait another."""
        with self._writing() as db:
            row = db.execute(
                f"SELECT plugin, failures, since, reason, message FROM breakers WHERE plugin = ?{self.LOCK}", (plugin,)
            ).fetchone()
            now = self._now(db)
            refused = Breaker(*row).refuses(failures, pause, now) if row else None
            if row and refused is None and row[1] >= failures:
                db.execute("UPDATE breakers SET since = ? WHERE plugin = ?", (now, plugin))
        return refused

    def breaker_failed(self, plugin: str, reason: str, message: str) -> None:
        """One more failed run that is blamed on the plugin."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO breakers (plugin, failures, since, reason, message) VALUES (?, 1, ?, ?, ?) "
                "ON CONFLICT (plugin) DO UPDATE SET failures = breakers.failures + 1, since = excluded.since, "
                "reason = excluded.reason, message = excluded.message",
                (plugin, self._now(db), reason, message),
            )

    def close_breaker(self, plugin: str) -> None:
        """Count the plugin's failures from nothing."""
        with self._writing() as db:
            db.execute("DELETE FROM breakers WHERE plugin = ?", (plugin,))

    # -- bookmarks

    def bookmark(self, job: str) -> Bookmark | None:
        """The job's bookmark; origin `clear` when a user cleared it, None when there never was one."""
        rows = self._rows(_BOOKMARK, (job,))
        return Bookmark(*rows[0]) if rows else None

    def commit(
        self,
        lease: Lease,
        value: str | Mapping[str, Any],
        records: int | None = None,
        of: int | None = None,
        *,
        origin: str = "run",
    ) -> None:
        """Persist a bookmark that the target confirmed (I1). Durable when this returns (I2)."""
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
                raise no_bookmark(job)
            text = "{}" if stream is None else without_stream(row[1], stream)
            self._write(db, job, text, "clear" if stream is None else "set")
            self._settle(db, job, reason=reason or (f"cleared {stream}" if stream else None))

    @contextmanager
    def _editing(self, job: str) -> Iterator[Transaction]:
        """A change by hand: refused while a run holds the job, and any older lease is fenced off (I5)."""
        with self._writing() as db:
            db.execute("INSERT INTO jobs (name) VALUES (?) ON CONFLICT DO NOTHING", (job,))
            self._free(db, job, by_hand=True)
            db.execute("UPDATE jobs SET token = token + 1, holder = NULL, expires = NULL WHERE name = ?", (job,))
            self._settle(db, job)
            yield db

    @staticmethod
    def _write(
        db: Transaction,
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
            (job, text, origin, run, stamp(), records, of),
        )

    @staticmethod
    def _settle(db: Transaction, job: str, only_run: str | None = None, reason: str | None = None) -> None:
        """Append the bookmark to the history if it is not there yet.

        A run moves its bookmark often; the history takes where the run stopped: at its end, or, if it died, before the
        next change to the job.
        """
        mine = "AND run = ?" if only_run is not None else ""
        where = (job,) if only_run is None else (job, only_run)
        db.execute(
            "INSERT INTO history (job, value, origin, run, at, records, of, reason, by, after_run) "
            "SELECT job, value, origin, run, at, records, of, cast(? AS TEXT), cast(? AS TEXT), "
            "(SELECT max(number) FROM runs WHERE runs.job = bookmarks.job) FROM bookmarks "
            f"WHERE job = ? AND settled = 0 {mine}",
            (reason, by_whom(), *where),
        )
        db.execute(f"UPDATE bookmarks SET settled = 1 WHERE job = ? {mine}", where)

    # -- schemas

    def remember_schema(
        self, lease: Lease, stream: str, schema: Mapping[str, Any], key_properties: Sequence[str]
    ) -> None:
        """Keep the SCHEMA that a run saw of a stream; the last one counts."""
        with self._writing() as db:
            self._check_token(db, lease)
            db.execute(
                "INSERT INTO schemas (job, stream, schema, key_properties, run, at) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (job, stream) DO UPDATE SET schema = excluded.schema, run = excluded.run, "
                "key_properties = excluded.key_properties, at = excluded.at",
                (lease.job, stream, schema_text(schema), json.dumps(list(key_properties)), lease.run, stamp()),
            )

    def schemas(self, job: str) -> dict[str, dict[str, Any]]:
        """`{STREAM: {"schema": …, "key_properties": […]}}` as earlier runs saw them."""
        rows = self._rows("SELECT stream, schema, key_properties FROM schemas WHERE job = ? ORDER BY stream", (job,))
        return {name: {"schema": json.loads(schema), "key_properties": json.loads(keys)} for name, schema, keys in rows}

    # -- generations

    def remember_generations(self, lease: Lease, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what a destination is about to be told of these streams."""
        with self._writing() as db:
            self._check_token(db, lease)
            for stream, one in told.items():
                db.execute(
                    "INSERT INTO generations (job, stream, generation, minimum, name, namespace) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (job, stream) DO UPDATE SET "
                    "generation = excluded.generation, minimum = excluded.minimum, "
                    "name = excluded.name, namespace = excluded.namespace",
                    (lease.job, stream, one["generation"], one["minimum"], one["name"], one["namespace"]),
                )

    def generations(self, job: str) -> dict[str, dict[str, Any]]:
        """`{STREAM: {"generation": 7, "minimum": 7, "name": …, "namespace": …}}` as its destination was last told."""
        keys = ("generation", "minimum", "name", "namespace")
        rows = self._rows(
            "SELECT stream, generation, minimum, name, namespace FROM generations WHERE job = ? ORDER BY stream", (job,)
        )
        return {stream: dict(zip(keys, one, strict=True)) for stream, *one in rows}

    # -- reading

    def jobs(self) -> list[JobState]:
        """Every job that has a bookmark, a run or a lease."""
        found = []
        for name, holder_text in self._rows("SELECT name, holder FROM jobs ORDER BY name"):
            run = [*self._rows(_RUNS_LAST, (name,)), (None, None, None)][0]
            holder = Holder.from_text(holder_text) if holder_text else None
            if holder is not None and holder.alive() is False:
                holder = None
            found.append(JobState(name, self.bookmark(name), holder, *run))
        return found

    def log(self, job: str, stream: str | None = None, limit: int | None = None) -> list[Entry]:
        """What happened to a job's bookmark, newest first; with `stream`, only what that stream took part in."""
        most = limit if limit is not None and stream is None else _ENDLESS
        names = [one.name for one in fields(Entry)]
        entries = [dict(zip(names, row, strict=False)) for row in self._rows(_LOG, (job, job, job, most))]
        found = [Entry(**(entry | {"stats": json.loads(entry["stats"] or "{}")})) for entry in entries]
        if stream is not None:
            found = [entry for entry in found if entry.concerns(stream)]
        return found if limit is None else found[:limit]
