"""What a state store promises, whichever it is: `Store` is what `dativo.run` and `dativo.cli` work with.

`Store.open` takes the SQLite file's path or a `Location` and imports only the store that it needs. Every change is one
atomic step that is durable when the method returns (I2), and every write of a run checks the fencing token in that
same step (I5). The tests in tests/state/test_stores.py hold all of them to the same words.
"""

from __future__ import annotations

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dativo import errors
from dativo.state.lease import Holder, Lease
from dativo.state.location import Location

if TYPE_CHECKING:
    from dativo.state.attempts import AttemptEntry
    from dativo.state.bookmark import Bookmark
    from dativo.state.breakers import OpenBreaker
    from dativo.state.record import Entry, JobState

LEASE_TTL = 60.0
BACKFILL = "@backfill-"
"""Between a job's name and what tells its backfills apart: no job of a project can have such a name."""
KINDS = {
    "sqlite": "dativo.state.sqlite:SqliteStore",
    "file": "dativo.state.files:FileStore",
    "postgresql": "dativo.state.postgres:PostgresStore",
    "objects": "dativo.state.objects:ObjectStore",
}


class Store(ABC):
    """An open state store. Use as a context manager, from one thread."""

    place: str
    """Where it is, as it is said to people: never with a password (I13)."""

    @staticmethod
    def open(where: Path | Location) -> Store:
        """Open for writing; makes it where there is none."""
        at = Location.of_path(where) if isinstance(where, Path) else where
        return _kind(at).opened(at)

    @staticmethod
    def open_to_read(where: Path | Location) -> Store:
        """Open without changing anything; a store that does not exist reads as an empty one."""
        at = Location.of_path(where) if isinstance(where, Path) else where
        return _kind(at).opened(at, to_read=True)

    @classmethod
    @abstractmethod
    def opened(cls, at: Location, *, to_read: bool = False) -> Store:
        """Open this kind of store."""

    @abstractmethod
    def close(self) -> None:
        """Close it. A lease that was not released stays until its holder is gone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- leases (I5)

    @abstractmethod
    def acquire(self, job: str, ttl: float = LEASE_TTL) -> Lease:
        """Take the job's lease, or raise BusyError job.busy naming who has it."""

    @abstractmethod
    def renew(self, lease: Lease) -> None:
        """Push the lease's end out by its ttl. Raises BusyError job.lease_lost if it is no longer ours."""

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give the lease back. Nothing happens if another run took it."""

    # -- runs

    @abstractmethod
    def start_run(self, lease: Lease, stats: Mapping[str, Any] | None = None) -> str:
        """Record that a run began, with what is known of it by then; its identifier is unique and sorts by time."""

    @abstractmethod
    def end_run(
        self, run: str, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None = None
    ) -> None:
        """Record how a run ended, and put its last bookmark into the history."""

    @abstractmethod
    def start_attempt(self, run: str, number: int) -> None:
        """Record that an attempt of a run began; the first is number 1."""

    @abstractmethod
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
        """Record how an attempt ended and why; `waited` are the seconds until the next one, None without one."""

    @abstractmethod
    def attempts(self, run: str) -> list[AttemptEntry]:
        """The attempts of a run, first to last."""

    # -- breakers

    @abstractmethod
    def retries(self, job: str, seconds: float) -> int:
        """How often an attempt of any of the job's runs was to be followed by another in the last seconds."""

    @abstractmethod
    def enter_breaker(self, plugin: str, failures: int, pause: float) -> OpenBreaker | None:
        """None when a run with the plugin may start. Once the pause is over one may try, the others wait another."""

    @abstractmethod
    def breaker_failed(self, plugin: str, reason: str, message: str) -> None:
        """One more failed run that is blamed on the plugin."""

    @abstractmethod
    def close_breaker(self, plugin: str) -> None:
        """Count the plugin's failures from nothing."""

    # -- bookmarks

    @abstractmethod
    def bookmark(self, job: str) -> Bookmark | None:
        """The job's bookmark; origin `clear` when a user cleared it, None when there never was one."""

    @abstractmethod
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

    @abstractmethod
    def set(
        self, job: str, value: str | Mapping[str, Any], stream: str | None = None, reason: str | None = None
    ) -> None:
        """Replace the bookmark, or one stream's part of it, by hand (I4: explicit, and kept in the history)."""

    @abstractmethod
    def clear(self, job: str, stream: str | None = None, reason: str | None = None) -> None:
        """Forget the bookmark, or one stream's part of it: the next run reads that from the start."""

    # -- schemas

    @abstractmethod
    def remember_schema(
        self, lease: Lease, stream: str, schema: Mapping[str, Any], key_properties: Sequence[str]
    ) -> None:
        """Keep the SCHEMA that a run saw of a stream; the last one counts."""

    @abstractmethod
    def schemas(self, job: str) -> dict[str, dict[str, Any]]:
        """`{STREAM: {"schema": …, "key_properties": […]}}` as earlier runs saw them."""

    # -- generations

    @abstractmethod
    def remember_generations(self, lease: Lease, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what a destination is about to be told of these streams."""

    @abstractmethod
    def generations(self, job: str) -> dict[str, dict[str, Any]]:
        """`{STREAM: {"generation": 7, "minimum": 7, "name": …, "namespace": …}}` as its destination was last told."""

    # -- reading

    @abstractmethod
    def jobs(self) -> list[JobState]:
        """Every job that has a bookmark, a run or a lease; backfills among them under names of their own."""

    @abstractmethod
    def log(self, job: str, stream: str | None = None, limit: int | None = None) -> list[Entry]:
        """What happened to a job's bookmark, newest first; with `stream`, only what that stream took part in."""

    @abstractmethod
    def check(self) -> list[str]:
        """What is wrong in the store; nothing is an empty list."""

    @abstractmethod
    def describe(self) -> str:
        """The store in a few words, for `dativo doctor`."""


def _kind(at: Location) -> type[Store]:
    module, _, name = KINDS[at.kind].partition(":")
    found: type[Store] = getattr(import_module(module), name)
    return found


# -- what every store says and writes alike


def lease_lost(lease: Lease) -> errors.BusyError:
    """The error for a holder that was given up."""
    return errors.BusyError(
        "job.lease_lost",
        f"the lease of {lease.job} is no longer this run's; its bookmark was not written",
        context={"job": lease.job, "run": lease.run},
    )


def refuse_if_held(
    job: str, holder: Holder | None, expires: float | None, now: float, *, by_hand: bool = False
) -> None:
    """Raise job.busy unless the job is free, its holder is dead, or it cannot be seen from here and has expired."""
    if holder is None:
        return
    ends = expires or 0.0
    alive = holder.alive()
    if alive is False or (alive is None and ends <= now):
        return  # taken over, and fenced by the next token
    until = stamp(ends)
    raise errors.BusyError(
        "job.busy",
        f"{job} is being run by pid {holder.pid} on {holder.host} since {clock(holder.since)} "
        f"(lease until {clock(until)})",
        hint="change the bookmark when that run has ended" if by_hand else None,
        context={"job": job, "pid": holder.pid, "host": holder.host, "since": holder.since, "until": until},
    )


def no_bookmark(job: str) -> errors.ConfigError:
    """The error for a job that has none."""
    return errors.ConfigError("state.unknown", f"{job} has no bookmark")


def run_name() -> str:
    """A run's identifier: unique, and sorting by time as far as the clock is right."""
    return f"r-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


def schema_text(schema: Mapping[str, Any]) -> str:
    """A SCHEMA as it is kept."""
    return json.dumps(schema, separators=(",", ":"), default=str)


def by_whom() -> str:
    """Who changes a bookmark, for the history."""
    mine = Holder.this_process("")
    return f"{mine.user}@{mine.host}"


def stamp(at: float | None = None) -> str:
    """UTC in RFC 3339, with milliseconds."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(text: str) -> str:
    """A time of today as people say it, in the local zone; with the date if it is another day's."""
    moment = datetime.fromisoformat(text).astimezone()
    today = moment.date() == datetime.now(moment.tzinfo).date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
