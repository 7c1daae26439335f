"""Looking at a running line: which processes it has, how far its tap has come, and waiting for a moment in it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests import processes
from tests.processes import Found

AT_ONCE = 0.05
"""Moments before this: as soon as the victim is there, be it before the tap is."""


class Watch:
    """One running line. `progress` is the part of the tap's output that is written; beyond 1 it counts looks."""

    def __init__(self, running: subprocess.Popen[str], job: str, whole: int) -> None:
        self.running, self.job, self.whole = running, job, whole
        self.progress, self._seen = 0.0, False
        self._others: set[int] = {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}
        """Processes that were there before, or that are known to be somebody else's: not looked at again."""
        self._others.discard(running.pid)
        self._said: str | None = None

    @property
    def over(self) -> bool:
        """Whether the line has ended."""
        return self.running.poll() is not None

    def rest(self) -> str:
        """Wait for its end; the last of what it said on stdout and stderr."""
        if self._said is None:
            stdout, stderr = self.running.communicate()
            self._said = f"{stdout[-2000:]}{stderr[-3000:]}"
        return self._said

    def found(self) -> list[Found]:
        """The job's processes now, oldest first."""
        wanted, found = f"DATIVO_JOB={self.job}".encode(), []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) in self._others:
                continue
            process = Path("/proc", entry)
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
                command = tuple((process / "cmdline").read_text("utf-8", "replace").rstrip("\0").split("\0"))
            except OSError:
                continue
            if wanted not in environment:
                if len(environment) > 1:
                    self._others.add(int(entry))  # not one that is just being started
                continue
            if (role := processes.role(command)) is not None:
                found.append(Found(int(entry), role, command))
        self._look(found)
        return sorted(found, key=lambda one: one.pid)

    def _look(self, found: list[Found]) -> None:
        written = next((one.bytes_written() for one in found if one.role == "tap"), None)
        if written is not None:
            self._seen, self.progress = True, written / self.whole
        elif self._seen:
            self.progress = max(1.0, self.progress + 0.01)

    def moment(self, role: str, moment: float) -> list[Found]:
        """The processes of that role when the moment has come; none when the line was over before."""
        while not self.over:
            victims = [one for one in self.found() if one.role == role]
            if victims and (moment < AT_ONCE or self.progress >= moment):
                return victims
            time.sleep(0.001)
        return []
