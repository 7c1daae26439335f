"""Back-to-back incremental runs with random kills while the source changes.

In the end the target has what the source has, and neither the memory of Dativo's processes nor its files have grown
with the number of runs.

    DATIVO_SOAK_RUNS=200 pytest tests/soak        # how many (9 by default, of PostgreSQL a third; `make soak`: 200)
    DATIVO_CHAOS_SEED=4711 pytest tests/soak      # the same changes and kills again
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests import processes
from tests.chaos import survival
from tests.chaos.conftest import SEED
from tests.chaos.faults import Fault
from tests.chaos.jobs import LINES, VARIANTS, Bench, Job
from tests.chaos.watch import Watch
from tests.processes import ROLES
from tests.soak.changing import ChangingTables, GrowingFile, Source
from tests.soak.footprint import OURS, Footprint, growth

RUNS = int(os.environ.get("DATIVO_SOAK_RUNS") or 9)
pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(300 + 120 * RUNS)]

BY_NAME = {variant.name: variant for variant in VARIANTS}
JOBS = {"csv-duckdb-keyless": RUNS, "csv-jsonl": RUNS, "postgres-duckdb": RUNS // 3}
PAGES = 4 << 10
"""What the store may grow by each run: its history keeps where each run stopped, and is never cut."""
MEMORY_NOISE, STORE_NOISE = 8 << 20, 5 << 20
"""What is no growth: memory differs that much between two equal runs, the store's log is reused from some size on."""


@pytest.mark.parametrize("name", JOBS)
def test_many_runs_and_kills_leave_the_rows_and_nothing_else(name: str, bench: Bench, tmp_path: Path) -> None:
    chance, variant = random.Random(f"{SEED}-{name}"), BY_NAME[name]
    job = survival.fresh(Fault(SEED, 0, "soak", "", variant, "run", 0, 0), bench, tmp_path / "job", "")
    job.rows_file = tmp_path / "rows.csv"
    job.configure()
    source: Source
    if variant.tap == "tap-csv":
        job.rows, source = 0, GrowingFile(job, chance)
    else:
        source = ChangingTables(job, chance)
    (tmp_path / "tmp").mkdir()
    runs = [one_run(job, source, chance, tmp_path / "tmp", sure=number % 4 == 1) for number in range(JOBS[name])]
    assert any(run.killed for run in runs) or len(runs) < 8, "nothing was killed"

    job.workspace.shell(job.command, job=job.name).expect()
    arrived, wanted = job.arrived(), source.rows()
    for stream, rows in wanted.items():
        lost, more = rows - arrived[stream], arrived[stream] - rows
        assert not lost and not more, f"{stream}: {lost.total()} rows are lost, {more.total()} too many\n{again(name)}"
    assert processes.left_over(job.name) == []
    must_be_flat(runs, job)


def one_run(job: Job, source: Source, chance: random.Random, temporary: Path, *, sure: bool) -> Footprint:
    """Change the source, run the line, change a table while it runs, and perhaps kill one of its processes.

    `sure`: it is killed, and at once; any later a small run may be over.
    """
    source.change()
    job.line = chance.choice(LINES)
    victim = chance.choice(ROLES) if chance.random() < 0.5 else None
    patience = chance.choice((0, 0, chance.uniform(0, 0.6)))
    if sure:
        victim, patience = "control", 0
    environment = job.workspace.environment(job.name) | {"TMPDIR": str(temporary)}
    running = job.workspace.start(job.command, job=job.name, env=environment)
    watch, seen, since = Watch(running, job.name, 1), Footprint(), None
    if source.while_read:
        source.change()
    while not watch.over:
        found = watch.found()
        seen.look(found)
        victims = [one for one in found if one.role == victim]
        since = since or (time.monotonic() if victims else None)
        if victims and since is not None and not seen.killed and time.monotonic() - since > patience:
            seen.killed = chance.choice(victims).kill()
        time.sleep(0.01)
    said = watch.rest()
    assert seen.killed or running.returncode == 0, f"{said}\n{again(job.variant.name)}"
    assert processes.left_over(job.name) == [], "I8: a process outlived its run"
    seen.after(job.state, temporary, job.workspace.home / "run" / "runs")
    return seen


def must_be_flat(runs: list[Footprint], job: Job) -> None:
    """Neither memory nor disk grows with the number of runs."""
    whole = [run for run in runs if not run.killed]
    for role in OURS:
        used = [run.memory[role] for run in whole if role in run.memory]
        if len(used) < 2:
            assert len(runs) < 8, f"the {role} was hardly ever seen"
            continue  # a few runs, killed or over before they were looked at, say nothing about growth
        first, step = growth(used)
        assert step * len(used) <= MEMORY_NOISE, f"the {role} grows by {step:.0f} bytes a run, from {first:.0f}"
    first, step = growth([run.store for run in runs])
    assert step * len(runs) <= STORE_NOISE + PAGES * len(runs), f"the store grows by {step:.0f} bytes a run"
    # A run that was killed before its folder had a lock file may leave it for a minute.
    first, step = growth([run.left for run in runs])
    assert step * len(runs) <= 5, f"{step:.1f} files are left by each run, in {job.workspace.home / 'run' / 'runs'}"


def again(name: str) -> str:
    """How to see the same once more."""
    return f"again: DATIVO_CHAOS_SEED={SEED} DATIVO_SOAK_RUNS={RUNS} pytest tests/soak -k {name}"
