"""kill -9 of any process of a job at a random moment, then the same line again (I1, I5, I8, I11).

After the kill: no process is left, and Dativo's bookmark is not ahead of the one that the target keeps with its data.
After the same line once more: every row is there, once.

    DATIVO_CHAOS_KILLS=50 pytest tests/chaos     # how many (12 by default; `make chaos`: 50)
    DATIVO_CHAOS_SEED=4711 pytest tests/chaos    # the same kills again; each test is named after it
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.chaos import jobs
from tests.chaos.jobs import Job
from tests.workspace import Workspace, unique

KILLS = int(os.environ.get("DATIVO_CHAOS_KILLS") or 12)
SEED = int(os.environ.get("DATIVO_CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
pytestmark = pytest.mark.timeout(600)  # a hang is a failure; no speed is asked for

VICTIMS = ("tap", "target", "bus", "control")
AT_ONCE = 0.05
"""Moments before this: as soon as the victim is there, be it before the tap is."""


@dataclass(frozen=True)
class Kill:
    """Whom to kill in which kind of run, and how far the tap's output has come by then (above 1: after its end)."""

    number: int
    victim: str
    variant: jobs.Variant
    line: str
    moment: float
    pick: float

    def __str__(self) -> str:
        return f"seed-{SEED}-kill-{self.number}-{self.victim}-{self.line}-{self.variant.name}-at-{self.moment:.2f}"


def kills() -> Iterator[Kill]:
    """All combinations in a random order, again and again, each at a random moment."""
    chance = random.Random(SEED)
    combinations = list(product(VICTIMS, jobs.VARIANTS, jobs.LINES))
    chance.shuffle(combinations)
    for number in range(KILLS):
        victim, variant, line = combinations[number % len(combinations)]
        moment = chance.uniform(0, 1 if victim == "tap" else 1.15)
        yield Kill(number, victim, variant, line, moment, chance.random())


@pytest.fixture(scope="session")
def rows_file(flights_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return jobs.write_rows(flights_csv / "flights.csv", tmp_path_factory.mktemp("chaos") / "rows.csv")


@pytest.fixture(scope="session")
def whole(our_plugins: Workspace, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many bytes the tap writes when nobody stops it."""
    workspace = our_plugins.branch(tmp_path_factory.mktemp("whole"))
    return int(workspace.shell(f"dativo tap-csv --files '{rows_file}' | wc -c").expect().stdout)


@pytest.mark.parametrize("kill", list(kills()), ids=str)
def test_a_killed_job_is_completed_by_the_same_line(
    kill: Kill, our_plugins: Workspace, rows_file: Path, whole: int, tmp_path: Path
) -> None:
    job = Job(unique("chaos"), kill.variant, kill.line, our_plugins.branch(tmp_path / "project"), rows_file)
    job.configure()
    moment = kill.moment
    while not killed_once(job, kill, moment, whole):  # it was over before it could be killed: earlier, then
        reset(job)
        moment /= 2

    assert processes.left_over(job.name) == [], "I8: a process outlived its run"
    stored, kept = progress(job.workspace.bookmark(job.name)), progress(target_bookmark(job))
    assert stored <= kept, f"I1: Dativo's bookmark says {stored} rows, the target has {kept}"

    again = job.workspace.shell(job.command, job=job.name).expect()
    job.check_rows()
    assert processes.left_over(job.name) == []
    assert progress(job.workspace.bookmark(job.name)) == jobs.ROWS, again.stderr


def killed_once(job: Job, kill: Kill, moment: float, whole: int) -> bool:
    """Run the line and kill the victim at the moment; False when the line was over before."""
    running = job.workspace.start(job.command, job=job.name)
    tap = Tap(whole)
    killed = None
    while killed is None and running.poll() is None:
        found = processes.of_job(job.name)
        tap.look(found)
        victims = sorted((one for one in found if one.role == kill.victim), key=lambda one: one.pid)
        if victims and (moment < AT_ONCE or tap.progress >= moment):
            victim = victims[int(kill.pick * len(victims))]
            killed = victim if victim.kill() else None
        time.sleep(0.002)
    stdout, stderr = running.communicate()
    said = f"{stdout[-3000:]}{stderr[-3000:]}"
    if killed is None:
        assert running.returncode == 0, said
    elif AT_ONCE <= moment < 0.9:
        assert running.returncode != 0, f"I11: {killed.command} was killed, and the line exits 0\n{said}"
    return killed is not None


class Tap:
    """How far the tap has come: the part of its output that it has written; beyond 1 for every look since its end."""

    def __init__(self, whole: int) -> None:
        self.whole, self.progress, self.seen = whole, 0.0, False

    def look(self, found: list[processes.Found]) -> None:
        written = next((one.bytes_written() for one in found if one.role == "tap"), None)
        if written is not None:
            self.seen, self.progress = True, written / self.whole
        elif self.seen:
            self.progress = max(1.0, self.progress + 0.01)


def reset(job: Job) -> None:
    """Forget what a completed run has left, for another try at killing one."""
    job.workspace.dativo("state", "clear", job.name, "--yes").expect()
    for place in (job.output, job.output.with_suffix(".duckdb.wal")):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def target_bookmark(job: Job) -> Any:
    """The bookmark that the target keeps with its data."""
    program = job.workspace.executable(job.variant.target)
    config = job.workspace.folder / "target.json"
    config.write_text(json.dumps(job.target_config), "utf-8")
    stdout = job.workspace.shell(f"{program} --config {config} --bookmark {job.name}").expect().stdout
    return json.loads(stdout) if stdout.strip() else None


def progress(bookmark: Any) -> int:
    """How many rows of the file a bookmark of tap-csv covers."""
    if not bookmark or not bookmark.get("bookmarks"):
        return 0
    return sum(file["rows"] for file in bookmark["bookmarks"]["rows"]["files"].values())
