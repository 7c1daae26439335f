"""The kinds of faults, and how each is done to a running line. A fault that came too late says so: it never fired."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from dativo import errors
from dativo.state.store import Store
from tests.chaos import thief
from tests.chaos.disks import SmallDisk
from tests.chaos.jobs import LINES, VARIANTS, Job, Variant
from tests.chaos.watch import Watch
from tests.processes import ROLES

HOUR = 3600
DEALT = (*VARIANTS, *(one for one in VARIANTS if not one.foreign and not one.server))
"""The jobs that are quick and ours twice."""


@dataclass(frozen=True)
class Fault:
    """What happens to which job, and when: how far the tap's output has come by then (above 1: after its end)."""

    seed: int
    number: int
    kind: str
    victim: str
    variant: Variant
    line: str
    moment: float
    pick: float

    def __str__(self) -> str:
        what = f"{self.kind}-{self.victim}" if self.victim else self.kind
        return f"seed-{self.seed}-fault-{self.number}-{what}-{self.line}-{self.variant.name}-at-{self.moment:.2f}"


@dataclass
class Scene:
    """One try at one fault: the job, what its line is started with, and what has to be tidied up."""

    fault: Fault
    job: Job
    moment: float
    after: ExitStack
    programs: Path | None = None
    """Where another build's `dativo` is."""
    environment: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)
    disk: SmallDisk | None = None
    redirect: str = ""
    mark: Path = Path()
    """Where the shim says that it struck."""

    def shim(self, **settings: str) -> None:
        """Load the shim into everything that the line starts; only the control plane touches the store."""
        self.environment["LD_PRELOAD"] = str(self.job.bench.shim)
        paths = {"PATHS": self.job.state.name, "FIRED": str(self.mark)}
        self.environment |= {f"SHIM_{name}": value for name, value in {**paths, **settings}.items()}

    def start(self, line: str) -> subprocess.Popen[str]:
        """Type a line, with this scene's environment and where its disk can be seen."""
        job = self.job
        environment = job.workspace.environment(job.name) | self.environment
        if self.programs is not None:
            environment["PATH"] = f"{self.programs}:{environment['PATH']}"
        return job.workspace.start(self.inside(line), job=job.name, env=environment)

    def inside(self, line: str) -> str:
        """The line, where the fault's disk can be seen."""
        if not self.prefix:
            return line
        return shlex.join([*self.prefix, "bash", "-c", f"cd {shlex.quote(str(self.job.workspace.folder))} && {line}"])

    def calm(self) -> None:
        """No more faults: what is started from now on runs as it would anywhere."""
        self.environment.clear()
        if self.disk is not None:
            self.disk.empty()
        self.job.limits = {}
        self.job.configure()

    def struck(self) -> bool:
        """Whether the shim did anything."""
        return self.mark.exists()

    def picked(self, low: float, high: float) -> float:
        """A number of this fault's own, the same for the same seed."""
        return low + self.fault.pick * (high - low)


def nothing_to_prepare(scene: Scene) -> None:
    """Most faults need nothing before the line starts."""


def kill(scene: Scene, watch: Watch) -> bool:
    """SIGKILL one process."""
    return _one(scene, watch, signal.SIGKILL) is not None


def kill_at_bookmark(scene: Scene, watch: Watch) -> bool:
    """SIGKILL one process as soon as the store has a bookmark."""
    while not watch.over:
        if _has_bookmark(scene.job):
            return _one(scene, watch, signal.SIGKILL) is not None
        time.sleep(0.001)
    return False


def _has_bookmark(job: Job) -> bool:
    if not job.state.exists():
        return False
    try:
        with Store.open_to_read(job.state) as store:
            return store.bookmark(job.name) is not None
    except errors.DativoError:  # it is being made
        return False


def stop(scene: Scene, watch: Watch) -> bool:
    """SIGSTOP one process, and SIGCONT after a while."""
    victim = _one(scene, watch, signal.SIGSTOP)
    if victim is None:
        return False
    time.sleep(scene.picked(0.1, 1.0))
    _send(victim, signal.SIGCONT)
    return True


def limit(scene: Scene) -> None:
    """A stopped tap is idle, a stopped target takes too long."""
    side = scene.job.variant.tap if scene.fault.victim == "tap" else scene.job.variant.target
    scene.job.limits = {side: {"idle": "4s"} if scene.fault.victim == "tap" else {"wall": "8s"}}
    scene.job.configure()


def freeze(scene: Scene, watch: Watch) -> bool:
    """SIGSTOP a plugin for good: its limits have to end it."""
    return _one(scene, watch, signal.SIGSTOP) is not None


def slow(scene: Scene, watch: Watch) -> bool:
    """A target that reads a little and rests a little: backpressure all the way to the source."""
    rests = 0
    while not watch.over and rests < 8:
        for target in watch.moment("target", scene.moment):
            if _send(target.pid, signal.SIGSTOP):
                time.sleep(scene.picked(0.02, 0.15))
                _send(target.pid, signal.SIGCONT)
                rests += 1
        time.sleep(0.01)
    return rests > 0


def no_reader(scene: Scene) -> None:
    """`dativo run`: whoever reads what it says goes away at once."""
    if scene.fault.line == "run":
        scene.redirect = " --json 2> >(:) | :; exit ${PIPESTATUS[0]}"


def epipe(scene: Scene, watch: Watch) -> bool:
    """A reader goes away: in a shell pipe the whole target's side, else the one of stdout and stderr."""
    if scene.fault.line == "run":
        return True  # from the first word on, which may be before the tap is there
    if not watch.moment("target", scene.moment):
        return False
    side = [one for one in watch.found() if one.role == "target" or scene.job.variant.target in one.command]
    buses = {_parent(one.pid) for one in side if one.role == "target"}
    hits = [_send(pid, signal.SIGKILL) for pid in [*(one.pid for one in side), *buses]]
    return any(hits)


def small_disk(scene: Scene) -> None:
    """The target's files or the state store lie on a disk that can be full."""
    scene.disk = SmallDisk(scene.job.workspace.folder / "disk")
    scene.after.callback(scene.disk.close)
    scene.prefix = scene.disk.enter
    if scene.fault.victim == "state":
        scene.job.state = scene.disk.at / "state.db"
    else:
        scene.job.place, scene.job.seen = scene.disk.at, scene.disk.seen
    scene.job.configure()


def full_disk(scene: Scene, watch: Watch) -> bool:
    """ENOSPC from some moment on."""
    if scene.disk is None or not watch.moment("tap", scene.moment):
        return False
    scene.disk.fill()
    return not watch.over


def broken_store(scene: Scene) -> None:
    """EIO at some write or sync of the state store, once or from then on."""
    scene.shim(EIO=str(1 + int(scene.moment * 30)), FOR="all" if scene.fault.pick < 0.5 else "one")


def power_cut(scene: Scene) -> None:
    """What the control plane wrote and did not sync is lost at some sync, or after its end."""
    scene.shim(CUT="end" if scene.fault.pick < 0.3 else str(1 + int(scene.moment * 12)))


def by_shim(scene: Scene, watch: Watch) -> bool:
    """The line has the shim in it: wait for the line's end."""
    watch.rest()
    return scene.struck()


def clock(scene: Scene) -> None:
    """The wall clock is an hour off, as soon as a file is there."""
    ahead = scene.fault.pick < 0.5
    scene.shim(CLOCK=str(scene.mark.with_name("jump")), JUMP=str(HOUR if ahead else -HOUR))


def jump(scene: Scene, watch: Watch) -> bool:
    """Set the clock in the middle."""
    if not watch.moment("tap", scene.moment):
        return False
    scene.mark.with_name("jump").touch()
    watch.rest()
    return scene.struck()


def steal(scene: Scene, watch: Watch) -> bool:
    """Another machine takes the lease while the target waits; the run must not move the bookmark any more (I5)."""
    targets = watch.moment("target", min(scene.moment, 0.6))
    stopped = [one.pid for one in targets if _send(one.pid, signal.SIGSTOP)]
    if not stopped or watch.progress >= 1:
        _resume(stopped)
        return False
    with Store.open(scene.job.state) as store:
        lease = thief.take(store, scene.job.name)
        before = store.bookmark(scene.job.name)
        _resume(stopped)
        said = watch.rest()
        after = store.bookmark(scene.job.name)
        store.release(lease)
    moved = (before.text if before else None) != (after.text if after else None)
    assert not moved, "I5: a run without its lease moved the bookmark"
    assert watch.running.returncode != 0, "I5: a run lost its lease and ended well"
    assert "lease" in said, said[-2000:]
    return True


def twice(scene: Scene, watch: Watch) -> bool:
    """The same line is started a second time while the first runs: it must be refused (I5)."""
    targets = watch.moment("target", min(scene.moment, 0.6))
    stopped = [one.pid for one in targets if _send(one.pid, signal.SIGSTOP)]
    if not stopped or watch.progress >= 1:
        _resume(stopped)
        return False
    try:
        _, said = scene.start(scene.job.command).communicate()
    finally:
        _resume(stopped)
    assert "error[job.busy]" in said, f"I5: two runs of one job\n{said[-2000:]}"
    return True


BACKENDS = "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"


def connection(scene: Scene, watch: Watch) -> bool:
    """The server cuts a plugin's connections, in whatever transaction they are."""
    return _cut(scene, watch, "select pg_terminate_backend(pid)")


def restart(scene: Scene, watch: Watch) -> bool:
    """A server process dies, and the server ends all sessions and recovers from its log."""
    return _cut(scene, watch, "select pid")


def _cut(scene: Scene, watch: Watch, select: str) -> bool:
    server, role = scene.job.bench.postgres, scene.fault.victim
    database = scene.job.database if role == "target" else server.database
    if not watch.moment(role, scene.moment):
        return False
    while not watch.over:
        found = server.sql(f"{select} {BACKENDS} and datname = '{database}'").split()
        if found:
            if select == "select pid":
                _send(int(found[0]), signal.SIGKILL)
            return True
    return False


def _one(scene: Scene, watch: Watch, number: int) -> int | None:
    victims = watch.moment(scene.fault.victim, scene.moment)
    if not victims:
        return None
    victim = victims[int(scene.fault.pick * len(victims))]
    return victim.pid if _send(victim.pid, number) else None


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _resume(pids: list[int]) -> None:
    for pid in pids:
        _send(pid, signal.SIGCONT)


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return pid
    return int(stat[stat.rindex(")") + 2 :].split()[1])


@dataclass(frozen=True)
class Kind:
    """How a kind of fault is prepared and done, to whom, in which jobs, and how many of 100 faults are of it."""

    prepare: Callable[[Scene], None]
    strike: Callable[[Scene, Watch], bool]
    victims: tuple[str, ...] = ("",)
    share: int = 6
    fits: Callable[[Variant], bool] = lambda _: True
    lines: tuple[str, ...] = LINES
    latest: float = 1.1


def _files(variant: Variant) -> bool:
    return variant.on_disk


def _from_ours(variant: Variant) -> bool:
    return not variant.tap.startswith("foreign-")


def _stepwise(variant: Variant) -> bool:
    return _from_ours(variant) and variant.target in ("target-duckdb", "target-parquet", "target-jsonl", "target-csv")


KINDS = {
    "kill": Kind(nothing_to_prepare, kill, ROLES, share=20),
    "kill-at-bookmark": Kind(nothing_to_prepare, kill_at_bookmark, ROLES[1:], share=6, fits=_stepwise, latest=0),
    "stop": Kind(nothing_to_prepare, stop, ROLES, share=12),
    "freeze": Kind(limit, freeze, ("tap", "target"), share=3, fits=_from_ours, latest=0.5),
    "slow": Kind(nothing_to_prepare, slow, share=4, latest=0.5),
    "epipe": Kind(no_reader, epipe, share=6),
    "full-disk": Kind(small_disk, full_disk, ("target", "state"), share=8, fits=_files, latest=0.7),
    "store-eio": Kind(broken_store, by_shim, share=10),
    "power-cut": Kind(power_cut, by_shim, share=8),
    "clock": Kind(clock, jump, share=5, latest=0.8),
    "lost-lease": Kind(nothing_to_prepare, steal, share=6, latest=0.6),
    "second-run": Kind(nothing_to_prepare, twice, share=4, latest=0.6),
    "connection": Kind(nothing_to_prepare, connection, ("tap", "target"), share=6, fits=lambda v: v.server),
    "restart": Kind(nothing_to_prepare, restart, ("tap", "target"), share=4, fits=lambda v: v.server),
}


def _has(variant: Variant, kind: str, victim: str) -> bool:
    """Whether that victim has a connection to cut."""
    if kind not in ("connection", "restart"):
        return True
    return (variant.tap if victim == "tap" else variant.target).endswith("-postgres")


def faults(count: int, seed: int) -> Iterator[Fault]:
    """`count` faults in a random order: every kind in its share, each kind's jobs in turn."""
    chance = random.Random(seed)
    turns: dict[str, list[tuple[str, Variant, str]]] = {}
    bag: list[str] = []
    for number in range(count):
        if not bag:
            bag = [name for name, kind in KINDS.items() for _ in range(kind.share)]
            chance.shuffle(bag)
            if number == 0:  # a short run has every kind, too
                first = list(KINDS)
                chance.shuffle(first)
                bag += first
        name = bag.pop()
        kind = KINDS[name]
        if not turns.get(name):
            fitting = product(kind.victims, filter(kind.fits, DEALT), kind.lines)
            turns[name] = [one for one in fitting if _has(one[1], name, one[0])]
            chance.shuffle(turns[name])
        victim, variant, line = turns[name].pop()
        latest = 1.0 if victim == "tap" and kind.latest > 1 else kind.latest
        yield Fault(seed, number, name, victim, variant, line, chance.uniform(0, latest), chance.random())
