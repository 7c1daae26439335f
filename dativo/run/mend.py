"""One plugin of a living pipeline started again: the target behind its bookmark, the tap from its last STATE.

The data plane keeps what the target was given since its last bookmark and asks when a tap or target dies. Here it is
decided, by the same policy and count as whole attempts. What cannot be mended without loss, or without rows that come
twice where the target keeps the bookmark with its data, is given up: then the attempt has failed, and the next one goes
on from the committed bookmark.

A target that dies twice of the same input, or says that no retry can help, has met a record that it cannot load. Where
the job sets bad records aside, the data plane looks for it, if loading rows twice does no harm; else it sets the whole
batch aside.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.bus.events import End, Event, Lost, Resumed
from dativo.bus.plan import Spool
from dativo.bus.process import BusProcess
from dativo.dataclass import dataclass
from dativo.observe import figures
from dativo.observe.log import PluginLog
from dativo.run import causes, encoding, probe, troubles
from dativo.run.attempt import Seen
from dativo.run.causes import Cause, Evidence
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.outcome import failure
from dativo.run.retry import Retrying
from dativo.run.step import Step
from dativo.run.verify import landing
from dativo.state.bookmark import exact_text

MOST_SEARCHES = 100
"""Records that one attempt looks for; what meets more has another trouble."""


@dataclass
class Mending:
    """What is needed to start a plugin of this attempt again. `catalog` and `state` are what the tap was given."""

    steps: Sequence[Step]
    hold: Hold
    retrying: Retrying
    interrupts: Interrupts
    log: PluginLog
    catalog: str | None
    state: str | None
    mended: Callable[[Cause, float], None]
    """Told when a plugin is to be started again, and after how many seconds: an attempt of its own in the history."""
    spool: Spool | None = None
    """That of the attempt: where rows lie that go as columns."""
    quarantines: bool = False
    """Whether records that the target cannot load are set aside."""
    quiet: bool = False

    notes: list[str] = field(default_factory=list)
    """What was mended, for the summary."""
    _waiting: Lost | None = None
    _due: float = 0.0
    _search: str | None = None
    _searches: int = 0
    _died_at: str | None = ""
    """The bookmark at which the target died last; empty when it has not."""

    def heard(self, event: Event | None, bus: BusProcess, seen: Seen) -> None:
        """Follow the attempt: decide about a loss, and have the plugin started when its time has come."""
        if isinstance(event, Lost):
            self._lost(event, bus, seen)
        elif isinstance(event, Resumed):
            again = f", {figures.count(event.records, 'record')} delivered again" if event.records else ""
            self.notes.append(f"{event.child} was started again in place{again}")
        elif self._waiting is not None and time.monotonic() >= self._due:
            lost, self._waiting = self._waiting, None
            self._mend(lost, bus)

    def _lost(self, event: Lost, bus: BusProcess, seen: Seen) -> None:
        step = self._step(event.child)
        cause = self._cause(event, step, seen)
        self._search = self._searched(step, cause, seen)
        if self._search is not None:
            wait: float | None = 0.0
        else:
            wait = self.retrying.decide(cause) if self._can(event, step, seen) else None
        if wait is None:
            bus.control({"give_up": True})
            return
        self._waiting, self._due, why = event, time.monotonic() + wait, causes.brief(cause.message)
        self.log.forget(event.child)
        if self._search is None:
            self.mended(cause, wait)
            failed = f"attempt {self.retrying.used} of {self.retrying.policy.attempts} failed: {why}"
            self._say(f"{failed} · {event.child} again in {figures.seconds(wait)} (Ctrl-C stops)")
        else:
            what = {"record": "looking for the record that it cannot load", "batch": "setting its batch aside"}
            self._say(f"{why} · {event.child}: {what[self._search]}")

    def _say(self, line: str) -> None:
        if not self.quiet:
            print(f"  {figures.clean(line)}", file=sys.stderr, flush=True)

    def _mend(self, event: Lost, bus: BusProcess) -> None:
        if self.interrupts.count:
            return  # the data plane is draining: nothing is mended any more
        try:
            child, bookmark = self._again(event, self._step(event.child))
        except errors.DativoError:
            bus.control({"give_up": True})  # the next attempt meets the same, and says so
            return
        bus.restart(child, bookmark, self._search)

    # -- whether and how

    def _step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def _cause(self, event: Lost, step: Step, seen: Seen) -> Cause:
        lines = self.log.last(step.name)
        problem = failure(
            End(reason=event.code, child=event.child, message=event.message),
            lines=lines,
            ours=step.ours,
            exit_code=event.exit,
            interrupts=self.interrupts,
        )
        problem = troubles.explained(problem, seen)
        evidence = Evidence(
            lines=lines,
            code=event.exit,
            signal=event.signal,
            ours=step.ours,
            declared=causes.declared(step.plugin.manifest),
            unreachable=seen.unreachable(step.name),
        )
        return causes.cause_of(problem, evidence)

    def _searched(self, step: Step, cause: Cause, seen: Seen) -> str | None:
        """Whether what the target dies of is looked for: `record`, `batch`, or not at all."""
        if (
            step is not self.steps[-1]
            or not self.quarantines
            or self.interrupts.count
            or not self._of_data(step, cause)
        ):
            return None
        again, self._died_at = self._died_at == seen.marked, seen.marked
        suspected = again or self._searches or cause.kind == "permanent"
        if not suspected or self._searches >= MOST_SEARCHES:
            return None
        self._searches += 1
        keeps = step.can("bookmark") or (seen.keyed() and (step.can("upsert") or landing.replaces(step)))
        return "record" if keeps else "batch"

    def _of_data(self, step: Step, cause: Cause) -> bool:
        """Whether it may have died of a record: not of a full disk, a database that is gone, a right that it lacks."""
        if cause.reason.startswith("data."):
            return True
        died = cause.reason in ("plugin.exited", "plugin.killed", "plugin.early_end", "target.unread")
        from dativo.run import symptoms  # its patterns take a while to compile

        return died and not step.ours and symptoms.kind(self.log.last(step.name)) is None

    def _can(self, event: Lost, step: Step, seen: Seen) -> bool:
        if self.interrupts.count:
            return False
        target = self.steps[-1]
        if step is target or event.tail == 0 or not target.can("bookmark"):
            return True
        # The target will not forget what it has read behind the last STATE: rows with a key come over themselves.
        return target.can("upsert") and target.config.get("mode") in (None, "upsert") and seen.keyed()

    def _again(self, event: Lost, step: Step) -> tuple[dict[str, Any], str | None]:
        """The child to start, and the bookmark that it remembers."""
        job = self.hold.job
        if step is not self.steps[-1]:
            state = self.state if event.text is None else self.hold.merged(event.text)
            return self._child(step, catalog=self.catalog, state=state), None
        kept = None
        if step.can("bookmark"):
            kept = probe.bookmark(
                step.plugin,
                step.config,
                job,
                interrupts=self.interrupts,
                log=self.log,
                beat=self.hold.beat,
                **step.surroundings(),
            )
            if kept is None and self.hold.committed:
                raise errors.RunError("delivery.interrupted", f"{step.name} holds nothing of this job any more")
        if step.disclosure is not None:
            step.disclosure.stay()
        child = self._child(step, catalog=self.catalog, state=self.state)
        return child, None if kept is None else exact_text(kept)

    def _child(self, step: Step, **given: str | None) -> dict[str, Any]:
        loads = self.hold.loads_of(step)
        child = step.child(job=self.hold.job, run=self.hold.run, begun=self.hold.begun, loads=loads, **given)
        return encoding.dressed(child, step, self.spool)
