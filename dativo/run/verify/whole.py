"""`dativo verify`: the source is read in full once more and compared with what the destination holds.

Nothing is written, no lease is taken and no bookmark moves. Records beyond the job's bookmark are not missed where the
stream's replication key shows that they are beyond it.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.bus.plan import Plan, Sink
from dativo.dataclass import dataclass
from dativo.observe.log import PluginLog
from dativo.observe.progress import progress
from dativo.run import adapting, catalog, conclusion, rundirs
from dativo.run.attempt import Attempt
from dativo.run.disclosure import disclosed
from dativo.run.interrupts import Interrupts
from dativo.run.job import Job, lines, prepared
from dativo.run.step import Step
from dativo.run.verify import database, landing
from dativo.run.verify.aside import aside
from dativo.run.verify.comparison import Comparison
from dativo.run.verify.findings import Finding
from dativo.run.verify.readback import read_back
from dativo.run.verify.room import room
from dativo.state import location
from dativo.state.store import Store

SOURCE = "source.jsonl"


@dataclass
class Verified:
    """What a job's destination looks like beside its source."""

    job: str
    target: str
    findings: list[Finding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Streams that the source sends as BATCH files: they were not compared."""

    @property
    def equal(self) -> bool:
        """Whether all is there, and nothing else."""
        return all(one.equal for one in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        streams = [one.as_dict() for one in self.findings]
        return {
            "job": self.job, "target": self.target, "equal": self.equal, "streams": streams, "unread": self.unread,
        }  # fmt: skip


def verify(job: Job, tell: Callable[[str], None] = lambda _: None) -> Verified:
    """Read both sides and compare them. `tell` hears what is being done."""
    with Interrupts() as interrupts, room(job.project.state_path) as folder:
        steps = prepared(job)
        found = landing.of(steps[-1])
        database.ready()
        with disclosed(steps) as steps:
            renamed = _read_source(job, steps, folder, interrupts)
            comparison = Comparison(folder)
            try:
                aside(lambda: comparison.take(folder / SOURCE), stop=comparison.stop)
                done = Verified(job.name, steps[-1].name)
                done.unread = [name for name, one in comparison.streams.items() if one.batches]
                wanted = [name for name in comparison.streams if name not in done.unread]
                rows = sum(comparison.streams[name].rows for name in wanted)
                tell(f"{rows:,} rows read from {steps[0].name}, now {steps[-1].name}")
                read = read_back(steps[-1], found, wanted, folder, interrupts=interrupts) if wanted else {}
                marks = {renamed.get(name, name): mark for name, mark in positions(job).items()}
                for name in wanted:
                    how: dict[str, Any] = {
                        "upserts": found.upserts,
                        "whole": True,
                        "empty_is_null": found.empty_is_null,
                        "since": marks.get(name),
                    }
                    one = functools.partial(comparison.compare, name, read[name], **how)
                    compared = aside(one, stop=comparison.stop)
                    if compared.equal:
                        tell(compared.words())
                    done.findings.append(compared)
                return done
            finally:
                comparison.close()


def _read_source(job: Job, steps: Sequence[Step], folder: Path, interrupts: Interrupts) -> dict[str, str]:
    """Everything that the tap sends without a state, behind the job's mappers, into one file.

    Streams have the names that the target knows them by; those that have another from the tap are returned.
    """
    options, log = job.options, PluginLog(shown=job.options.verbose)
    chosen = catalog.chosen(steps[0], options)
    text = catalog.prepare(steps[0], options, chosen, interrupts, log)
    run = rundirs.fresh_id("v")
    tap, *mappers = steps[:-1]
    for step in steps[:-1]:
        step.ready()
    plan = Plan(
        run=run,
        job=job.name,
        run_dir=rundirs.run_dir(run),
        children=[
            tap.child(job=job.name, run=run, catalog=text),
            *(step.child(job=job.name, run=run) for step in mappers),
        ],
        sink=Sink("the comparison", quiet=True, adapt={"stream_name": adapting.template_of(options, job.spec)}),
        limits=options.limits({**lines(steps[:-1]), **job.spec.limits}),
        policy=options.policy(job.spec.policy, batch=True),
        grace=options.graces(job.spec.grace),
    )
    out = os.open(folder / SOURCE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        shown = progress(quiet=options.quiet or options.json)
        seen = Attempt(plan, interrupts, log, shown, stdout=os.dup(out), shows_junk=options.verbose).drive()
    finally:
        os.close(out)
    summary = conclusion.summarise(seen, run=run, job=job.name, hold=None)
    problem = conclusion.problem(seen, summary, steps, log, interrupts)
    if problem is not None:
        raise problem
    return seen.renamed


def positions(job: Job) -> dict[str, Any]:
    """Stream -> the replication key's value in the job's bookmark, where it has one that is understood."""
    try:
        with Store.open_to_read(location.of(job.project)) as store:
            mark = store.bookmark(job.name)
    except errors.DativoError:
        return {}
    value = json.loads(mark.text) if mark is not None else {}
    parts = value.get("bookmarks") if isinstance(value, dict) else None
    if not isinstance(parts, dict):
        return {}
    return {name: found for name, part in parts.items() if (found := _position(part)) is not None}


def _position(part: Any) -> Any:
    """A stream's position by the habits of Singer taps: `replication_key_value`, or the one plain value there is."""
    if not isinstance(part, dict):
        return part
    if "replication_key_value" in part:
        return part["replication_key_value"]
    plain = [value for key, value in part.items() if isinstance(value, str | int | float) and key not in _NOT_MARKS]
    return plain[0] if len(plain) == 1 else None


_NOT_MARKS = {"replication_key", "version", "initial_full_table_complete", "last_replication_method", "lsn"}
