"""Dead letters replayed: into their job's own target, another one, or down a shell pipe; marked when that is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.layers import merged
from dativo.config.project import Project
from dativo.config.specs import JobSpec, bare
from dativo.dataclass import dataclass
from dativo.engines.airbyte_catalog import OWN
from dativo.engines.airbyte_destination import CHOSEN
from dativo.observe.summary import Summary
from dativo.run import job as jobs
from dativo.run import letters, tape_replay
from dativo.run.letters import Letters
from dativo.run.neighbours import Kind, holders, is_anonymous
from dativo.run.options import RunOptions
from dativo.run.player import Player, player
from dativo.run.sides import LETTERS
from dativo.state.store import Store
from dativo_protocol.catalog import apply_selection

SHELL_PATIENCE = 2.0
LOOK = 0.05
STDOUT = 1


@dataclass(frozen=True)
class Replay:
    """Which letters, how many."""

    project: Project
    found: Sequence[Letters]
    streams: tuple[str, ...] = ()
    until: int | None = None

    @property
    def job(self) -> str:
        """The job that they are from: letters are found by run or by job, so there is one."""
        return self.found[0].job

    def tap(self, options: RunOptions, count: int) -> Player:
        """The tap that plays so many of them: what is set aside from now on waits for the next replay."""
        words = [word for stream in self.streams for word in ("--stream", stream)]
        words += ["--until", str(count)]
        before = letters.replayed_before(self.found)
        files = [one.path for one in self.found]
        return player(
            self.project,
            LETTERS,
            files,
            words=words,
            replayed=before,
            streams=self.catalog(),
            profile=options.sandbox,
        )

    def catalog(self) -> dict[str, Any] | None:
        """The streams of the letters, for a destination that is told them before it starts; None without a SCHEMA.

        They have the SCHEMA that their letters had last, the name that the job's own destination knows them by, and the
        mode that the job's tap says.
        """
        with Store.open_to_read(self.project.state_path) as store:
            known = store.generations(self.job)
        streams = []
        for name, message in letters.schemas(self.found, self.streams).items():
            schema, keys, own = message.get("schema"), message.get("key_properties"), known.get(name)
            one = {
                "tap_stream_id": name,
                "stream": name,
                "schema": schema if isinstance(schema, dict) else {},
                "key_properties": keys if isinstance(keys, list) else [],
                "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
            }
            called = {key: value for key, value in (own or {}).items() if key in ("name", "namespace") and value}
            streams.append({**one, **({OWN: called} if called else {})})
        return apply_selection({"streams": streams}, (), self._modes()) if streams else None

    def _modes(self) -> dict[str, dict[str, Any]]:
        """What the job's tap says of how its streams are loaded: rows of before stay, whatever it is."""
        if self.job not in self.project.jobs():
            return {}
        job = self.project.job(self.job)
        tap = bare(job.steps[0])
        told = merged(self.project.plugin(tap).metadata, (job.plugins.get(tap) or {}).get("metadata") or {})
        modes = {pattern: dict(one).get(CHOSEN) for pattern, one in told.items()}
        return {pattern: {CHOSEN: mode} for pattern, mode in modes.items() if mode not in (None, "overwrite")}

    def taken(self) -> tuple[int, dict[Path, dict[str, int]]]:
        """What is taken by it."""
        return letters.to_replay(self.found, self.streams, self.until)

    def spec(self, mappers: Sequence[str], to: str | None) -> JobSpec:
        """The job of the letters with the letters in place of its tap: its policies and its settings hold."""
        known = self.project.job(self.job) if self.job in self.project.jobs() else None
        target = bare(to) if to else (known.steps[-1] if known else self.job.rpartition("-to-")[2])
        if not to and not known and "-to-" not in self.job:
            raise errors.ConfigError(
                "usage", f"which target {self.job} loads is not known", hint="name it: --to TARGET"
            )
        steps = (*mappers, target)
        return replace(known, steps=steps, full_refresh=False) if known else JobSpec(self.job, steps)

    def load(
        self, spec: JobSpec, options: RunOptions, *, sets: Sequence[str], files: Sequence[str]
    ) -> tuple[int, Summary | None]:
        """Load them. A run that is not done raises, and nothing is marked then. How many there were, and the run."""
        count, taken = self.taken()
        if count == 0:
            return 0, None
        job = jobs.Job(self.project, spec, options, sets, files, tap=self.tap(options, count), adopts=False)
        summary = jobs.run(job)
        letters.mark(self.found, taken)
        return count, summary

    def pipe(self, options: RunOptions) -> tuple[int, str | None]:
        """Print them on stdout. The exit code, and why they are not marked, if they are not."""
        count, taken = self.taken()
        code, side = tape_replay.stream(self.tap(options, count), f"{self.job}.{LETTERS}", options)
        if code or side.run is None or side.job is None:
            return code, None
        verdict = _verdict(self.project.state_path, side.job, side.run)
        if verdict != "done":
            return code, "whoever read them did not say that they are loaded: they are not marked as replayed"
        letters.mark(self.found, taken)
        return code, None


def reader_is_ours() -> bool:
    """Whether stdout is a shell pipe into another `dativo`: a shell's fork may take a moment to become one."""
    until = time.monotonic() + SHELL_PATIENCE
    while is_anonymous(STDOUT):
        seen = [one.kind for one in holders(STDOUT, writing=False)]
        if Kind.DATIVO in seen:
            return True
        if Kind.SHELL not in seen or time.monotonic() > until:
            return False
        time.sleep(LOOK)
    return False


def _verdict(store_path: Path, job: str, run: str) -> str | None:
    """How the run of the target's side ended; waits while it lasts. None: it keeps no history here, or was killed."""
    while True:
        with Store.open_to_read(store_path) as store:
            lives = any(one.name == job and one.holder is not None for one in store.jobs())
            entry = next((one for one in store.log(job) if one.run == run), None)
        if entry is not None and entry.verdict is not None:
            return entry.verdict
        if not lives:
            return None
        time.sleep(LOOK)
