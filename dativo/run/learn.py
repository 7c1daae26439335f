"""One round of `dativo learn`: a plugin alone, confined by what it is granted now, and observed.

A tap's messages are checked by the data plane and thrown away; a target or a mapper gets messages from a file. Nothing
is kept: no bookmark, no history. I6: observing grants nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.bus.plan import Sink, Source
from dativo.config.keys import UNFENCED
from dativo.config.project import working_directory
from dativo.dataclass import dataclass
from dativo.engines import singer
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress
from dativo.run import catalog, connector, probe, rundirs
from dativo.run.attempt import Attempt, Seen
from dativo.run.grants import Confining
from dativo.run.interrupts import Interrupts
from dativo.run.job import read_state
from dativo.run.needs import Needs, needs
from dativo.run.outcome import failure
from dativo.run.places import Own
from dativo.run.sides import Side
from dativo.run.step import Step

JOB = "learn"


@dataclass(frozen=True)
class Watching(Confining):
    """Grants as in a run, with an eye on the plugin."""

    def __call__(self, env: Mapping[str, str]) -> dict[str, Any]:
        """The plan's blocks; a profile that fences nothing gives nothing to observe."""
        found = super().__call__(env)
        sandbox = {**found["sandbox"], "observe": True}
        if sandbox["profile"] in UNFENCED:
            sandbox["profile"] = "standard"
        return {**found, "sandbox": sandbox}


class Watched(Step):
    """A step whose plugin is observed, probes included."""

    @classmethod
    def of(cls, step: Step) -> Watched:
        """The same step."""
        return cls(**{one.name: getattr(step, one.name) for one in fields(step)})

    def surroundings(self, *, planned: bool = False) -> dict[str, Any]:
        """As for a run, observed."""
        return {**super().surroundings(planned=planned), "confine": Watching(self.grants, planned)}


@dataclass
class Round:
    """What one round found."""

    needs: Needs
    problem: errors.DativoError | None = None
    """Why it did not pass."""
    records: int = 0
    peak_kb: int = 0
    processes: int = 0
    reached: set[str] = field(default_factory=set)
    """The HOST:PORTs that it was connected to."""

    @property
    def passed(self) -> bool:
        """It ended well, and was not only kept from noticing that there is something to do."""
        return self.problem is None and not (self.needs and self.records == 0)


def once(side: Side, source: int | None, interrupts: Interrupts) -> Round:
    """Run it once. `source` is an open file of messages, for what reads some."""
    return _Trying(side, interrupts).round(source)


def folders(value: Any) -> Iterator[str]:
    """The folders that settings name, at any depth."""
    if isinstance(value, str):
        path = os.path.normpath(working_directory() / Path(value).expanduser()) if "\0" not in value else ""
        if os.path.isdir(path) and path != "/":  # noqa: PTH112 - a text all along
            yield path
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from folders(one)


class _Trying:
    """A plugin on trial: its catalog first, then its messages."""

    def __init__(self, side: Side, interrupts: Interrupts) -> None:
        self.side, self.interrupts = side, interrupts
        self.step = Watched.of(side.step())
        self.log = PluginLog(shown=side.options.verbose)
        self.found: list[Seen] = []

    def round(self, source: int | None) -> Round:
        """What it tried, how it ended, and what it needs for more."""
        problem = None
        try:
            text = self._catalog() if self.step.role == "tap" else self._streams()
            problem = self._move(text, source)
        except errors.DativoError as error:
            if not self.found or error.code in ("run.cancelled", "sandbox.unavailable"):
                raise
            problem = error
        if self.interrupts.count:
            raise self.interrupts.cancelled()
        total = Seen()
        for seen in self.found:
            if seen.end.reason == "sandbox.unavailable" and problem is not None:
                raise problem
            total.accesses += seen.accesses
            total.connections.update({key: one for key, one in seen.connections.items() if one["denied"]})
        exits = [one for seen in self.found for one in seen.exits.values()]
        return Round(
            needs(
                total,
                self.step.grants,
                Own.of(self.side.project),
                lines=self.log.last(self.step.name),
                named=folders(self.step.config),
            ),
            problem,
            sum(one.get("records", 0) for seen in self.found for one in seen.end.streams.values()),
            max((max(one.peak_kb, one.max_rss_kb) for one in exits), default=0),
            max((one.peak_processes for one in exits), default=0),
            {
                f"{host}:{port}"
                for seen in self.found
                for (_, host, port), one in seen.connections.items()
                if one["open"]
            },
        )

    def _streams(self) -> str | None:
        """The catalog for a target that has to be given one."""
        given = catalog.chosen(self.step, self.side.options) if self.step.speaks_airbyte else None
        return None if given is None else catalog.whole(given)

    def _catalog(self) -> str | None:
        options, step = self.side.options, self.step
        given = catalog.chosen(step, options)
        if given is not None or not step.can("discover") or not (step.can("catalog") or step.can("properties")):
            return catalog.prepare(step, options, given, self.interrupts, self.log)
        speaks_airbyte = step.speaks_airbyte
        if speaks_airbyte:
            child = connector.question(step.plugin, "discover", step.config, **step.surroundings())
        else:
            child = singer.probe(step.plugin, ["--discover"], config=step.config, **step.surroundings())
        answer = probe.ask(child, interrupts=self.interrupts, log=self.log, patience=None)
        self.found.append(answer.seen)
        if speaks_airbyte:
            known = connector.catalog_of(answer)
        else:
            known = probe.json_object(answer.stdout) if answer.ok and answer.end.verdict == "done" else None
        if known is None or not isinstance(known.get("streams"), list):
            raise self._failed(answer.seen, "could not discover its streams")
        return catalog.prepare(step, options, None, self.interrupts, self.log, discovered=known)

    def _move(self, text: str | None, source: int | None) -> errors.DativoError | None:
        step, run = self.step, rundirs.fresh_id("l")
        state = read_state(self.side.options.state) if step.role == "tap" else None
        ends: dict[str, Any] = {}
        if step.role != "tap":
            ends["source"] = Source("input", await_verdict=False)
        if step.role != "target":
            ends["sink"] = Sink("nowhere", quiet=True)
        step.ready()
        child = step.child(job=JOB, run=run, catalog=text, state=state)
        plan = self.side.plan(step, child, run=run, job=JOB, **ends)
        place = Path(os.devnull if source is None else f"/proc/self/fd/{source}")
        with place.open("rb") as given, Path(os.devnull).open("wb") as null:  # the data plane is given both for good
            stdin = given.fileno() if "source" in ends else None
            stdout = null.fileno() if "sink" in ends else None
            seen = Attempt(plan, self.interrupts, self.log, Progress(), stdin=stdin, stdout=stdout).drive()
        self.found.append(seen)
        return None if seen.end.verdict == "done" else self._failed(seen)

    def _failed(self, seen: Seen, what: str | None = None) -> errors.DativoError:
        end, name = seen.end, self.step.name
        if what is not None and end.reason in (None, "plugin.exited"):
            end = replace(end, reason="plugin.exited", child=name, message=f"{name} {what}")
        left = seen.exits.get(name)
        return failure(
            end,
            lines=self.log.last(name),
            ours=self.step.ours,
            exit_code=left.code if left else None,
            interrupts=self.interrupts,
            context={"plugin": name},
        )
