"""What this kernel offers, found by trying it in a child process, never by reading a version number (I7)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
BPF_RET = 0x06
CLONE_NEWUSER = 0x10000000
SYS_LANDLOCK_CREATE_RULESET = 444
LANDLOCK_VERSION = 1


class Offer(NamedTuple):
    """One kernel facility: whether it works here, whether a run needs it, and what is known about it."""

    name: str
    works: bool
    needed: bool
    detail: str


def offers() -> list[Offer]:
    """Everything that Dativo uses or will use of this kernel."""
    landlock = _landlock()
    cgroup = _cgroup_memory()
    return [
        Offer("no_new_privs", _in_child(_no_new_privs), True, "keeps plugins from gaining privileges"),
        Offer("subreaper", _in_child(_subreaper), True, "lets no plugin process outlive its run"),
        Offer("sealed memfd", _sealed_memfd(), True, "hands configs over without a file name"),
        Offer("pidfd", _pidfd(), False, "sends signals to the right process"),
        Offer("landlock", landlock > 0, False, f"could fence files{f', ABI {landlock}' if landlock > 0 else ''}"),
        Offer("seccomp", _in_child(_seccomp), False, "could filter system calls"),
        Offer("user namespaces", _in_child(_user_namespace), False, "could fence networks without root"),
        Offer("cgroup memory", cgroup is None, False, cgroup or "caps the memory of a whole plugin"),
    ]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _in_child(attempt: Callable[[], bool]) -> bool:
    """Try in a forked child: these settings cannot be taken back."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if attempt() else 1)
        except BaseException:  # the child must never return into the caller's stack
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _no_new_privs() -> bool:
    return bool(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def _subreaper() -> bool:
    return bool(_libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def _seccomp() -> bool:
    """Install a filter that allows everything."""
    rule = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RET, 0, 0, SECCOMP_RET_ALLOW))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(rule)))
    return _no_new_privs() and _libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) == 0


def _user_namespace() -> bool:
    """Make one and become root in it, which is what a fence needs."""
    uid = os.getuid()
    if _libc().unshare(CLONE_NEWUSER) != 0:
        return False
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1\n", encoding="ascii")
    return os.getuid() == 0


def _sealed_memfd() -> bool:
    try:
        fd = os.memfd_create("dativo-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return False
    try:
        os.write(fd, b"x")
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        os.write(fd, b"y")
    except OSError as problem:
        return problem.errno == errno.EPERM
    finally:
        os.close(fd)
    return False


def _pidfd() -> bool:
    try:
        fd = os.pidfd_open(os.getpid())
    except OSError:
        return False
    try:
        signal.pidfd_send_signal(fd, 0)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _landlock() -> int:
    """The ABI version, 0 or less where there is none."""
    if platform.machine() not in ("x86_64", "aarch64", "riscv64"):
        return 0  # the number is the same there; elsewhere it is not known
    return int(_libc().syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION))


def _cgroup_memory() -> str | None:
    """None if a memory-capped group can be made for a child, else why not."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "no cgroups"
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    root = Path("/sys/fs/cgroup")
    if own is None or not (root / "cgroup.controllers").exists():
        return "no unified hierarchy; memory is capped per process"
    group = root / own.lstrip("/") / f"dativo-doctor-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as problem:
        return f"not delegated ({problem.strerror}); memory is capped per process"
    try:
        capped = (group / "memory.max").exists()
    finally:
        group.rmdir()
    return None if capped else "the memory controller is not enabled here; memory is capped per process"
