"""A command and every process below it: wall time, processor time, and the memory of all of them together.

Memory is the largest sum of proportional set sizes (a page that two processes share counts half in each) seen by
looking several times a second, and with it the files of a run's spool, which are memory too. Processor time is the
kernel's, of the command and all that it waited for. A database server that the command talks to is not below it and not
counted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_EVERY = 0.1
LOOK_SHARE = 0.05
"""A look that took long is followed by a longer pause: looking costs at most this share of one core."""


class Failed(Exception):
    """The command did not end well; says its last lines."""


@dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    wall: float
    cpu: float
    peak: int
    """Bytes."""


def run(command: Sequence[str | Path], *, env: dict[str, str], cwd: Path, patience: float = 1800) -> Cost:
    """Run to the end with its stdout thrown away; Failed unless it exits 0."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        watch = Watch(process.pid)
        timer = threading.Timer(patience, os.killpg, (process.pid, signal.SIGKILL))
        timer.daemon = True
        watch.start()
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        finally:
            timer.cancel()
            wall = time.perf_counter() - start
            watch.finish()
        process.returncode = os.waitstatus_to_exitcode(status)  # waited for here, not by Popen
        if process.returncode != 0:
            said.seek(0)
            lines = said.read()[-4000:].decode(errors="replace").strip().splitlines()
            raise Failed(f"exit {process.returncode}: {' | '.join(line.strip() for line in lines[-4:])}"[:500])
    return Cost(wall, usage.ru_utime + usage.ru_stime, watch.peak)


class Watch(threading.Thread):
    """Looks at the memory of a process and its descendants until told to finish."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._root = psutil.Process(pid)
        self._done = threading.Event()

    def run(self) -> None:
        """Look, pause, look."""
        pause = 0.0
        while not self._done.wait(pause):
            start = time.perf_counter()
            self.peak = max(self.peak, self._look())
            pause = max(LOOK_EVERY, (time.perf_counter() - start) / LOOK_SHARE)

    def finish(self) -> None:
        """No more looks."""
        self._done.set()
        self.join()

    def _look(self) -> int:
        own, shared, spools = 0, 0, {}
        with contextlib.suppress(psutil.Error):
            for process in (self._root, *self._root.children(recursive=True)):
                with contextlib.suppress(OSError, psutil.Error):
                    memory = proportional(process.pid)
                    own, shared = own + memory.own, shared + memory.shared
                    spools.update(spool_files(process))
        return own + max(shared, sum(spools.values()))


@dataclass(frozen=True)
class Memory:
    """One process's proportional set size in bytes, split: a spool's pages that are mapped are in `shared`."""

    own: int
    shared: int


def proportional(pid: int) -> Memory:
    """Read from the kernel's summary of its mappings; its resident size where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
    except PermissionError:
        return Memory(psutil.Process(pid).memory_info().rss, 0)
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    shared = sizes.get("Pss_Shmem", 0)
    return Memory(sizes.get("Pss", 0) - shared, shared)


def spool_files(process: psutil.Process) -> dict[tuple[int, int], int]:
    """The bytes of each file in the spool that this process was given, by device and inode."""
    folder = process.environ().get("DATIVO_SPOOL")
    if folder is None:
        return {}
    found = {}
    with os.scandir(f"/proc/{process.pid}/root{folder}") as entries:  # as the process sees it: it may be confined
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return found
