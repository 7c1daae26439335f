"""A state store made of one document a job, on any shelf that can compare and set: files, or objects in a cloud.

Each change reads the job's document, changes it in memory (the fencing token is looked at there, I5) and puts it back
only if nobody did so in between; else it starts over with what is there now. So the token that was checked is the one
in force when the bookmark becomes durable.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from dativo import errors
from dativo.state import journal
from dativo.state.attempts import AttemptEntry
from dativo.state.bookmark import Bookmark, exact_text
from dativo.state.breakers import Breaker, OpenBreaker
from dativo.state.journal import Journal
from dativo.state.lease import Holder, Lease
from dativo.state.record import Entry, JobState
from dativo.state.store import BACKFILL, LEASE_TTL, Store, schema_text, stamp

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds of losing to other writers before a change is given up."""
ENDING = ".json"
HISTORY, BREAKERS = "history/", "breakers/"


class DocumentStore(Store):
    """Jobs as documents."""

    def __init__(self) -> None:
        self._to_read = False
        self._known: dict[str, tuple[bytes, Any]] = {}
        """What this store wrote last of each job, and its version: a run that commits often need not read first."""
        self._runs: dict[str, str] = {}
        """Whose a run is."""

    # -- the shelf

    @abstractmethod
    def _get(self, name: str) -> tuple[bytes, Any] | None:
        """A document and its version; None where there is none."""

    @abstractmethod
    def _set(self, name: str, content: bytes, version: Any) -> Any:
        """Durably replace the document of that version (None: make it). Returns its new version.

        Raises Changed if another version is there.
        """

    @abstractmethod
    def _put(self, name: str, content: bytes) -> None:
        """Durably write a document whatever is there."""

    @abstractmethod
    def _names(self) -> list[str]:
        """The names of the jobs' documents."""

    @abstractmethod
    def _translated(self) -> AbstractContextManager[None]:
        """What the shelf's own errors mean."""

    # -- reading and changing one document

    def _read(self, job: str) -> Journal | None:
        with self._translated():
            found = self._get(_name(job))
        return self._parsed(found[0], job) if found else None

    def _parsed(self, content: bytes, job: str) -> Journal:
        try:
            return Journal.from_bytes(content, job)
        except journal.NotOurs as problem:
            raise self._not_ours(_name(job), problem) from problem

    def _not_ours(self, name: str, problem: journal.NotOurs) -> errors.DativoError:
        return errors.EnvironmentFault(
            "state.store",
            f"{self.place}/{name} is not a document of Dativo's state store: {problem}",
            hint="restore it from a backup, or move it away; a damaged bookmark is never guessed",
        )

    def _change(self, job: str, work: Callable[[Journal], T], *, fresh: bool = False) -> T:
        """Apply `work` to the job's document. It may be called again, each time with the newest document."""
        mark = secrets.token_hex(8)  # no two writes are alike

        def turned(content: bytes | None) -> tuple[T, bytes]:
            document = Journal(job) if content is None else self._parsed(content, job)
            result = work(document)
            self._turn_pages(document)
            document.data["write"] = mark
            return result, document.to_bytes()

        return self._swap(_name(job), turned, job, fresh=fresh)

    def _swap(self, name: str, work: Callable[[bytes | None], tuple[T, bytes]], what: str, *, fresh: bool) -> T:
        """Compare and set until nobody comes in between."""
        if self._to_read:
            raise errors.EnvironmentFault("env.read_only", f"the state store {self.place} was opened to be read")
        give_up = time.monotonic() + PATIENCE
        with self._translated():
            found = None if fresh else self._known.get(name)
            found = found or self._get(name)
        while True:
            result, content = work(found[0] if found else None)
            try:
                with self._translated():
                    self._known[name] = content, self._set(name, content, found[1] if found else None)
            except Changed:
                self._known.pop(name, None)
            else:
                return result
            with self._translated():
                found = self._get(name)
            if found and found[0] == content:
                self._known[name] = found
                return result  # it was written, and only the answer was lost
            if time.monotonic() > give_up:
                raise errors.BusyError(
                    "state.conflict", f"other writers were always first at the state of {what} in {self.place}"
                )
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 - so that two writers do not meet again

    def _turn_pages(self, document: Journal) -> None:
        """Move what is old into a page; it is there before the document drops it."""
        page = document.old_page()
        if page is not None:
            with self._translated():
                self._put(_page_name(document.job, page["page"]), (json.dumps(page, indent=1) + "\n").encode())
            document.turn_page(page)

    def _page(self, job: str, number: int) -> dict[str, Any]:
        name = _page_name(job, number)
        with self._translated():
            found = self._get(name)
        try:
            page = json.loads(found[0]) if found else None
        except ValueError:
            page = None
        if not isinstance(page, dict) or page.get("job") != job:
            raise self._not_ours(name, journal.NotOurs("it is damaged, or missing"))
        return page

    # -- leases (I5)

    def acquire(self, job: str, ttl: float = LEASE_TTL) -> Lease:
        """Take the job's lease, or raise BusyError job.busy naming who has it."""
        mine = Holder.this_process(stamp())
        return self._change(job, lambda document: document.acquire(mine, ttl, time.time()), fresh=True)

    def renew(self, lease: Lease) -> None:
        """Push the lease's end out by its ttl. Raises BusyError job.lease_lost if it is no longer ours."""
        now = time.time()
        self._change(lease.job, lambda document: document.renew(lease, now))
        lease.expires = now + lease.ttl

    def release(self, lease: Lease) -> None:
        """Give the lease back. Nothing happens if another run took it."""
        self._change(lease.job, lambda document: document.release(lease))

    # -- runs

    def start_run(self, lease: Lease, stats: Mapping[str, Any] | None = None) -> str:
        """Record that a run began, with what is known of it by then; its identifier is unique and sorts by time."""
        root, mark, _ = lease.job.partition(BACKFILL)
        # A backfill's runs are counted with its job's, so that one history can tell them all in order.
        number = self._change(root, Journal.next_number, fresh=True) if mark else None
        lease.run = self._change(lease.job, lambda document: document.start_run(lease, number, stats))
        self._runs[lease.run] = lease.job
        return lease.run

    def _job_of(self, run: str) -> str | None:
        if run not in self._runs:
            for name in self._names():
                document = self._read(_job(name))
                if document is not None and document.run(run) is not None:
                    self._runs[run] = document.job
        return self._runs.get(run)

    def end_run(
        self, run: str, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None = None
    ) -> None:
        """Record how a run ended, and put its last bookmark into the history."""
        job = self._job_of(run)
        if job is not None:
            self._change(job, lambda document: document.end_run(run, verdict, reason, stats, message))

    def start_attempt(self, run: str, number: int) -> None:
        """Record that an attempt of a run began; the first is number 1."""
        self._attempt(run, number, started=stamp())

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
        how = {"verdict": verdict, "cause": cause, "reason": reason, "message": message, "waited": waited}
        self._attempt(run, number, ended=stamp(), **how)

    def _attempt(self, run: str, number: int, **known: Any) -> None:
        job = self._job_of(run)
        if job is not None:
            self._change(job, lambda document: document.attempt(run, number, known))

    def attempts(self, run: str) -> list[AttemptEntry]:
        """The attempts of a run, first to last."""
        job = self._job_of(run)
        document = self._read(job) if job is not None else None
        found = document.run(run) if document else None
        return journal.attempts_of(found) if found else []

    # -- breakers

    def retries(self, job: str, seconds: float) -> int:
        """How often an attempt of any of the job's runs was to be followed by another in the last seconds."""
        document, since = self._read(job), stamp(time.time() - seconds)
        if document is None:
            return 0
        runs, page = document.data["runs"], document.data["pages"]
        while page and runs[0]["started"] >= since:
            page -= 1
            runs = self._page(job, page)["runs"] + runs
        made = [one for run in runs for one in run["attempts"]]
        return sum(one["waited"] is not None and (one["ended"] or "") >= since for one in made)

    def enter_breaker(self, plugin: str, failures: int, pause: float) -> OpenBreaker | None:
        """None when a run with the plugin may start. Once the pause is over one may try, the others wait another."""
        now = time.time()

        def enter(breaker: Breaker) -> tuple[OpenBreaker | None, Breaker]:
            refused = breaker.refuses(failures, pause, now)
            tries = refused is None and breaker.failures >= failures
            return refused, replace(breaker, since=now) if tries else breaker

        with self._translated():
            counted = self._get(_breaker_name(plugin)) is not None
        return self._count(plugin, enter) if counted else None

    def breaker_failed(self, plugin: str, reason: str, message: str) -> None:
        """One more failed run that is blamed on the plugin."""
        now = time.time()
        self._count(plugin, lambda one: (None, Breaker(plugin, one.failures + 1, now, reason, message)))

    def close_breaker(self, plugin: str) -> None:
        """Count the plugin's failures from nothing."""
        with self._translated():
            counted = self._get(_breaker_name(plugin)) is not None
        if counted:
            self._count(plugin, lambda _: (None, Breaker(plugin, 0, 0.0, None, None)))

    def _count(self, plugin: str, work: Callable[[Breaker], tuple[T, Breaker]]) -> T:
        name = _breaker_name(plugin)

        def counted(content: bytes | None) -> tuple[T, bytes]:
            breaker = Breaker(plugin, 0, 0.0, None, None)
            if content is not None:
                try:
                    breaker = Breaker(**json.loads(content))
                except (ValueError, TypeError):
                    raise self._not_ours(name, journal.NotOurs("it is damaged")) from None
            result, after = work(breaker)
            return result, (json.dumps(asdict(after), indent=1) + "\n").encode()

        return self._swap(name, counted, plugin, fresh=True)

    # -- bookmarks

    def bookmark(self, job: str) -> Bookmark | None:
        """The job's bookmark; origin `clear` when a user cleared it, None when there never was one."""
        document = self._read(job)
        return document.bookmark if document else None

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

        def write(document: Journal) -> None:
            document.check(lease)  # I5: what is written replaces just the version that was looked at
            document.write(text, origin, run=lease.run, records=records, of=of)
            if origin == "adopted":  # the run will move on from here: this step stays on record
                document.settle()

        self._change(lease.job, write)

    def set(
        self, job: str, value: str | Mapping[str, Any], stream: str | None = None, reason: str | None = None
    ) -> None:
        """Replace the bookmark, or one stream's part of it, by hand (I4: explicit, and kept in the history)."""
        text = exact_text(value)

        def edit(document: Journal) -> None:
            document.edit(time.time())
            document.set(text, stream, reason)

        self._change(job, edit, fresh=True)

    def clear(self, job: str, stream: str | None = None, reason: str | None = None) -> None:
        """Forget the bookmark, or one stream's part of it: the next run reads that from the start."""

        def edit(document: Journal) -> None:
            document.edit(time.time())
            document.clear(stream, reason)

        self._change(job, edit, fresh=True)

    # -- schemas

    def remember_schema(
        self, lease: Lease, stream: str, schema: Mapping[str, Any], key_properties: Sequence[str]
    ) -> None:
        """Keep the SCHEMA that a run saw of a stream; the last one counts."""
        seen = {"schema": json.loads(schema_text(schema)), "key_properties": list(key_properties)}

        def keep(document: Journal) -> None:
            document.check(lease)
            document.data["schemas"][stream] = seen

        self._change(lease.job, keep)

    def schemas(self, job: str) -> dict[str, dict[str, Any]]:
        """`{STREAM: {"schema": …, "key_properties": […]}}` as earlier runs saw them."""
        document = self._read(job)
        return dict(sorted(document.data["schemas"].items())) if document else {}

    # -- generations

    def remember_generations(self, lease: Lease, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what a destination is about to be told of these streams."""

        def keep(document: Journal) -> None:
            document.check(lease)
            known = document.data.setdefault("generations", {})  # a document of before has none
            known.update({stream: dict(one) for stream, one in told.items()})

        self._change(lease.job, keep)

    def generations(self, job: str) -> dict[str, dict[str, Any]]:
        """`{STREAM: {"generation": 7, "minimum": 7, "name": …, "namespace": …}}` as its destination was last told."""
        document = self._read(job)
        return dict(sorted(document.data.get("generations", {}).items())) if document else {}

    # -- reading

    def jobs(self) -> list[JobState]:
        """Every job that has a bookmark, a run or a lease."""
        with self._translated():
            names = self._names()
        found = [document for name in names if (document := self._read(_job(name)))]
        return [_state(document) for document in sorted(found, key=lambda one: one.job)]

    def log(self, job: str, stream: str | None = None, limit: int | None = None) -> list[Entry]:
        """What happened to a job's bookmark, newest first; with `stream`, only what that stream took part in."""
        document = self._read(job)
        if document is None:
            return []
        found: list[Entry] = []
        for number in range(document.data["pages"], -1, -1):  # the newest lines are in the document itself
            if number == document.data["pages"]:
                entries = document.entries()
            else:
                page = self._page(job, number)
                entries = journal.told(page["runs"], page["history"])
            found += [entry for entry in entries if stream is None or entry.concerns(stream)]
            if limit is not None and len(found) >= limit:
                break
        return found if limit is None else found[:limit]

    def check(self) -> list[str]:
        """Whether every document can be read."""
        found = []
        with self._translated():
            names = self._names()
        for name in names:
            try:
                self.log(_job(name))
            except errors.DativoError as problem:
                found.append(problem.message)
        return found

    def close(self) -> None:
        """Nothing is held open. A lease that was not released stays until its holder is gone."""


class Changed(Exception):
    """Another version is there than the one that was to be replaced."""


def _name(job: str) -> str:
    """The name of a job's document. A job's name is data: it can name no other place (I12)."""
    return _quoted(job) + ENDING


def _quoted(job: str) -> str:
    text = quote(job, safe="@")
    return f"%2E{text[1:]}" if text.startswith(".") else text


def _job(name: str) -> str:
    return unquote(name.removesuffix(ENDING))


def _breaker_name(plugin: str) -> str:
    return f"{BREAKERS}{_quoted(plugin)}{ENDING}"


def _page_name(job: str, number: int) -> str:
    return f"{HISTORY}{_quoted(job)}/{number:06}{ENDING}"


def _state(document: Journal) -> JobState:
    last = document.data["runs"][-1] if document.data["runs"] else {}
    holder = document.holder
    if holder is not None and holder.alive() is False:
        holder = None
    return JobState(document.job, document.bookmark, holder, last.get("id"), last.get("verdict"), last.get("ended"))
