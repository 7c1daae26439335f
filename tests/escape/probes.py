"""What this machine has at all: an attack on something that is not there is passed over, with the reason.

Each probe does, outside any sandbox and as the user in question, what the attack would do; None means that it works.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.escape.attacks.calls import call

Probe = Callable[[Path], Any]


def made(family: int, kind: int, protocol: int = 0) -> Probe:
    """That a socket can be made."""
    return lambda _: socket.socket(family, kind, protocol).close()


def closed(name: str, *arguments: Any) -> Probe:
    """That a call gives a descriptor."""
    return lambda _: os.close(call(name, *arguments))


def says(path: str, *wanted: str) -> Probe:
    """That a setting of the kernel has one of the values, or is not known."""

    def probe(_: Path) -> None:
        file = Path(path)
        if file.exists() and (text := file.read_text().strip()) not in wanted:
            raise OSError(f"{path} is {text}")

    return probe


def xattr(folder: Path) -> None:
    file = folder / "xattr"
    file.touch()
    os.setxattr(file, "user.mark", b"1")


def shadow(_: Path) -> None:
    if not Path("/etc/shadow").read_bytes():
        raise OSError("/etc/shadow is empty")


def mknod(folder: Path) -> None:
    os.mknod(folder / "device", 0o20600, os.makedev(1, 1))


def core(_: Path) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|") or "/" in pattern:
        raise OSError(f"/proc/sys/kernel/core_pattern is {pattern}")


def kallsyms(_: Path) -> None:
    with open("/proc/kallsyms") as file:
        if file.readline().startswith("0000000000000000"):
            raise OSError("addresses are hidden from everybody")


def two_cpus(_: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        raise OSError("there is one CPU")


def int80(_: Path) -> None:
    if platform.machine() != "x86_64":
        raise OSError(f"there is no int 0x80 on {platform.machine()}")
    file = Path("/sys/kernel/security/ia32")
    if file.exists() and file.read_text().strip() == "0":
        raise OSError("32-bit calls are switched off")


def in_child(*words: str) -> Probe:
    """That a command works."""

    def probe(_: Path) -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError((done.stderr or done.stdout).strip().rpartition("\n")[2])

    return probe


def mq(_: Path) -> None:
    name = f"probe-{os.getpid()}".encode()
    os.close(call("mq_open", name, os.O_RDONLY | os.O_CREAT, 0o600, None))
    call("mq_unlink", name)


def log(_: Path) -> None:
    if not call("syslog", 3, ctypes.create_string_buffer(4096), 4096):
        raise OSError("the log is empty")


def resolver(_: Path) -> None:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    if not any(line.split()[:1] == ["nameserver"] for line in lines):
        raise OSError("/etc/resolv.conf names no server")


def ipv6(_: Path) -> None:
    with socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))


PROBES: dict[str, Probe] = {
    "alg": made(38, socket.SOCK_SEQPACKET),
    "core": core,
    "fanotify": closed("fanotify_init", 0x800 | 0x400 | 0x2, os.O_RDONLY),
    "inotify": closed("inotify_init1", 0),
    "int80": int80,
    "io_uring": closed("io_uring_setup", 4, ctypes.create_string_buffer(120)),
    "ipv6": ipv6,
    "kallsyms": kallsyms,
    "kernel-log": log,
    "keys": lambda _: call("keyctl", 0, -3, 1),
    "landlock": lambda _: call("landlock_create_ruleset", None, 0, 1),
    "mknod": mknod,
    "oom": in_child("/bin/sh", "-c", "echo -900 >/proc/self/oom_score_adj"),
    "raise": in_child("prlimit", "--rtprio=50:50", "true"),
    "mptcp": made(socket.AF_INET, socket.SOCK_STREAM, 262),
    "mqueue": mq,
    "perf": says("/proc/sys/kernel/perf_event_paranoid", "-1", "0", "1", "2"),
    "ping": made(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    "ptrace": says("/proc/sys/kernel/yama/ptrace_scope", "0"),
    "resolver": resolver,
    "sctp": made(socket.AF_INET, socket.SOCK_STREAM, 132),
    "shadow": shadow,
    "tiocsti": says("/proc/sys/dev/tty/legacy_tiocsti", "1"),
    "two-cpus": two_cpus,
    "udplite": made(socket.AF_INET, socket.SOCK_DGRAM, 136),
    "uffd": closed("userfaultfd", 1),
    "userns": in_child("unshare", "--user", "true"),
    "vsock": made(40, socket.SOCK_STREAM),
    "xattr": xattr,
    "xdp": made(44, socket.SOCK_RAW),
}


def missing(folder: Path) -> dict[str, str]:
    """What is not there, each with its reason."""
    found = {}
    for name, probe in PROBES.items():
        try:
            probe(folder)
        except OSError as problem:
            found[name] = str(problem.strerror or problem)
    return found
