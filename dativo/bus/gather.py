"""`dativo-bus --gather`: the streams of several taps as one stream with one bookmark, for the data plane of a target.

Each lane is a pipe that one tap's data plane after the other writes to; `out` is what the target's reads. What is said
is in native/dativo-bus/src/gather/words.rs. Its leash is the pipe of our words: when Python dies it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dativo import children
from dativo.native import find_bus

READ_SIZE = 1 << 16


class GatherProcess:
    """A started one. `kill()` is safe at any time."""

    def __init__(
        self, process: subprocess.Popen[bytes], lanes: Sequence[int], out: int, words: tuple[int, int]
    ) -> None:
        self._process = process
        self._lanes = list(lanes)
        self.out = out
        """What the target's data plane reads: given away to it."""
        self._control, self._events = words
        self._rest = b""
        self._closed = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def lane(self, at: int) -> int:
        """A descriptor for the data plane of the tap in this lane; the caller closes it."""
        return os.dup(self._lanes[at])

    def say(self, **word: Any) -> None:
        """Say one thing. One that is gone is no error here: `code` tells."""
        line = json.dumps(word, ensure_ascii=False).encode() + b"\n"
        self._write(line)

    def begin_at(self, text: str | None) -> None:
        """Name the bookmark that the run begins at, by its exact text."""
        if text is not None:
            self._write(b'{"base": ' + text.replace("\n", " ").encode() + b"}\n")

    def _write(self, rest: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(self._control, rest) :]

    def answers(self, parse: Callable[[str], Any]) -> list[dict[str, Any]]:
        """What it has said since the last time, without waiting. `parse` reads a line."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._events, READ_SIZE):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                found += [parse(line.decode()) for line in lines]
        return found

    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it, and close what was ours."""
        if self._closed:
            return
        self._closed = True
        self._process.kill()
        self._process.wait()
        children.release(self._process.pid)
        for fd in (*self._lanes, self.out, self._control, self._events):
            os.close(fd)


def start(lanes: int, *, job: str, run: str, memory: int, disk: int, folder: Path, max_line: int) -> GatherProcess:
    """Start one with so many lanes. `memory` and `disk` bound what may wait for a STATE, `folder` is where on disk."""
    ends = [os.pipe2(os.O_CLOEXEC) for _ in range(lanes)]
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    control_read, control_write = os.pipe2(os.O_CLOEXEC)
    events_read, events_write = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(events_read, False)
    readers = [read for read, _ in ends]
    command = [
        str(find_bus()),
        "--gather",
        *(word for fd in readers for word in ("--lane", str(fd))),
        *("--control-fd", str(control_read), "--events-fd", str(events_write)),
        *("--memory", str(memory), "--disk", str(disk), "--folder", str(folder), "--max-line", str(max_line)),
    ]
    try:
        process = children.popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out_write,
            env={"DATIVO_JOB": job, "DATIVO_RUN": run},
            pass_fds=(*readers, control_read, events_write),
            process_group=0,
        )
    finally:
        for fd in (*readers, out_write, control_read, events_write):
            os.close(fd)
    return GatherProcess(process, [write for _, write in ends], out_read, (control_write, events_read))
