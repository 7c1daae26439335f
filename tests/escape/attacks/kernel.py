"""System calls that plugins do not need and that have a history, and what belongs to the administrator."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import struct
from pathlib import Path

from tests.escape.attacks.attack import ROOT, Scene, attack
from tests.escape.attacks.calls import call, child

NO_RANDOMIZE = 0x40000
INT80 = bytes.fromhex("53 89f8 89f3 cd80 5b c3")


def held(scene: Scene, fd: int, kind: str) -> object:
    """Hold a descriptor that only the kernel makes."""
    return scene.hold({"fd": fd, "is": kind})


@attack("kernel", "io-uring", "opens a ring whose requests no system call filter sees", needs="io_uring")
def _(scene: Scene) -> object:
    return held(scene, call("io_uring_setup", 4, ctypes.create_string_buffer(120)), "anon_inode:[io_uring]")


@attack("kernel", "userfaultfd", "handles page faults itself, which holds the kernel up where one likes", needs="uffd")
def _(scene: Scene) -> object:
    return held(scene, call("userfaultfd", 1), "anon_inode:[userfaultfd]")


@attack("kernel", "perf", "opens a performance counter", needs="perf")
def _(scene: Scene) -> object:
    settings = ctypes.create_string_buffer(struct.pack("=IIQQQQQ", 1, 128, 0, 0, 0, 0, 0x61), 128)
    return held(scene, call("perf_event_open", settings, 0, -1, -1, 0), "anon_inode:[perf_event]")


@attack("kernel", "bpf", "makes a BPF map", users=ROOT)
def _(scene: Scene) -> object:
    settings = ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 8, 1), 128)
    return held(scene, call("bpf", 0, settings, 128), "anon_inode:bpf-map")


@attack("kernel", "personality", "switches address randomisation off for what it runs")
def _(scene: Scene) -> object:
    call("personality", NO_RANDOMIZE)
    return scene.hold({"personality": NO_RANDOMIZE})


@attack("kernel", "int80", "makes the same call with its 32-bit number, which means another call", needs="int80")
def _(scene: Scene) -> object:
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(INT80)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)(address)(136, NO_RANDOMIZE)
    return scene.hold({"personality": NO_RANDOMIZE})


@attack("kernel", "kernel-log", "reads the kernel's log", needs="kernel-log")
def _(scene: Scene) -> str:
    buffer = ctypes.create_string_buffer(1 << 20)
    size = call("syslog", 3, buffer, 1 << 20)
    return buffer.raw[:size].decode("latin-1")[-200:]


@attack("kernel", "kallsyms", "learns where the kernel's functions are", users=ROOT, needs="kallsyms")
def _(scene: Scene) -> str:
    with open("/proc/kallsyms") as file:
        return file.readline()


@attack("kernel", "sysctl", "changes a setting of the kernel", users=ROOT)
def _(scene: Scene) -> None:
    Path("/proc/sys/net/ipv4/ip_default_ttl").write_text("63")


@attack("kernel", "hostname", "renames the machine", users=ROOT)
def _(scene: Scene) -> None:
    call("sethostname", scene.token.encode(), len(scene.token))


@attack("kernel", "capabilities", "has an administrator's capabilities", users=ROOT)
def _(scene: Scene) -> object:
    return scene.hold({"capabilities": True})


@attack("kernel", "root-id", "is the machine's root user", users=ROOT)
def _(scene: Scene) -> object:
    return scene.hold({"root_id": True})


@attack("kernel", "setuid", "becomes root by a set-user-id program", users=("user",), always="limits")
def _(scene: Scene) -> object:
    return scene.hold({"child": child(lambda: os.execv(scene["setuid"], ["sleep", "45"]))})


@attack("kernel", "core", "has its memory written to a file when it crashes", needs="core")
def _(scene: Scene) -> object:
    os.chdir(os.environ["TMPDIR"])
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    if not os.WCOREDUMP(os.waitpid(child(os.abort), 0)[1]):
        raise PermissionError("no core was written")
    found = [one for one in os.listdir(".") if one.startswith("core")]
    if not found:
        raise PermissionError("no core is here")
    return scene.hold({"core": str(Path(os.environ["TMPDIR"], found[0]))})
