"""Does a job survive a fault? The line is run and broken, and run once more: no row is lost, none comes twice.

After the fault: no process is left (I8), the bookmark covers nothing that is not in the target (I1), and a line that
ended with 0 was complete (I11). After the same line once more: every row is there, once where the target can do that,
else no more often than the bookmark allows: rows that it covered come no more, the others once more.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests import processes
from tests.chaos.faults import KINDS, Fault, Scene
from tests.chaos.jobs import Bench, Job, Row
from tests.chaos.watch import Watch
from tests.servers.postgres import Postgres
from tests.workspace import unique

INJECTED: Counter[str] = Counter()
"""What was really done so far, by kind."""
TRIES = 8


def survive(
    fault: Fault, bench: Bench, folder: Path, *, flags: str = "", programs: Path | None = None, retries: int = 0
) -> None:
    """Break a fresh job with this fault and check what is left. `programs`: where another build's `dativo` is."""
    moment = fault.moment
    for number in range(TRIES):
        with ExitStack() as after:
            job = fresh(fault, bench, folder / str(number), flags, retries)
            scene = Scene(fault, job, moment, after, programs, mark=folder / str(number) / "fired")
            if broken(scene):
                INJECTED[fault.kind] += 1
                return
        moment /= 2  # it was over before the fault came: earlier, then
    raise AssertionError(f"{fault} never fired")


def fresh(fault: Fault, bench: Bench, folder: Path, flags: str, retries: int = 0) -> Job:
    """The fault's job, that has never run."""
    folder.mkdir(parents=True)
    variant = fault.variant
    workspace = bench.plugins.branch(folder / "project")
    rows_file = bench.rows_file(variant)
    state = workspace.folder / ".dativo" / "state.db"
    job = Job(
        *(unique("chaos"), variant, fault.line, bench, workspace, variant.rows, workspace.folder, state, rows_file),
        flags=flags,
        retries=retries,
    )
    job.configure()
    return job


def broken(scene: Scene) -> bool:
    """Run the line, do it, check, run it again, check. False when the line was over before it could be done."""
    job, kind = scene.job, KINDS[scene.fault.kind]
    kind.prepare(scene)
    watch = Watch(scene.start(job.command + scene.redirect), job.name, whole(job))
    try:
        fired = kind.strike(scene, watch)
        said = f"$ {job.command}\n{watch.rest()}"
    except BaseException:
        end(job)
        watch.rest()
        raise
    code = watch.running.returncode
    if not fired:
        assert code == 0 or job.limits, f"exit {code} without a fault\n{said}"
        return False
    try:
        check(scene, code, said)
    except AssertionError as problem:
        problem.add_note(f"the broken line ended with {code}:\n{said}")
        raise
    finally:
        end(job)
    return True


def check(scene: Scene, code: int, said: str) -> None:
    """After the fault, and after the same line once more."""
    job, variant = scene.job, scene.job.variant
    if variant.server:
        wait_for(job.bench.postgres)
    assert processes.left_over(job.name) == [], "I8: a process outlived its run"
    covered, arrived = job.covered(bookmark(scene)), job.arrived()
    for stream in variant.streams:
        there = {number for number, *_ in arrived[stream]}
        ahead = set(range(covered[stream])) - there
        assert not ahead, f"I1: the bookmark covers {covered[stream]} rows of {stream}, {len(ahead)} are not there"
    if code == 0:
        job.must_be_whole(arrived)
        assert set(covered.values()) == {job.rows}, f"I2, I11: done, and the bookmark covers {covered}"
        must_be_single(job, arrived)

    scene.calm()
    running = scene.start(job.command)
    stdout, stderr = running.communicate()
    assert running.returncode == 0, f"the same line again: exit {running.returncode}\n{stdout[-2000:]}{stderr[-3000:]}"
    at_last = job.arrived()
    job.must_be_whole(at_last)
    must_be_single(job, at_last)
    for stream in variant.streams:
        for row, count in at_last[stream].items():
            again = row[0] >= covered[stream] - variant.inclusive
            bound = arrived[stream][row] + again or 1
            assert count <= bound, f"{stream}: {row} is there {count} times, the bookmark allows {bound}"
    assert set(job.covered(bookmark(scene)).values()) == {job.rows}, said
    assert processes.left_over(job.name) == []


def must_be_single(job: Job, arrived: dict[str, Counter[Row]]) -> None:
    """No row twice, in a target that can tell."""
    if job.variant.once:
        for stream, found in arrived.items():
            more = {row: count for row, count in found.items() if count > 1}
            assert not more, f"{stream}: {len(more)} rows came more than once, {min(more)} among them"


def bookmark(scene: Scene) -> Any:
    """What Dativo has in its store for the job; None when nothing."""
    job = scene.job
    answer = job.workspace.shell(scene.inside(f"dativo state get {job.name}")).expect(0, 2)
    return answer.json if answer.code == 0 else None


def whole(job: Job) -> int:
    """How many bytes the job's tap writes when nobody stops it."""
    known, key = job.bench.whole, f"{job.variant.tap}-{job.rows}"
    if key not in known:
        answer = job.workspace.shell(f"dativo {job.variant.tap} {job.flags} | wc -c").expect()
        known[key] = int(answer.stdout)
    return known[key]


def wait_for(server: Postgres) -> None:
    """Until a server that recovers takes connections again."""
    deadline = time.monotonic() + 120
    while True:
        try:
            server.sql("select 1")
        except RuntimeError:
            assert time.monotonic() < deadline, "the server does not come back"
            time.sleep(0.1)
        else:
            return


def end(job: Job) -> None:
    """Leave nothing behind, whatever was found."""
    for one in processes.of_job(job.name):
        one.kill()
