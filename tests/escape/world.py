"""A world for one column: namespaces of its own for mounts, processes, network, IPC and the host's name.

As root they are made as they are and an ordinary user is become afterwards; without root they are made in a user
namespace. The world's process 1 ends when its arena does, and with it everything that the attacks left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.escape import cgroups
from tests.escape.attacks.calls import LIBC, call

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
ALL = NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET
MS_BIND, MS_REC, MS_PRIVATE, MS_RDONLY = 4096, 16384, 1 << 18, 1
ROOT = Path(__file__).parents[2]
BASES = ("/srv", "/mnt", "/media", "/opt")
HOST, NAME, METADATA = "10.66.0.7", "db.escape.example", "169.254.169.254"
SIZE = "size=2g,mode=755"


@dataclass(frozen=True)
class Settings:
    """What a column needs to know of its world."""

    user: int
    """The uid that the bus runs as."""
    bus: str
    python: str
    cgroup: str | None
    """The control group that the bus may divide; None: it sees none."""


def base(settings: Settings) -> Path:
    """An empty folder that exists everywhere and holds nothing that is needed here."""
    used = [settings.bus, settings.python, sys.prefix, str(ROOT)]
    return next(Path(one) for one in BASES if Path(one).is_dir() and not any(u.startswith(one + "/") for u in used))


def live(settings: Settings, words: list[str], out: int) -> int:
    """Make a world, run `tests.escape.arena WORDS` in it with `out` as its descriptor 3; the exit code."""
    rooted = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    call("unshare", ALL | (0 if rooted else NEWUSER))
    if not rooted:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    first = os.fork()
    if first:
        return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    try:
        LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)
        place = furnish(settings, rooted)
        os._exit(inhabit(settings, place, words, out))
    except BaseException as problem:
        print(f"the world could not be made: {type(problem).__name__}: {problem}", file=sys.stderr)
        os._exit(1)


def furnish(settings: Settings, rooted: bool) -> Path:
    """Mounts, network and a copy of what is needed."""
    place = base(settings)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", 2 | 4 | 8)
    mount("escape", str(place), "tmpfs", 0, SIZE)
    if settings.cgroup is None:
        mount("none", "/sys/fs/cgroup", "tmpfs", MS_RDONLY)
    with contextlib.suppress(OSError):  # numbers of processes inside a sandbox and out here do not meet
        Path("/proc/sys/kernel/ns_last_pid").write_text("20000")
    network()
    (place / "hosts").write_text(f"127.0.0.1 localhost\n{HOST} {NAME}\n")
    mount(str(place / "hosts"), "/etc/hosts", "none", MS_BIND)
    code = place / "code" / "tests"
    code.mkdir(parents=True)
    (code / "__init__.py").touch()
    shutil.copytree(ROOT / "tests" / "escape", code / "escape", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(settings.bus, place / "dativo-bus")
    if rooted and settings.user:
        shutil.copy("/bin/sleep", place / "setuid-sleep")
        os.chmod(place / "setuid-sleep", 0o4755)
    for folder in ("home", "arena"):
        (place / folder).mkdir()
        os.chown(place / folder, settings.user, settings.user if rooted else -1)
    return place


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    call("mount", source.encode(), target.encode(), kind.encode(), flags, ctypes.c_char_p(data.encode()))


def network() -> None:
    """Loopback, up, with the addresses of the stand-ins."""
    servers = resolvers()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, 0x8914, struct.pack("16sh14x", b"lo", 0x49))
        for number, address in enumerate((HOST, METADATA, *servers)):
            if not address.startswith("127."):
                request = struct.pack(
                    "16sHH4s8x", f"lo:{number}".encode(), socket.AF_INET, 0, socket.inet_aton(address)
                )
                fcntl.ioctl(one, 0x8916, request)
    settings = {
        "ipv4/tcp_fastopen": "3",
        "ipv4/ping_group_range": "0 2147483647",
        "ipv4/ip_unprivileged_port_start": "0",
    }
    for name, value in settings.items():
        with contextlib.suppress(OSError):
            Path("/proc/sys/net", name).write_text(value)


def resolvers() -> list[str]:
    """The IPv4 name servers of this machine: loopback gets their addresses, so that nothing is asked for real."""
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    named = [one[1] for one in words if one[:1] == ["nameserver"] and len(one) > 1]
    return [one for one in named if ":" not in one]


def inhabit(settings: Settings, place: Path, words: list[str], out: int) -> int:
    """Run the arena, and bury who dies meanwhile."""
    arena = os.fork()
    if arena == 0:
        os.dup2(out, 3)
        os.closerange(4, 4096)
        if settings.cgroup is not None:
            cgroups.join(settings.cgroup)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(settings.user, settings.user, settings.user)
            os.setresuid(settings.user, settings.user, settings.user)
        environment = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "PYTHONPATH": str(place / "code"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "HOME": str(place / "home"),
        }
        os.chdir(place)
        command = [settings.python, "-m", "tests.escape.arena", str(place), *words]
        os.execve(settings.python, command, environment)
    while True:
        pid, status = os.wait()
        if pid == arena:
            return os.waitstatus_to_exitcode(status) & 0xFF


def main(settings: str, out: str, words: list[str]) -> int:
    """`python -m tests.escape.world SETTINGS OUT COLUMN ATTACKS`."""
    try:
        return live(Settings(**json.loads(settings)), words, int(out))
    except OSError as problem:
        with os.fdopen(int(out), "w") as pipe:
            json.dump({"unavailable": f"no namespaces for the suite itself: {problem}"}, pipe)
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
