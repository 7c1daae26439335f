"""The right to move one job's bookmark for the length of a run: lease, run, commits, and what the tap is handed.

I5: nothing of a job starts before `take` has its lease. I1 and I2: `commit` is called for nothing but the bookmark
events of the data plane, and has fsync'd when it returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dativo import errors
from dativo.bus.events import End
from dativo.engines.airbyte_generations import Loads
from dativo.run.interrupts import Interrupts
from dativo.run.part import ALL, Part
from dativo.run.waiting import AT_ONCE, Waiting
from dativo.secrets.redact import REDACTOR
from dativo.state import bookmark as bookmarks
from dativo.state.bookmark import Bookmark
from dativo.state.breakers import OpenBreaker
from dativo.state.lease import Heartbeat, Lease
from dativo.state.location import Location
from dativo.state.store import BACKFILL, Store

if TYPE_CHECKING:
    from dativo.run.step import Step

BY_HAND = ("set", "clear")
LOOKED_BACK = 200
"""How many of a job's newest runs are asked for the tap that wrote its bookmark."""


class Hold:
    """An open store, a lease and a started run. Leave it with `finish`; leaving it otherwise releases the lease too."""

    def __init__(self, store: Store, lease: Lease, tap: str | None = None) -> None:
        self._store = store
        self._tap = tap
        self._lease = lease
        self._heartbeat = Heartbeat(store, lease)
        self._part = ALL
        self._fresh = False
        """Whether what is read is read from the start."""
        self.job = lease.job
        self.before = store.bookmark(lease.job)
        """The bookmark that the run starts from, as it is stored."""
        self.run = store.start_run(lease, self._about())
        self.text: str | None = self.before.text if self.before else None
        """The job's bookmark now."""
        self.moved = False
        self._settled = self.before is not None and self.before.origin == "run"
        """Whether the store has `text` as a run's own, and not as set, cleared or adopted."""
        self.replays = False
        """Whether it loads what its job set aside: no row that is there goes for that."""
        self.committed = False
        """Whether a bookmark of this run is in the store: what was read up to it is not to be read again."""
        self._found: str | None = None
        """What the destination remembered when it was first asked."""
        self._asked = False
        self._finished = False
        self.until: Callable[[str], bool] | None = None
        """Asked about each bookmark that was made durable: whether the run has come as far as it was to come."""
        self.enough: Callable[[], None] = lambda: None
        """Called once when it has."""
        self.reached = False

    @classmethod
    def take(cls, where: Path | Location, job: str, waiting: Waiting = AT_ONCE, *, tap: str | None = None) -> Self:
        """Acquire the job's lease and start a run, or raise BusyError job.busy when it is not free in time.

        `tap` tells what writes the bookmarks, as `Installed.origin` does; None where nobody knows.
        """
        store = Store.open(where)
        try:
            return cls(store, waiting.acquire(store, job), tap)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._finished:
                code = getattr(problem, "code", None)
                reason = code if isinstance(code, str) else "delivery.interrupted"
                self.finish("interrupted", reason, {}, str(problem) if problem else None)
            self._store.release(self._lease)
        except errors.DativoError:
            if problem is None:
                raise  # else: the first failure is the one to report
        finally:
            self._store.close()

    # -- where the run starts

    def belongs(self, *, given: bool = False, full_refresh: bool = False) -> None:
        """Refuse to hand the bookmark to a tap that did not write it: what it means is known to its writer alone.

        It is not handed where a state is `given`, or all is read from the start. What a user set by hand is meant.
        """
        mark = self.before
        fresh = mark is None or mark.text == "{}" or mark.origin in BY_HAND
        if self._tap is None or fresh or ((given or full_refresh) and not self._part.names):
            return
        writer = self._writer()
        if writer in (None, self._tap):
            return
        raise errors.ConfigError(
            "state.another_tap",
            f"the bookmark of {self.job} was written by {writer}, and this is {self._tap}: it cannot go on there",
            hint=f"--full-refresh reads all from the start · --job {self.job}-2 keeps a bookmark of its own",
            context={"job": self.job, "written_by": writer, "tap": self._tap},
        )

    def _writer(self) -> str | None:
        """The tap of the run that the bookmark is from, else of the newest that ended well; None: not known."""
        log = self._store.log(self.job, limit=LOOKED_BACK)
        own = [one for one in log if self.before is not None and one.run == self.before.run]
        told = [one.stats.get("tap") for one in (*own, *(one for one in log if one.verdict == "done"))]
        return next((str(tap) for tap in told if tap), None)

    def _about(self) -> dict[str, Any]:
        """What the history tells of this run beside how it went."""
        return {} if self._tap is None else {"tap": self._tap}

    def adopt(self, destination: str | None, target: str) -> str | None:
        """Settle a difference between the store and the bookmark kept with the data. Returns what to tell the user.

        The destination knows what it holds: it wins, unless the user moved the local bookmark by hand (I4). Asked again
        after an attempt that failed, a change there is this run's own: that is where it goes on.
        """
        local = None if self.text in (None, "{}") else self.text
        remembered = None if destination is None or _same(destination, "{}") else destination
        again, self._asked = self._asked, True
        if again and _same(remembered, self._found):
            return None
        self._found = remembered
        if again and remembered is not None:
            remembered = self.merged(remembered)
        by_hand = not again and self.before is not None and self.before.origin in BY_HAND
        self.committed = self.committed or again
        if by_hand or _same(local, remembered):
            return None
        self._store.commit(self._lease, remembered or "{}", origin="adopted")
        self.text = remembered or "{}"
        if remembered is None:
            return f"{target} holds nothing of this job any more: everything is read again"
        return f"took over the bookmark that {target} keeps with its data"

    def handed(self, *, full_refresh: bool) -> str | None:
        """The state that the tap is given, None for none. A full refresh of named streams keeps the others' part."""
        self._fresh = full_refresh
        if self.text is None or self.text == "{}":
            return None
        if full_refresh and not self._part.names:
            return None
        text = self.text
        emptied = () if self.committed else self.emptied
        for stream in bookmarks.streams(text):
            if stream in emptied or (full_refresh and stream in self._part):
                text = bookmarks.without_stream(text, stream)
        return text

    # -- what its destination is told, and was

    @property
    def begun(self) -> bool:
        """Whether a destination keeps the rows that it has whatever comes: for an attempt that goes on, and letters."""
        return self.committed or self.replays

    def loads_of(self, step: Step) -> Loads | None:
        """How the generations of a destination are counted; None for any other target."""
        return self._loads if step.speaks_airbyte else None

    @cached_property
    def _loads(self) -> Loads:
        """A backfill's rows are of its job's generations, and so are letters."""
        job, mark, _ = self.job.partition(BACKFILL)
        known = self._store.generations(job)
        number = next((one.number for one in self._store.log(self.job, limit=LOOKED_BACK) if one.run == self.run), None)
        if mark or self.replays:
            return Loads(number or 0, known, goes_on=True)
        return Loads(number or 0, known, lambda told: self._store.remember_generations(self._lease, told))

    @cached_property
    def emptied(self) -> tuple[str, ...]:
        """Streams that a run after the bookmark emptied in the destination and did not load again to its end.

        What the bookmark says of them is not so any more; what a user set by hand is meant.
        """
        mark = self.before
        if mark is None or mark.origin in BY_HAND or mark.text is None:
            return ()
        there = bookmarks.streams(mark.text)
        emptied = {name: one["minimum"] for name, one in self._store.generations(self.job).items() if name in there}
        if not any(emptied.values()):
            return ()
        log = self._store.log(self.job)  # all of it: how an old run ended matters as long as its generation lasts
        made = max((one.number or 0 for one in log if one.run == mark.run), default=0)
        done = {one.number for one in log if one.verdict == "done"}
        return tuple(name for name, number in emptied.items() if number > made and number not in done)

    def remarks(self) -> list[str]:
        """What a user should know of where the run started."""
        why = "a run had emptied it in the destination, and did not end well"
        return [f"{one} is read anew: {why}" for one in self.emptied]

    def only(self, part: Part) -> None:
        """This run reads only these streams: what the tap says of them is merged into the bookmark of all."""
        self._part = part

    # -- while it runs

    def commit(self, text: str, records: int, of: int) -> None:
        """I1, I2: a bookmark that the target confirmed; durable when this returns."""
        whole = self.merged(text)
        if self._settled and _same(whole, self.text):
            self.committed = True
            return  # where it stood: durable already
        self._store.commit(self._lease, whole, records, of)
        self.committed = True
        self.moved = self.moved or not _same(whole, self.text)
        self.text, self._settled = whole, True
        if self.until is not None and not self.reached and self.until(whole):
            self.reached = True
            self.enough()

    def merged(self, text: str) -> str:
        """A STATE of this run's tap, with the other streams' parts of the bookmark where it reads only some."""
        parts = bookmarks.streams(text)
        if not self._part or self.text is None or not parts:
            return text
        begins = self._fresh and not self.committed
        merged = text
        for stream, part in bookmarks.streams(self.text).items():
            if stream not in parts and not (begins and stream in self._part):
                merged = bookmarks.with_stream(merged, stream, part)
        return merged

    def beat(self) -> None:
        """Keep the lease fresh; raises BusyError job.lease_lost when another run has it."""
        self._heartbeat.beat()

    # -- SCHEMAs

    def schemas(self) -> dict[str, dict[str, Any]]:
        """What earlier runs saw: stream -> {"schema": …, "key_properties": […]}."""
        return self._store.schemas(self.job)

    def remember_schemas(self, seen: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]], *, begin: bool) -> None:
        """Keep those that this run saw, for a later one's schema_change; `begin`: of a job that has none yet, too."""
        known = self.schemas()
        if not known and not begin:
            return  # a change has never mattered to this job
        for stream, (schema, keys) in seen.items():
            if known.get(stream) != {"schema": schema, "key_properties": list(keys)}:
                self._store.remember_schema(self._lease, stream, schema, keys)

    # -- attempts and breakers

    def start_attempt(self, number: int) -> None:
        """One more attempt of this run begins."""
        self._store.start_attempt(self.run, number)

    def end_attempt(
        self,
        number: int,
        verdict: str,
        *,
        cause: str | None = None,
        reason: str | None = None,
        message: str | None = None,
        waited: float | None = None,
    ) -> None:
        """How it ended; what is kept holds no secret (I13)."""
        hidden = REDACTOR.text(message) if message is not None else None
        self._store.end_attempt(self.run, number, verdict, cause=cause, reason=reason, message=hidden, waited=waited)

    def retries(self, seconds: float) -> int:
        """How often the job's runs were retried in the last seconds."""
        return self._store.retries(self.job, seconds)

    def enter_breaker(self, plugin: str, failures: int, pause: float) -> OpenBreaker | None:
        """None when a run with the plugin may start."""
        return self._store.enter_breaker(plugin, failures, pause)

    def breaker_failed(self, plugin: str, reason: str, message: str) -> None:
        """This run failed, and the plugin is blamed."""
        self._store.breaker_failed(plugin, reason, REDACTOR.text(message))

    def close_breaker(self, plugin: str) -> None:
        """Count the plugin's failures from nothing."""
        self._store.close_breaker(plugin)

    def judged(self, end: End, interrupts: Interrupts) -> End:
        """The verdict of a run that was drained because it had come far enough, and not by a signal: it is done."""
        drained = self.reached and end.reason == "run.cancelled" and not interrupts.count
        return replace(end, verdict="done", reason=None, message="") if drained else end

    def insist(self) -> None:
        """The bookmark stays where it was before the run, whatever the destination remembers: as if set by hand."""
        before = self.before.text if self.before else "{}"
        self._store.commit(self._lease, before, origin="set" if before != "{}" else "clear")
        self.text, self.moved = before, False

    def finish(self, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None = None) -> None:
        """Record how the run ended; what is kept holds no secret (I13)."""
        self._finished = True
        hidden = REDACTOR.deep({"stats": {**self._about(), **stats}, "message": message})
        self._store.end_run(self.run, verdict, reason, hidden["stats"], hidden["message"])


def by_hand(where: Path | Location, job: str) -> Bookmark | None:
    """The bookmark that a user set for a job by hand, without taking the job: for a tap beside a foreign program."""
    with Store.open_to_read(where) as store:
        found = store.bookmark(job)
    return found if found is not None and found.origin == "set" else None


def _same(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or _canonical(one) == _canonical(other)


def _canonical(text: str) -> str:
    return json.dumps(bookmarks.parse(text), sort_keys=True, default=str)
