"""A tape, or dead letters, run again: into a target as a job of its own, or to stdout as one side of a shell pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dativo.bus.plan import Plan
from dativo.config.project import Project
from dativo.config.specs import JobSpec, bare
from dativo.dataclass import dataclass
from dativo.run import sides, tape
from dativo.run.job import Job
from dativo.run.options import RunOptions
from dativo.run.pipe import ToldElsewhere
from dativo.run.player import Player, player
from dativo.run.settings import Given
from dativo.run.sides import Side
from dativo.run.step import Step

NAME = "tape"


def tape_player(project: Project, path: Path, options: RunOptions, *, until: int | None, real_time: bool) -> Player:
    """The tap that plays a tape."""
    words = ["--until", str(until)] if until is not None else []
    words += ["--real-time"] if real_time else []
    return player(project, NAME, [path], words=words, profile=options.sandbox)


def job_of(path: Path) -> str:
    """The job that a tape is replayed as, unless another is named: never the one that was recorded."""
    return f"replay-{path.name.removesuffix(tape.SUFFIX).removesuffix('.zst')}"


def into(
    tap: Player,
    name: str,
    steps: Sequence[str],
    options: RunOptions,
    *,
    sets: Sequence[str] = (),
    files: Sequence[str] = (),
) -> Job:
    """The job that replays a tape into a target, through mappers. Its bookmark is its own."""
    return Job(tap.project, JobSpec(name, tuple(map(bare, steps))), options, sets, files, tap=tap)


@dataclass
class Playing(Side):
    """The tap's side of a shell pipe, where the tap is ours. Remembers as what run it was part of what job."""

    tap: Player | None = None
    run: str | None = None
    job: str | None = None

    def step(self) -> Step:
        """The player."""
        assert self.tap is not None
        return self.tap

    def plan(self, step: Step, child: dict[str, Any], *, run: str, job: str, **ends: Any) -> Plan:
        """The plan; the other side has named run and job by now."""
        self.run, self.job = run, job
        return super().plan(step, child, run=run, job=job, **ends)


def stream(tap: Player, job: str, options: RunOptions) -> tuple[int, Playing]:
    """Print the stream on stdout, to whoever reads there. The exit code, and what became of it."""
    side = Playing(tap.project, tap.plugin, replace(options, job=job), Given(), tap=tap)
    try:
        return sides.tap(side), side
    except ToldElsewhere as elsewhere:  # the other side says why
        return elsewhere.exit_code, side
