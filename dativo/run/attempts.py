"""The attempts of one run: made until one is done, none can help any more, or the user has had enough.

Each goes on at the bookmark that the run has committed by then, with a run directory of its own; the lease is kept
through the waits (I5), and a bookmark still moves only when an attempt's target confirms it (I1).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from typing import Any

from dativo import errors
from dativo.bus.events import End
from dativo.bus.plan import Plan
from dativo.dataclass import dataclass
from dativo.observe import figures
from dativo.observe.log import PluginLog
from dativo.observe.progress import progress
from dativo.observe.summary import Summary
from dativo.run import causes, conclusion, isolate, rundirs, totals
from dativo.run.attempt import Attempt, Keeper, Seen
from dativo.run.causes import Cause, Evidence
from dativo.run.disclosure import told
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.mend import Mending
from dativo.run.options import RunOptions
from dativo.run.part import Part
from dativo.run.retry import Retrying
from dativo.run.step import Step
from dativo.run.taps import Taps
from dativo.run.verify.after import After, Unchecked

SOON = 0.05
SLICE = 0.5
"""Seconds of a wait after which the lease is looked at."""


@dataclass(frozen=True)
class Lent:
    """What the attempts of a run lend to taps that run at once."""

    retrying: Retrying
    mended: Callable[[Cause, float], None]
    isolates: bool


@dataclass(frozen=True)
class Work:
    """What an attempt is made of. Each is asked again for every attempt, the catalog until there is one."""

    adopt: Callable[[PluginLog], str | None]
    """Settle the bookmark with the one that the target keeps; returns what to tell the user."""
    catalog: Callable[[PluginLog], str | None]
    state: Callable[[], str | None]
    plan: Callable[[str | None, str | None], Plan]
    """The plan for a catalog's text and a state."""
    checking: Callable[[], AbstractContextManager[After | Unchecked]]
    """How an attempt's bookmarks are checked before they are kept."""
    taps: Callable[[Plan, str | None, str | None, Lent], Taps | None] = lambda *_: None
    """The taps of an attempt by its plan, catalog and state, where there are several at once."""


@dataclass
class _Outcome:
    """How one attempt ended."""

    summary: Summary
    problem: errors.DativoError | None
    seen: Seen
    log: PluginLog
    ran: bool
    """Whether its plugins were started as a pipeline."""
    cause: Cause | None = None

    def lines(self, plugin: str | None) -> list[str]:
        """The last lines of a plugin."""
        return self.log.last(plugin) if plugin else []


@dataclass
class Attempts:
    """One run's attempts. `run` makes them."""

    work: Work
    job: str
    hold: Hold
    steps: Sequence[Step]
    interrupts: Interrupts
    options: RunOptions
    retrying: Retrying
    isolates: bool = False
    """Whether a stream that fails is left out and the others go on."""

    _number: int = 0
    _earlier: list[Summary] = field(default_factory=list)
    _made: list[dict[str, Any]] = field(default_factory=list)
    _failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    _catalog: str | None = None
    _asked: bool = False
    _ready: bool = False
    _begun: float = field(default_factory=time.monotonic)

    def run(self) -> tuple[Summary, errors.DativoError | None]:
        """Make attempts to the end. Returns the run's summary, and why it failed if it did."""
        while True:
            self._number += 1
            self.hold.start_attempt(self._number)
            outcome = self._one()
            if outcome.problem is None:
                self._ended(outcome, None)
                return self._whole(outcome.summary), self._partial(outcome.summary)
            stopped = self._again(outcome)
            if stopped is not None:
                return self._whole(outcome.summary), stopped
            self._earlier.append(outcome.summary)

    # -- one attempt

    def _one(self) -> _Outcome:
        log = PluginLog(shown=self.options.verbose, defer=True)
        before = sum(one.covered for one in self._earlier)
        keeper, check = _Counting(self.hold, before), None
        seen, begun, ran, problem = Seen(), time.monotonic(), False, None
        notes: list[str] = []
        taps: Taps | None = None
        try:
            adopted = self.work.adopt(log)
            state = self.work.state()
            if not self._asked:
                self._catalog, self._asked = self.work.catalog(log), True
            self._make_ready()
            folder = rundirs.run_dir(self.hold.run if self._number == 1 else f"{self.hold.run}-{self._number}")
            plan = replace(self.work.plan(self._catalog, state), run_dir=folder)
            shown = progress(quiet=self.options.quiet or self.options.json)
            mender = self._mending(plan, log, state) if plan.spill is not None else None
            taps = self.work.taps(plan, self._catalog, state, Lent(self.retrying, self._mended, self.isolates))
            with self.work.checking() as check, taps or nullcontext():
                keeper = _Counting(check.keeper, before)
                attempt = Attempt(
                    check.planned(plan),
                    self.interrupts,
                    log,
                    shown,
                    keeper=keeper,
                    mender=mender,
                    shows_junk=self.options.verbose,
                    seen=seen,
                )
                ran = True
                if taps is None:
                    attempt.drive()
                else:
                    self._gather(taps, attempt)
                seen.end = self.hold.judged(seen.end, self.interrupts)
                check.judge(seen, self.interrupts)
            if seen.end.verdict == "done":
                self.hold.remember_schemas(seen.schemas, begin=plan.policy.remembers)
            notes = [*([adopted] if adopted else []), *(mender.notes if mender else [])]
            kept = told(self.steps)
        except errors.DativoError as raised:
            problem, kept = raised, []
            took = time.monotonic() - begun
            seen.end = End(reason=raised.code, message=raised.message, streams=seen.totals, wall_s=took)
        summary = conclusion.summarise(seen, run=self.hold.run, job=self.job, hold=self.hold)
        summary.covered = keeper.covered
        summary.notes = [*notes, *summary.notes, *kept]
        if check is not None:
            conclusion.checked(summary, seen, self.steps, check)
        if taps is not None:
            summary.parallel = taps.figures()
            problem = taps.said(conclusion.standing(summary)) if problem is None else problem
        if problem is None:
            failed = conclusion.problem(seen, self._whole(summary), self.steps, log, self.interrupts)
            problem = (check.problem if check is not None else None) or failed
            if problem is not None:
                problem.details += tuple(kept)
        outcome = _Outcome(summary, problem, seen, log, ran)
        outcome.cause = self._cause(outcome)
        return outcome

    def _gather(self, taps: Taps, attempt: Attempt) -> None:
        """Drive the target's side of several taps. Streams that they gave up stay out of the next attempt."""
        taps.feed(attempt).drive()
        taps.report(attempt.seen, attempt.log)
        self._failed |= taps.failed
        if taps.failed and self._catalog is not None:
            self._catalog = isolate.without(self._catalog, list(taps.failed)) or self._catalog

    def _mending(self, plan: Plan, log: PluginLog, state: str | None) -> Mending:
        return Mending(
            self.steps,
            self.hold,
            self.retrying,
            self.interrupts,
            log,
            self._catalog,
            state,
            self._mended,
            spool=plan.spool,
            quarantines=plan.policy.on_bad_record != "fail",
            quiet=self.options.quiet,
        )

    def _make_ready(self) -> None:
        if not self._ready:
            for step in self.steps:
                step.ready()
        self._ready = True

    def _cause(self, outcome: _Outcome) -> Cause | None:
        if outcome.problem is None:
            return None
        step = next((one for one in self.steps if one.name == outcome.problem.context.get("plugin")), None)
        if step is None:
            return causes.cause_of(outcome.problem)
        left = outcome.seen.exits.get(step.name)
        evidence = Evidence(
            lines=outcome.lines(step.name),
            code=left.code if left else None,
            signal=left.signal if left else None,
            ours=step.ours,
            declared=causes.declared(step.plugin.manifest),
            unreachable=outcome.seen.unreachable(step.name),
        )
        return causes.cause_of(outcome.problem, evidence)

    # -- between two

    def _again(self, outcome: _Outcome) -> errors.DativoError | None:
        """Prepare the next attempt and wait for its time; the run's error when there is to be none."""
        assert outcome.problem is not None
        assert outcome.cause is not None
        cancelled = self.interrupts.count > 0
        wait = None if cancelled else self.retrying.decide(outcome.cause)
        stream = self._blamed(outcome) if wait is None and not cancelled else None
        self._ended(outcome, wait, stream)
        if wait is not None:
            failed = f"attempt {self.retrying.used} of {self.retrying.policy.attempts} failed"
            when = f"in {figures.seconds(wait)} (Ctrl-C stops)" if wait >= SOON else "at once"
            self._say(f"{failed}: {self._made[-1]['message']} · again {when}")
            return self._wait(wait)
        if stream is not None:
            self._say(f"{stream} failed: {self._made[-1]['message']} · going on without it")
            self.retrying.afresh()
            return None
        outcome.log.release()
        return self._final(outcome.problem)

    def _wait(self, seconds: float) -> errors.DativoError | None:
        until = time.monotonic() + seconds
        try:
            while (left := until - time.monotonic()) > 0:
                self.hold.beat()
                if self.interrupts.count:
                    raise self.interrupts.cancelled()
                time.sleep(min(left, SLICE))
        except errors.DativoError as stopped:
            stopped.details += _told(self._made)
            return stopped
        return None

    def _blamed(self, outcome: _Outcome) -> str | None:
        """The stream that is left out from here on, if the failure is one stream's and others are left."""
        if not (self.isolates and outcome.ran and self._catalog is not None and outcome.cause is not None):
            return None
        streams = isolate.selected(self._catalog)
        stream = isolate.blamed(outcome.cause, outcome.seen, outcome.lines(outcome.cause.plugin), streams)
        if stream is None:
            return None
        self._failed[stream] = {"code": outcome.cause.reason, "message": causes.brief(outcome.cause.message)}
        rest = isolate.without(self._catalog, [stream])
        if rest is None:
            return None
        self._catalog = rest
        self.hold.only(Part(tuple(isolate.selected(rest))))
        return stream

    def _mended(self, cause: Cause, wait: float) -> None:
        """A plugin is started again under the others: in the history what comes now is the next attempt."""
        self._record(Summary("interrupted", self.hold.run), cause, wait, in_place=True)
        self._number += 1
        self.hold.start_attempt(self._number)

    def _ended(self, outcome: _Outcome, wait: float | None, stream: str | None = None) -> None:
        """Put the attempt on record."""
        self._record(outcome.summary, outcome.cause, wait, stream)

    def _record(
        self,
        summary: Summary,
        cause: Cause | None,
        wait: float | None,
        stream: str | None = None,
        *,
        in_place: bool = False,
    ) -> None:
        entry: dict[str, Any] = {
            "number": self._number,
            "verdict": summary.verdict,
            "cause": cause.kind if cause else None,
            "reason": cause.reason if cause else None,
            "message": causes.brief(cause.message) if cause else None,
            "plugin": cause.plugin if cause else None,
            "stream": stream or (cause.stream if cause else None),
            "seconds": round(summary.seconds, 6),
            "records": summary.records,
            "covered": summary.covered,
            "waited": None if wait is None else round(wait, 3),
            "in_place": in_place,
        }
        self._made.append(entry)
        told_of = {key: entry[key] for key in ("cause", "reason", "message", "waited")}
        self.hold.end_attempt(self._number, summary.verdict, **told_of)

    def _say(self, line: str) -> None:
        if not self.options.quiet:
            print(f"  {figures.clean(line)}", file=sys.stderr, flush=True)

    # -- the end

    def _whole(self, last: Summary) -> Summary:
        """The run's summary, when `last` is its last attempt's."""
        whole = totals.joined(self._earlier, last, time.monotonic() - self._begun)
        if len(self._made) > 1:
            whole.attempts = list(self._made)
        whole.failed = dict(self._failed)
        if last.verdict == "done" and self._failed:
            whole.verdict, whole.reason = "partial", "run.partial"
        return whole

    def _final(self, problem: errors.DativoError) -> errors.DativoError:
        problem.details += _told(self._made[:-1])
        if self.retrying.why:
            problem.details += (f"not tried again: {self.retrying.why}",)
        if self._earlier:
            problem.context["attempts"] = list(self._made)
        return problem

    def _partial(self, last: Summary) -> errors.DativoError | None:
        if not self._failed:
            return None
        whole = self._whole(last)
        names = ", ".join(self._failed)
        failures = [f"{stream}: {one['message']} ({one['code']})" for stream, one in self._failed.items()]
        return errors.Partial(
            "run.partial",
            f"{figures.count(len(self._failed), 'stream')} failed and the others are done: {names}",
            details=(*failures, *whole.lines()),
            context={**conclusion.context(whole), "failed": whole.failed, "attempts": whole.attempts},
        )


def _told(made: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The attempts for people, those that failed in the same way on one line."""
    numbers: dict[str, list[str]] = {}
    for one in made:
        numbers.setdefault(str(one["message"]), []).append(str(one["number"]))
    return tuple(
        f"attempt{'s' if len(which) > 1 else ''} {', '.join(which)}: {message}" for message, which in numbers.items()
    )


class _Counting:
    """A hold for one attempt: the bookmark's records are those of the run."""

    def __init__(self, hold: Keeper, before: int) -> None:
        self._hold, self._before = hold, before
        self.covered = 0

    def commit(self, text: str, records: int, of: int) -> None:
        """I1, I2."""
        self._hold.commit(text, self._before + records, self._before + of)
        self.covered = records

    def beat(self) -> None:
        """Keep the lease."""
        self._hold.beat()
