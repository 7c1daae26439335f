"""What is seen from outside: the processes of a world, and what the attackers among them use."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.escape.attacks.calls import call, child

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20

LIMIT = {"memory": 512 * MIB, "processes": 64, "descriptors": 256, "disk": 64 * MIB, "cpu": 1.0, "wall": 1.0}
"""The plan's limits; `beyond` is what counts as a breach, far enough off for a busy machine."""
BEYOND = {"memory": 700 * MIB, "processes": 128, "descriptors": 512, "disk": 128 * MIB, "cpu": 2.5, "wall": 4.0}
LASTS = 1.0
"""Seconds that memory has to be held beyond its limit: it may be looked at from time to time only."""


def pids() -> list[int]:
    """Every process of this world that is not a zombie."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and state(int(name)) not in "ZX"]


def fields(pid: int) -> list[str]:
    """/proc/PID/stat from the third field on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def state(pid: int) -> str:
    """R, S, T, Z …; X when it is gone."""
    return next(iter(fields(pid)), "X")


def status(pid: int, name: str) -> str:
    """A line of /proc/PID/status."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


def named(inner: int, mine: set[int]) -> int | None:
    """The process that calls itself `inner` in the innermost of its namespaces; those of ours are not meant."""
    for pid in pids():
        if pid not in mine and status(pid, "NSpid").split()[-1:] == [str(inner)]:
            return pid
    return None


def marked(mark: str) -> list[int]:
    """Processes with that word in their arguments."""
    found = []
    for pid in pids():
        try:
            if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def opened(pid: int) -> dict[str, tuple[str, os.stat_result]]:
    """What a process has open, by number."""
    found = {}
    folder = Path(f"/proc/{pid}/fd")
    try:
        for one in folder.iterdir():
            try:
                found[one.name] = (os.readlink(one), one.stat())
            except OSError:
                continue
    except OSError:
        pass
    return found


def memory(tree: list[int]) -> int:
    """Bytes that only these processes need: their own pages, and files in memory that they hold."""
    total, files = 0, {}
    for pid in tree:
        total += sum(int((status(pid, name) or "0 kB").split()[0]) * 1024 for name in ("RssAnon", "RssShmem"))
        for name, found in opened(pid).values():
            if name.startswith("/memfd:"):
                files[found.st_ino] = found.st_blocks * 512
    return total + sum(files.values())


def segments(pid: int) -> int:
    """Bytes of the System V segments in a process's namespace, counted by a child of ours that joins it."""
    kinds = {name: kind for name, kind in (("user", 0x10000000), ("ipc", 0x8000000)) if foreign(pid, name)}
    namespaces = {kind: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name, kind in kinds.items()}
    reader, writer = os.pipe()

    def count() -> None:
        for kind, fd in namespaces.items():
            call("setns", fd, kind)
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        os.write(writer, str(sum(int(row[-2]) for row in rows)).encode())

    os.waitpid(child(count), 0)
    for fd in (writer, *namespaces.values()):
        os.close(fd)
    counted = os.read(reader, 100)
    os.close(reader)
    return int(counted or 0)


def foreign(pid: int, name: str) -> bool:
    """Whether a process is in another namespace of that kind than we are."""
    return os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")


def disk(pid: int) -> int:
    """Bytes of the regular files that a process holds."""
    found = {one.st_ino: one.st_blocks * 512 for _, one in opened(pid).values() if stat.S_ISREG(one.st_mode)}
    return sum(found.values())


def cpu(tree: list[int]) -> float:
    """CPU seconds, those of buried children included."""
    return sum(sum(map(int, one[11:15])) for pid in tree if (one := fields(pid))) / TICKS


def echoes() -> int:
    """ICMP echoes that came to this network."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Icmp:")
    )
    return int(values[names.index("InEchos")])


@dataclass
class Watch:
    """Looks on while a run lasts; `breach` says what was seen beyond its limit."""

    what: str
    breach: str | None = None
    _since: float | None = None
    _began: float = field(default_factory=time.monotonic)

    def look(self, tree: list[int]) -> None:
        """One look at the attackers' processes."""
        getattr(self, f"_{self.what}", _nothing)(tree)

    def _processes(self, tree: list[int]) -> None:
        if len(tree) >= BEYOND["processes"]:
            self.breach = f"{len(tree)} processes"

    def _memory(self, tree: list[int]) -> None:
        used = memory(tree)
        if used < BEYOND["memory"]:
            self._since = None
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since >= LASTS:
            self.breach = f"{used // MIB} MiB for {LASTS} s"

    def _cpu(self, tree: list[int]) -> None:
        if (used := cpu(tree)) >= BEYOND["cpu"]:
            self.breach = f"{used:.1f} CPU s"

    def _wall(self, tree: list[int]) -> None:
        if (lasted := time.monotonic() - self._began) >= BEYOND["wall"] and tree:
            self.breach = f"alive after {lasted:.1f} s"


def _nothing(_: list[int]) -> None:
    """Judged by what is held."""
