"""Memory, processes, descriptors, disk and time: taken beyond the limits, and kept beyond the run.

Each stops by itself at a bound (SAFE), so that the machine lives through it where nothing else stops it.
The limits of the runs are in `plan`; what counts as beyond them is in `tests.escape.watch`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import time
from pathlib import Path

from tests.escape.attacks.attack import ROOT, Scene, attack
from tests.escape.attacks.calls import call, child

MIB = 1 << 20
SAFE = {"processes": 300, "memory": 900, "disk": 250, "descriptors": 2000, "cpu": 20.0}


def run(watch: str, **limits: float) -> dict[str, object]:
    """A run of its own in which `watch` looks on."""
    return {"alone": "run", "plan": {"watch": watch, "limits": limits, "patience": 20}}


def keep(seconds: float = 15.0) -> None:
    """Stay, with all that was taken."""
    time.sleep(seconds)


def keep_with(taken: object) -> None:
    """Stay with it."""
    keep()
    del taken


@attack("resources", "fork-bomb", "starts processes without end", **run("processes"))
def _(scene: Scene) -> int:
    started = 0
    until = time.monotonic() + 8
    while started < SAFE["processes"] and time.monotonic() < until:
        try:
            child(keep)
            started += 1
        except BlockingIOError:
            time.sleep(0.05)
    keep(4)
    return started


@attack("resources", "memory", "takes memory in one process", slow=True, **run("memory"))
def _(scene: Scene) -> None:
    keep_with(grow(SAFE["memory"]))


def grow(mebibytes: float) -> list[bytes]:
    """Memory that is really used."""
    taken = []
    try:
        while len(taken) * 10 < mebibytes:
            taken.append(b"x" * (10 * MIB))
    except MemoryError as problem:
        raise OSError(12, "no memory") from problem
    return taken


@attack("resources", "memory-children", "takes memory in many processes, each within its limit", **run("memory"))
def _(scene: Scene) -> None:
    for _ in range(9):
        child(lambda: keep_with(grow(SAFE["memory"] / 9)))
    keep()


@attack("resources", "memory-memfd", "takes memory as a file without a name", slow=True, **run("memory"))
def _(scene: Scene) -> None:
    fd = call("memfd_create", b"one", 0)
    for _ in range(int(SAFE["memory"]) // 10):
        os.write(fd, b"x" * (10 * MIB))
    keep()


@attack(
    "resources",
    "memory-memfds",
    "takes memory as many files without names, each within its limit",
    slow=True,
    **run("memory"),
)
def _(scene: Scene) -> None:
    for number in range(int(SAFE["memory"]) // 30):
        fd = call("memfd_create", f"{number}".encode(), 0)
        for _ in range(3):
            os.write(fd, b"x" * (10 * MIB))
    keep()


@attack(
    "resources",
    "memory-shared",
    "takes memory in a mapping that counts for no process alone",
    slow=True,
    **run("memory"),
)
def _(scene: Scene) -> None:
    mapped = mmap.mmap(-1, int(SAFE["memory"]) * MIB)
    for _ in range(int(SAFE["memory"]) // 10):
        mapped.write(b"x" * (10 * MIB))
    keep_with(mapped)


@attack(
    "resources", "memory-sysv", "takes memory in segments that no process has attached", slow=True, **run("nothing")
)
def _(scene: Scene) -> object:
    for _ in range(int(SAFE["memory"]) // 30):
        identity = call("shmget", 0, 30 * MIB, 0o1600)
        address = call("shmat", identity, None, 0)
        ctypes.memset(address, 1, 30 * MIB)
        call("shmdt", ctypes.c_void_p(address))
    time.sleep(2)
    return scene.hold({"segments": True})


def fill(scene: Scene, folder: str, files: int) -> object:
    """As many mebibytes as is safe, in so many files."""
    fds = []
    for number in range(files):
        path = Path(folder, f"{scene.token}-{number}")
        fds.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if folder == "/dev/shm":
            path.unlink()
        for _ in range(int(SAFE["disk"]) // 5 // files):
            written = os.write(fds[-1], b"x" * (5 * MIB))
            if written < 5 * MIB:
                raise OSError(28, "no room")
    return scene.hold({"disk": fds})


@attack("resources", "disk-file", "fills the disk with one file", **run("nothing"))
def _(scene: Scene) -> object:
    return fill(scene, os.environ["TMPDIR"], 1)


@attack("resources", "disk-files", "fills the disk with many files, each within its limit", **run("nothing"))
def _(scene: Scene) -> object:
    return fill(scene, os.environ["TMPDIR"], 10)


@attack("resources", "disk-home", "fills the disk through its HOME", slow=True, **run("nothing"))
def _(scene: Scene) -> object:
    return fill(scene, os.environ["HOME"], 10)


@attack("resources", "disk-shm", "fills the machine's memory through /dev/shm", **run("nothing"))
def _(scene: Scene) -> object:
    return fill(scene, "/dev/shm", 10)


@attack("resources", "descriptors", "opens files without end", **run("nothing"))
def _(scene: Scene) -> object:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for _ in range(int(SAFE["descriptors"])):
        os.open("/dev/null", os.O_RDONLY)
    return scene.hold({"descriptors": True})


@attack("resources", "cpu", "computes without end", **run("cpu", cpu=1))
def _(scene: Scene) -> None:
    spin(SAFE["cpu"])


def spin(seconds: float) -> None:
    """Use so much CPU."""
    while time.process_time() < seconds:
        pass


@attack(
    "resources",
    "cpu-relay",
    "computes without end in one short-lived process after another",
    slow=True,
    **run("cpu", cpu=1),
)
def _(scene: Scene) -> None:
    for _ in range(int(SAFE["cpu"] / 0.5)):
        os.waitpid(child(lambda: spin(0.5)), 0)


@attack("resources", "sleeper", "does not end when its time is over, and ignores being asked", **run("wall", wall=1))
def _(scene: Scene) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU):
        signal.signal(number, signal.SIG_IGN)
    keep()


@attack("resources", "nice", "gives itself priority over everybody else", users=ROOT)
def _(scene: Scene) -> object:
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    return scene.hold({"nice": -10})


@attack("resources", "realtime", "gives itself a real-time scheduling class", users=ROOT)
def _(scene: Scene) -> object:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return scene.hold({"policy": os.SCHED_RR})


@attack("resources", "oom-protect", "makes itself the last to be killed for memory", users=ROOT, needs="oom")
def _(scene: Scene) -> object:
    Path("/proc/self/oom_score_adj").write_text("-900")
    return scene.hold({"oom": -900})


@attack("resources", "raise-limits", "raises a limit of its own", users=ROOT, needs="raise")
def _(scene: Scene) -> object:
    call("prlimit64", 0, 14, (ctypes.c_uint64 * 2)(50, 50), None)
    return scene.hold({"limit": ("Max realtime priority", "50")})


def daemon(scene: Scene) -> str:
    """Start a process that has left the session, and its parents; its mark."""
    mark = f"77.{int(scene.token, 16) % 10**12:012d}"

    def stay() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.closerange(0, 3)
        os.execv("/bin/sleep", ["sleep", mark])

    def leave() -> None:
        os.setsid()
        child(stay)

    os.waitpid(child(leave), 0)
    return mark


LIFETIME = {"alone": "run"}


@attack(
    "resources", "daemon", "leaves a process behind when the data plane is killed", plan={"end": "kill"}, **LIFETIME
)
def _(scene: Scene) -> object:
    return scene.hold({"mark": daemon(scene)})


@attack(
    "resources",
    "pdeathsig",
    "takes back that it is to die with the data plane",
    plan={"end": "kill", "inline": True},
    **LIFETIME,
)
def _(scene: Scene) -> object:
    call("prctl", 1, 0, 0, 0, 0)
    return scene.hold({"alive": True})
