"""A backfill: one stream of a job read again from one value to another, on a bookmark of its own.

The job's bookmark stays where it is. The shadow is a job named after it (`shop@backfill-1c0ffee0`), and the name says
which stream and which values: the same command goes on where a backfill was interrupted, and does a finished one again
only when told to. It ends when a confirmed bookmark has reached the end, by the tap's own `end_date` where it has one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from dativo import errors
from dativo.config.project import Project
from dativo.config.specs import JobSpec
from dativo.dataclass import dataclass
from dativo.observe.summary import Summary
from dativo.plugins.installed import installed
from dativo.run.job import Job, run
from dativo.run.options import RunOptions
from dativo.run.overwriting import spec_of
from dativo.state import bookmark, location, position
from dativo.state.store import BACKFILL, Store

END_DATE = "end_date"
"""How taps made with Meltano's SDK call the setting."""


@dataclass(frozen=True)
class Backfill:
    """What is to be read again."""

    project: Project
    job: str
    stream: str
    start: str
    end: str

    @property
    def name(self) -> str:
        """The job that its bookmark is kept under."""
        said = json.dumps([self.stream, self.start, self.end]).encode()
        return f"{self.job}{BACKFILL}{hashlib.sha256(said).hexdigest()[:8]}"

    def begun(self, *, again: bool, dry_run: bool = False) -> Begun:
        """Make the shadow's bookmark, or find out how far it has come. Raises where the values make no range."""
        with Store.open_to_read(location.of(self.project)) as store:
            mark, shadow = store.bookmark(self.job), store.bookmark(self.name)
            verdict = next((one.last_verdict for one in store.jobs() if one.name == self.name), None)
        part = bookmark.streams(mark.text).get(self.stream) if mark is not None else None
        start = self._start(part)
        done = shadow is not None and (verdict == "done" or (shadow.origin == "run" and self.reached(shadow.text)))
        if shadow is not None and not (done and again):
            return Begun(shadow.text, resumed=True, done=done)
        text = f'{{"bookmarks": {{{json.dumps(self.stream)}: {start}}}}}'
        if not dry_run:
            with Store.open(location.of(self.project)) as store:
                store.set(self.name, text, reason=f"{self.stream} from {self.start} to {self.end}")
        return Begun(text)

    def _start(self, part: str | None) -> str:
        """The stream's part at the start of the range."""
        if part is None and not self.start.lstrip().startswith("{"):
            raise errors.ConfigError(
                "state.unknown",
                f"{self.job} has no bookmark of {self.stream} that shows what its bookmarks look like",
                hint='give --from as the stream\'s whole part, like \'{"replication_key": "id", …}\'',
            )
        start = position.at(part, self.start, self.stream)
        value = position.of(start)
        if value is None:
            raise errors.ConfigError(
                "state.invalid",
                f"the bookmark of {self.stream} has no single value, so nobody can tell when {self.end} is reached",
                hint="use `dativo state rewind`, which reads to the end",
            )
        order = position.compare(value, self.end)
        if order is None or order >= 0:
            raise errors.ConfigError(
                "state.invalid", f"--from {value} is not before --to {self.end}", hint="both are values of one key"
            )
        return start

    def reached(self, text: str) -> bool:
        """Whether a bookmark has come to the end of the range."""
        order = position.compare(position.of(bookmark.streams(text).get(self.stream)), self.end)
        return order is not None and order >= 0

    def run(self, options: RunOptions) -> Summary:
        """Run the job on the shadow's bookmark until it has come to the end."""
        spec = spec_of(self.project, self.job)
        chosen = replace(options, job=self.name, streams=(self.stream,), full_refresh=False, state=None)
        return run(Job(self.project, replace(spec, full_refresh=False), chosen, self._sets(spec), until=self.reached))

    def _sets(self, spec: JobSpec) -> tuple[str, ...]:
        """Where the tap can stop by itself, it is told to: then nothing after the end is read at all."""
        tap = spec.steps[0]
        known = installed(self.project, tap).settings_schema.get("properties", {})
        return (f"{tap}.{END_DATE}={self.end}",) if END_DATE in known and position.moment(self.end) else ()


@dataclass(frozen=True)
class Begun:
    """Where a backfill stands before it runs."""

    text: str
    resumed: bool = False
    done: bool = False
