"""Several taps at once for one target: which of them runs when, and what becomes of one that ends.

Each is a data plane of its own with one share of the streams (`shares`), in a thread that only follows its events. All
of them write to `dativo-bus --gather`, and that is what the target's data plane reads, as it would read a shell pipe.
Everything is decided here in the main thread, between two events of the target's data plane: `heard`.

Guards I1 (what a tap that failed said behind its last STATE is dropped before the target sees it, so it can begin again
there), I8 (leaving it ends every tap) and I11 (the target's side hears that its source ended only when all taps have).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dativo import errors
from dativo.bus import gather
from dativo.bus.events import End, Event
from dativo.bus.plan import Plan, Sink, Source, Spill
from dativo.bus.process import BusProcess
from dativo.dataclass import dataclass
from dativo.observe import figures
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress
from dativo.run import causes, isolate, troubles
from dativo.run.attempt import Attempt, Mender, Seen
from dativo.run.causes import Cause, Evidence
from dativo.run.governor import Governor
from dativo.run.interrupts import Interrupts
from dativo.run.outcome import failure
from dativo.run.retry import Retrying
from dativo.run.shares import Share
from dativo.run.step import Step
from dativo.state import bookmark as bookmarks

PATIENCE = 0.05
"""Seconds without an event after which the taps are looked at."""
LAST = 10.0
"""Seconds that a data plane has to end when it is told to end at once."""
GATHER = "gather"


@dataclass
class Task:
    """A share that is to be read, from a state, when its time has come."""

    share: Share
    state: str | None
    due: float = 0.0


@dataclass
class _Running:
    """A tap in its lane."""

    task: Task
    log: PluginLog
    seen: Seen = field(default_factory=Seen)
    interrupts: Interrupts = field(default_factory=Interrupts)
    thread: threading.Thread | None = None
    problem: BaseException | None = None


@dataclass
class Terms:
    """What the run lends its taps."""

    step: Step
    plan: Callable[[Task, str], Plan]
    """A tap's plan for a task; the second is what tells its private places from the other taps'."""
    taps: int
    room: Spill
    """Where, and how much, waits for a STATE."""
    governor: Governor
    retrying: Retrying
    interrupts: Interrupts
    mended: Callable[[Cause, float], None]
    """Told when a tap is to be started again: an attempt of its own in the history."""
    isolates: bool = False
    quiet: bool = False
    verbose: bool = False


class Taps:
    """The taps of one attempt; use it as a context manager around the target's side."""

    def __init__(self, terms: Terms, plan: Plan, shares: list[Share], state: str | None) -> None:
        """`plan` is the whole attempt's, `state` what one tap alone would be handed."""
        self._terms, self._plan, self._base = terms, plan, state
        self._streams = sum(len(one.streams) for one in shares)
        self._shares = len(shares)
        self._waiting = deque(Task(one, one.state(state)) for one in shares)
        self._running: dict[int, _Running] = {}
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._over: list[Seen] = []
        self._started = 0
        self._most = 0
        self._draining = False
        self._told = 0
        self._finished = False
        self._sent: int | None = None
        self._inner: Mender | None = None
        self._lost: _Running | None = None
        self._problem: errors.DativoError | None = None
        self.failed: dict[str, dict[str, Any]] = {}
        """Streams that were left out because they failed."""

    def __enter__(self) -> Self:
        room = self._terms.room
        self._gather = gather.start(
            self._terms.taps,
            job=self._plan.job,
            run=self._plan.run,
            memory=room.memory,
            disk=room.disk,
            folder=Path(room.dir or "/"),
            max_line=self._plan.limits.max_line,
        )
        self._gather.begin_at(self._base)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._gather.kill()

    # -- for the target's side

    def feed(self, attempt: Attempt) -> Attempt:
        """The attempt without its tap: it reads what these send, and they hear what its mender hears."""
        self._inner, plan = attempt.mender, attempt.plan
        source = Source(self._terms.step.name, await_verdict=True)
        return replace(
            attempt,
            plan=replace(plan, children=plan.children[1:], source=source),
            mender=self,
            stdin=self._gather.out,
            upstream_verdict=self.verdict,
        )

    def heard(self, event: Event | None, bus: BusProcess, seen: Seen) -> None:
        """Time to look after the taps."""
        if self._inner is not None:
            self._inner.heard(event, bus, seen)
        bus.patience = PATIENCE if bus.patience is None else min(bus.patience, PATIENCE)
        self._terms.governor.look()
        self._pass_signals()
        self._collect()
        self._begin()
        if not self._running and not self._waiting and not self._finished:
            self._finished = True
            self._gather.say(finish=True)

    def verdict(self) -> dict[str, Any] | None:
        """How the source of the target's side ended, once that is known (I11)."""
        code = self._gather.code()
        if code is None:
            return None
        self._collect()
        if self._problem is not None:
            return {"source": "died", "reason": self._problem.code}
        if self._draining:
            return {"source": "died", "reason": "run.cancelled"}
        if code != 0 or not self._finished:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
            self._problem = errors.RunError("bus.died", f"the data plane (dativo-bus --gather) {how}")
            return {"source": "died", "reason": "bus.died"}
        return {"source": "ended"}

    def said(self, standing: str) -> errors.DativoError | None:
        """Why the attempt failed, where no data plane's verdict says it; with where that leaves the job."""
        if self._problem is None or (self._lost is not None and self._lost.problem is None):
            return None
        self._problem.details += (standing,)
        return self._problem

    def report(self, seen: Seen, log: PluginLog) -> None:
        """Put what the taps did into what the target's side did: the attempt is one."""
        name = self._terms.step.name
        every = [*self._over, *(one.seen for one in self._running.values())]
        end = seen.end
        for one in every:
            seen.profiles |= one.profiles
            seen.exits |= one.exits
            seen.confined |= one.confined
            seen.notices += one.notices
            seen.rejects += one.rejects
            seen.accesses += one.accesses
            seen.letters = seen.letters or (one.letters if any(one.end.rejected.values()) else None)
            _connected(seen, one)
        seen.end = end = replace(
            end,
            junk=_added(end.junk, *(one.end.junk for one in every)),
            rejected=_added(end.rejected, *(one.end.rejected for one in every)),
        )
        arrived = sum(one.get("records", 0) for one in end.streams.values())
        if self._lost is not None and self._problem is not None:
            log.adopt(self._lost.log, name)
            seen.exits |= self._lost.seen.exits
            raised = End(reason=self._problem.code, child=name, message=self._problem.message)
            lost = raised if self._lost.problem is not None else self._lost.seen.end
            seen.end = replace(lost, verdict="interrupted", **{key: getattr(end, key) for key in _OF_THE_TARGET})
        elif end.verdict == "done" and len(self._plan.children) == 2 and self._sent is not None:
            delivered = arrived + sum(end.rejected.values()) - sum(sum(one.end.rejected.values()) for one in every)
            if delivered != self._sent:
                text = f"{self._terms.taps} taps sent {self._sent:,} records and {delivered:,} arrived"
                seen.end = replace(end, verdict="interrupted", reason="delivery.interrupted", message=text)

    def figures(self) -> dict[str, Any]:
        """What --json says about them."""
        governor = self._terms.governor
        held = {"held_by": governor.held} if governor.held else {}
        return {"taps": self._most, "shares": self._shares, "peak_memory": governor.peak, **held}

    # -- the taps

    def _begin(self) -> None:
        now = time.monotonic()
        free = [lane for lane in range(self._terms.taps) if lane not in self._running]
        for lane in free if not self._draining else ():
            task = next((one for one in self._waiting if one.due <= now), None)
            if task is None or not self._terms.governor.admits(len(self._running)):
                return
            self._waiting.remove(task)
            self._start(lane, task)

    def _start(self, lane: int, task: Task) -> None:
        self._started += 1
        one = _Running(task, PluginLog(shown=self._terms.verbose, defer=True))
        plan = self._terms.plan(task, f"tap{self._started}")
        self._gather.say(begin=lane, others=sorted(task.share.others))
        one.thread = threading.Thread(target=self._follow, args=(lane, one, plan), name=f"tap-{lane}", daemon=True)
        self._running[lane] = one
        self._most = max(self._most, len(self._running))
        one.thread.start()

    def _follow(self, lane: int, one: _Running, plan: Plan) -> None:
        """In a thread: the tap's data plane, from its start to its end."""
        fd = self._gather.lane(lane)
        try:
            Attempt(
                plan,
                one.interrupts,
                one.log,
                Progress(),
                stdout=fd,
                shows_junk=self._terms.verbose,
                seen=one.seen,
                says=False,
            ).drive()
        except BaseException as problem:  # whatever it is, the main thread deals with it
            one.problem = problem
        finally:
            os.close(fd)
            self._ended.put(lane)

    def _collect(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                lane = self._ended.get_nowait()
                one = self._running[lane]
                self._gather.say(end=lane, well=one.problem is None and one.seen.end.verdict == "done")
        for answer in self._gather.answers(bookmarks.parse):
            if "ended" in answer:
                one = self._running.pop(answer["ended"])
                self._over.append(one.seen)
                self._settle(one, answer.get("state"), int(answer.get("tail") or 0))
            elif "refused" in answer:
                self._refused(self._running[answer["refused"]], str(answer["why"]))
            elif "finished" in answer:
                self._sent = int(answer["records"])

    def _settle(self, one: _Running, state: Any, tail: int) -> None:
        """A tap has ended: it is done, begins again, is left out, or all end with it."""
        if one.problem is None and one.seen.end.verdict == "done":
            return
        if self._draining or self._terms.interrupts.count:
            return
        if one.problem is not None and not isinstance(one.problem, errors.DativoError):
            raise one.problem
        problem, cause = self._why(one)
        if tail == 0:
            task = replace(one.task, state=_onto(one.task.state, state))
            if self._again(task, cause) or self._without(task, one, cause):
                return
        self._fail(one, problem)

    def _again(self, task: Task, cause: Cause) -> bool:
        retrying = self._terms.retrying
        wait = retrying.decide(cause)
        if wait is None:
            return False
        self._terms.mended(cause, wait)
        failed = f"attempt {retrying.used} of {retrying.policy.attempts} failed: {causes.brief(cause.message)}"
        self._say(f"{failed} · {self._terms.step.name} again in {figures.seconds(wait)} (Ctrl-C stops)")
        self._waiting.appendleft(replace(task, due=time.monotonic() + wait))
        return True

    def _without(self, task: Task, one: _Running, cause: Cause) -> bool:
        """Go on without the stream that is to blame, where streams that fail are left out and others are not failed."""
        streams = list(task.share.streams)
        if not self._terms.isolates:
            return False
        stream = isolate.blamed(cause, one.seen, one.log.last(self._terms.step.name), streams)
        alone = streams[0] if len(streams) == 1 and cause.kind != "never" else None
        stream = stream or alone
        if stream is None or len(self.failed) + 1 >= self._streams:
            return False
        self.failed[stream] = {"code": cause.reason, "message": causes.brief(cause.message)}
        self._say(f"{stream} failed: {causes.brief(cause.message)} · going on without it")
        self._terms.retrying.afresh()
        rest = isolate.without(task.share.catalog, [stream])
        if rest is not None:
            left = tuple(name for name in streams if name != stream)
            self._waiting.append(replace(task, share=replace(task.share, streams=left, catalog=rest)))
        return True

    def _why(self, one: _Running) -> tuple[errors.DativoError, Cause]:
        step, end = self._terms.step, one.seen.end
        lines = one.log.last(step.name)
        left = one.seen.exits.get(step.name)
        code = left.code if left else None
        problem = one.problem
        if not isinstance(problem, errors.DativoError):
            problem = failure(end, lines=lines, ours=step.ours, exit_code=code, interrupts=one.interrupts)
            problem = troubles.explained(problem, one.seen)
        evidence = Evidence(
            lines=lines,
            code=code,
            signal=left.signal if left else None,
            ours=step.ours,
            declared=causes.declared(step.plugin.manifest),
            unreachable=one.seen.unreachable(step.name),
        )
        return problem, causes.cause_of(problem, evidence)

    # -- the end

    def _refused(self, one: _Running, why: str) -> None:
        name = self._terms.step.name
        problem = errors.ConfigError(
            "state.invalid",
            f"the taps cannot share one bookmark: {name} sends one, and {why}",
            hint="run it without --parallel (parallel: 1)",
            context={"plugin": name},
        )
        one.problem = problem
        self._fail(one, problem)

    def _fail(self, one: _Running, problem: errors.DativoError) -> None:
        """The run fails: the other taps stop, and what they had said up to a STATE is still written."""
        if self._problem is None:
            self._lost, self._problem = one, problem
        self._drain()

    def _drain(self) -> None:
        self._draining = True
        self._waiting.clear()
        for one in self._running.values():
            one.interrupts.arrived(signal.SIGTERM)

    def _pass_signals(self) -> None:
        """What the user asked for is asked of every tap: once drains, twice stops at once."""
        count = self._terms.interrupts.count
        while self._told < count:
            self._told += 1
            self._drain()

    def _stop(self) -> None:
        """End whatever still runs, at once."""
        for _ in range(2):
            self._drain()
        deadline = time.monotonic() + LAST
        for one in self._running.values():
            if one.thread is not None:
                one.thread.join(max(deadline - time.monotonic(), 0.1))

    def _say(self, line: str) -> None:
        if not self._terms.quiet:
            print(f"  {figures.clean(line)}", file=sys.stderr, flush=True)


_OF_THE_TARGET = (
    *("streams", "junk", "rejected", "states", "covered", "last_bookmark_is_last_state"),
    *("bytes_in", "bytes_out", "wall_s", "bus"),
)


def tap_side(plan: Plan, child: Mapping[str, Any], place: str, letters: str | None) -> Plan:
    """The plan of one tap of several, from the whole attempt's: records are checked where the target is."""
    return replace(
        plan,
        run_dir=f"{plan.run_dir}-{place}",
        children=[dict(child)],
        sink=Sink(GATHER, quiet=True),
        policy=replace(plan.policy, validate="off", activate="forward", bad_rows=None, bad_percent=None),
        spill=None,
        spool=None,
        copy_to=None,
        tape=None,
        checker=None,
        known_schemas={},
        dead_letters=letters,
    )


def _onto(base: str | None, update: Any) -> str | None:
    """The state that a tap begins again with: what it was handed, and what it has said since."""
    from dativo_protocol.bookmark import merge

    if update is None:
        return base
    return bookmarks.exact_text(merge(bookmarks.parse(base) if base is not None else {}, update))


def _added(*parts: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total


def _connected(seen: Seen, one: Seen) -> None:
    for key, made in one.connections.items():
        held = seen.connections.setdefault(key, dict.fromkeys(made, 0) | {"reason": None})
        for name, value in made.items():
            held[name] = (value or held[name]) if name == "reason" else held[name] + value
