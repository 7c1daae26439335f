"""Starts one plugin as a run would, waits for the first record, and stops it: `dativo config PLUGIN test`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from dativo import errors
from dativo.bus.plan import Grace, Plan, Sink, Source
from dativo.dataclass import dataclass
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress
from dativo.run import catalog, connector, rundirs, troubles
from dativo.run.attempt import Attempt, Seen
from dativo.run.disclosure import disclosed
from dativo.run.interrupts import Interrupts
from dativo.run.options import RunOptions
from dativo.run.outcome import failure
from dativo.run.step import Step

JOB = "config-test"


@dataclass(frozen=True)
class Trial:
    """How it went. `stream` is where the first record came from; None: there was none to come."""

    seconds: float
    stream: str | None
    streams: int


class _Stop(Interrupts):
    """Interrupts that the program itself can raise."""

    def stop(self) -> None:
        """Let the plugin end, once."""
        if self._target is not None:
            self._target.interrupt()


class _Watch(Progress):
    """Stops the run at the first record."""

    def __init__(self, stop: _Stop) -> None:
        super().__init__()
        self._stop = stop
        self.first: str | None = None
        self.at = 0.0

    def counters(self, streams: Mapping[str, Mapping[str, int]], total_bytes: int) -> None:
        """The totals so far: any record will do."""
        found = next((name for name, totals in streams.items() if totals.get("records")), None)
        if found is not None and self.first is None:
            self.first, self.at = found, time.monotonic()
            self._stop.stop()


class _Patience:
    """Keeps no bookmark; gives up after a while."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._until = time.monotonic() + seconds

    def commit(self, text: str, records: int, of: int) -> None:
        """A trial has no bookmarks."""

    def beat(self) -> None:
        """Give up when the time is over."""
        if time.monotonic() > self._until:
            raise errors.RunError(
                "plugin.hung",
                f"{self._name} gave no record within {self._seconds:.0f} s",
                hint="--timeout waits longer",
            )


def trial(step: Step, *, timeout: float, log: PluginLog) -> Trial:
    """A tap: until its first record. Anything else: an empty input, which it should end on. Raises why it failed."""
    begun = time.monotonic()
    with _Stop() as interrupts, disclosed([step]) as (opened,):
        if step.speaks_airbyte:
            connector.Asking(opened.plugin, opened.config, opened.surroundings(), log, interrupts).check()
            if step.role == "target":  # it has said that it could write, and without streams it could not be asked to
                return Trial(time.monotonic() - begun, None, 0)
        text = catalog.prepare(opened, RunOptions(), None, interrupts, log) if step.role == "tap" else None
        run = rundirs.fresh_id("t")
        opened.ready()
        plan = Plan(
            run=run,
            job=JOB,
            run_dir=rundirs.run_dir(run),
            children=[opened.child(job=JOB, run=run, catalog=text)],
            source=None if step.role == "tap" else Source("nothing", await_verdict=False),
            sink=None if step.role == "target" else Sink("nowhere", quiet=True),
            grace=Grace(eof=timeout, term=2, drain=2),
        )
        watch = _Watch(interrupts)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            patience = _Patience(step.name, timeout)
            stdin, stdout = (null if plan.source else None), (null if plan.sink else None)
            seen = Attempt(plan, interrupts, log, watch, keeper=patience, stdin=stdin, stdout=stdout).drive()
        finally:
            os.close(null)
        if watch.first is None:
            if interrupts.count:
                raise interrupts.cancelled()
            _judge(step, seen, interrupts, log)
    return Trial((watch.at or time.monotonic()) - begun, watch.first, len(seen.streams))


def _judge(step: Step, seen: Seen, interrupts: Interrupts, log: PluginLog) -> None:
    if seen.end.verdict == "done":
        return
    left = seen.exits.get(step.name)
    problem = failure(
        seen.end,
        lines=log.last(step.name),
        ours=step.ours,
        exit_code=left.code if left else None,
        interrupts=interrupts,
        context={"plugin": step.name},
    )
    raise troubles.explained(problem, seen)
