"""Other processes of the user: looked into, changed, signalled; and the user's terminal."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import termios
import time
from pathlib import Path

from tests.escape.attacks.attack import ROOT, Scene, attack
from tests.escape.attacks.calls import LIBC, Iovec, call

victim = {"wants": ("process",)}


def proc(scene: Scene, name: str) -> Path:
    """A file of the process that keeps secrets."""
    return Path(f"/proc/{scene['keeper']}", name)


@attack("processes", "environ", "reads another process's environment", secret="environ")
def _(scene: Scene) -> str:
    return proc(scene, "environ").read_bytes().decode("latin-1")


@attack("processes", "cmdline", "reads another process's arguments", secret="argv")
def _(scene: Scene) -> str:
    return proc(scene, "cmdline").read_bytes().decode("latin-1")


@attack("processes", "list", "sees which programs run", secret="comm")
def _(scene: Scene) -> str:
    seen = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            seen.append(Path("/proc", pid, "comm").read_text().strip())
    return " ".join(seen)


@attack("processes", "proc-fd", "opens what another process has open", secret="fd")
def _(scene: Scene) -> str:
    return proc(scene, f"fd/{scene['keeper_fd']}").read_text()


@attack("processes", "pidfd-getfd", "takes a descriptor from another process", secret="fd", needs="ptrace")
def _(scene: Scene) -> str:
    fd = call("pidfd_getfd", call("pidfd_open", scene["keeper"], 0), scene["keeper_fd"], 0)
    return os.pread(fd, 4096, 0).decode()


@attack("processes", "proc-mem", "reads another process's memory through /proc", secret="memory", needs="ptrace")
def _(scene: Scene) -> str:
    with proc(scene, "mem").open("rb", 0) as memory:
        memory.seek(scene["keeper_address"])
        return memory.read(64).decode("latin-1")


@attack("processes", "proc-mem-write", "changes another process's memory through /proc", needs="ptrace")
def _(scene: Scene) -> None:
    with proc(scene, "mem").open("r+b", 0) as memory:
        memory.seek(scene["keeper_page"])
        memory.write(scene.token.encode())


@attack(
    "processes", "vm-readv", "reads another process's memory with process_vm_readv", secret="memory", needs="ptrace"
)
def _(scene: Scene) -> str:
    buffer = ctypes.create_string_buffer(64)
    here = Iovec(ctypes.addressof(buffer), 64)
    there = Iovec(scene["keeper_address"], 64)
    call("process_vm_readv", scene["keeper"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return buffer.raw.decode("latin-1")


@attack("processes", "vm-writev", "changes another process's memory with process_vm_writev", needs="ptrace")
def _(scene: Scene) -> None:
    buffer = ctypes.create_string_buffer(scene.token.encode())
    here = Iovec(ctypes.addressof(buffer), len(scene.token))
    there = Iovec(scene["keeper_page"] + 256, len(scene.token))
    call("process_vm_writev", scene["keeper"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


@attack(
    "processes", "ptrace", "stops another process as a debugger and reads its memory", secret="memory", needs="ptrace"
)
def _(scene: Scene) -> str:
    call("ptrace", 16, scene["keeper"], 0, 0)
    os.waitpid(scene["keeper"], 0x40000000)
    words = b""
    try:
        for offset in range(0, 64, 8):
            word = ctypes.c_long()
            call("ptrace", 1, scene["keeper"], ctypes.c_void_p(scene["keeper_address"] + offset), ctypes.byref(word))
            words += bytes(word)
    finally:
        call("ptrace", 17, scene["keeper"], 0, 0)
    return words.decode("latin-1")


@attack("processes", "maps", "sees which files another process has mapped", secret="mapped")
def _(scene: Scene) -> str:
    return proc(scene, "maps").read_text()


@attack("processes", "cwd", "sees where another process works", secret="cwd")
def _(scene: Scene) -> str:
    return os.readlink(proc(scene, "cwd"))


@attack("processes", "kill", "kills another process", **victim)
def _(scene: Scene) -> None:
    os.kill(scene.pid, signal.SIGKILL)


@attack("processes", "pidfd-signal", "kills another process through a pidfd", **victim)
def _(scene: Scene) -> None:
    call("pidfd_send_signal", call("pidfd_open", scene.pid, 0), int(signal.SIGKILL), None, 0)


@attack("processes", "sigqueue", "kills another process with a queued signal", **victim)
def _(scene: Scene) -> None:
    information = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(information, 0).value = int(signal.SIGTERM)
    ctypes.c_int.from_buffer(information, 8).value = -1
    call("rt_sigqueueinfo", scene.pid, int(signal.SIGTERM), information)


@attack("processes", "killpg", "kills another process group", **victim)
def _(scene: Scene) -> None:
    os.killpg(scene.pid, signal.SIGKILL)


@attack("processes", "signal-everyone", "signals every process that it may")
def _(scene: Scene) -> None:
    os.kill(-1, signal.SIGURG)


@attack("processes", "stop", "stops another process", **victim)
def _(scene: Scene) -> None:
    os.kill(scene.pid, signal.SIGSTOP)


@attack("processes", "kill-bus", "kills the data plane that started it", alone="run")
def _(scene: Scene) -> None:
    time.sleep(0.3)  # for the reports so far to be passed on
    os.kill(scene["bus"], signal.SIGKILL)
    time.sleep(0.5)


@attack("processes", "prlimit", "takes away another process's limits", **victim)
def _(scene: Scene) -> None:
    call("prlimit64", scene.pid, 7, (ctypes.c_uint64 * 2)(3, 3), None)


@attack("processes", "setpriority", "slows another process down", **victim)
def _(scene: Scene) -> None:
    os.setpriority(os.PRIO_PROCESS, scene.pid, 19)


@attack("processes", "affinity", "binds another process to one CPU", needs="two-cpus", **victim)
def _(scene: Scene) -> None:
    os.sched_setaffinity(scene.pid, {min(os.sched_getaffinity(0))})


@attack("processes", "scheduler", "gives another process the idle scheduling class", **victim)
def _(scene: Scene) -> None:
    os.sched_setscheduler(scene.pid, os.SCHED_IDLE, os.sched_param(0))


@attack("processes", "ioprio", "gives another process the idle I/O class", **victim)
def _(scene: Scene) -> None:
    call("ioprio_set", 1, scene.pid, 3 << 13)


@attack("processes", "oom-score", "makes another process the first to be killed for memory", **victim)
def _(scene: Scene) -> None:
    Path(f"/proc/{scene.pid}/oom_score_adj").write_text("1000")


@attack("processes", "tty-write", "writes to the user's terminal by its path")
def _(scene: Scene) -> None:
    fd = os.open(scene["tty"], os.O_WRONLY | os.O_NOCTTY)
    os.write(fd, f"\x1b]0;{scene.token}\x07".encode())


@attack("processes", "tty-read", "reads what the user types", secret="typed", alone="run")
def _(scene: Scene) -> str:
    fd = os.open(scene["tty"], os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    until, heard = time.monotonic() + 2, b""
    while b"\n" not in heard and time.monotonic() < until:
        if select.select([fd], [], [], 0.2)[0]:
            heard += os.read(fd, 4096)
    if not heard:
        raise TimeoutError("nothing was typed")
    return heard.decode("latin-1")


def inject(scene: Scene, path: str, request: int, text: str) -> None:
    """Put keystrokes into a terminal's input."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    for letter in text + "\n":
        key = ctypes.create_string_buffer(letter.encode(), 1)
        if LIBC.ioctl(fd, ctypes.c_ulong(request), key) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


@attack("processes", "tiocsti", "types into the user's terminal", users=ROOT, alone="run", needs="tiocsti")
def _(scene: Scene) -> None:
    inject(scene, scene["tty"], termios.TIOCSTI, scene.token)


@attack(
    "processes",
    "tiocsti-high-bits",
    "types into the user's terminal with bits set that a filter may compare and the kernel ignores",
    users=ROOT,
    alone="run",
    needs="tiocsti",
)
def _(scene: Scene) -> None:
    inject(scene, scene["tty"], termios.TIOCSTI | 1 << 32, scene.token)


@attack("processes", "tiocsti-own", "types into its own controlling terminal", always="off", alone="run")
def _(scene: Scene) -> None:
    inject(scene, "/dev/tty", termios.TIOCSTI, scene.token)


@attack("processes", "steal-tty", "makes the user's terminal its own", users=ROOT, alone="run")
def _(scene: Scene) -> object:
    os.setsid()
    fd = os.open(scene["tty"], os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(fd, termios.TIOCSCTTY, 1)
    return scene.hold({"tty": True})
