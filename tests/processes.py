"""The processes of one job, found by the DATIVO_JOB that each of them has in its environment."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass

import psutil

ROLES = ("tap", "target", "bus", "control")


@dataclass(frozen=True)
class Found:
    """A process as it was seen: its role in the job, and on a shell pipe which plugin's side it serves."""

    pid: int
    role: str
    command: tuple[str, ...]

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal; False when it was gone already."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def bytes_written(self) -> int | None:
        """What it has written so far to all its files and pipes; None once it has ended."""
        try:
            return psutil.Process(self.pid).io_counters().write_chars
        except psutil.Error:
            return None


def role(command: tuple[str, ...]) -> str | None:
    """What a command line is in a run; None for anything else, such as the shell that a test started."""
    programs = [word.rpartition("/")[2] for word in command[:2]]
    if "dativo-bus" in programs[:1]:
        return "bus"
    if "dativo" in programs:
        return "control"
    if command[1:3] == ("-I", "-B"):
        return "checker"
    if any(program.startswith(("tap-", "target-")) for program in programs):
        return "tap" if any(program.startswith("tap-") for program in programs) else "target"
    return None


def of_job(job: str) -> list[Found]:
    """Every live process of `job`, this one and its shells left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DATIVO_JOB") != job or process.status() == psutil.STATUS_ZOMBIE:
                continue
            command = tuple(process.cmdline())
        except psutil.Error:
            continue
        if (part := role(command)) is not None:
            found.append(Found(process.pid, part, command))
    return found


def left_over(job: str, patience: float = 60) -> list[Found]:
    """The processes of `job` that do not go away; one look that finds none is enough, however late."""
    deadline = time.monotonic() + patience
    while (found := of_job(job)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def kill_all(pid: int) -> None:
    """SIGKILL a process and all below it, as a machine that loses power does it.

    All are stopped first, from the top down, until a look finds no other: nobody sees another die and tidies up.
    """
    stopped: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        above = psutil.Process(pid)
        while new := [one for one in (above, *above.children(recursive=True)) if one.pid not in stopped]:
            for one in new:
                stopped[one.pid] = one
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.suspend()
    for one in stopped.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
