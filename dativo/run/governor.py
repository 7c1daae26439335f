"""What all processes of a job use together, and whether one more tap may be started beside them.

The control plane, the data planes and the plugins are one tree of processes: its memory is the sum of what each holds
in RAM (what processes share counts once for each), its CPU what it used since the last look. Nothing is ever stopped
here: a plugin's own limits end it, this only does not begin another. One tap always may run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from dativo.dataclass import dataclass

FREE = 256 << 20
"""Bytes that the machine keeps unless the job says otherwise."""
EVERY = 0.5
"""Seconds between two looks."""
SETTLED = 2.0
"""Seconds after which a tap that was started uses what it uses: until then a bounded job does not start another."""


class Process(Protocol):
    """What is asked of a process: of `psutil.Process`."""

    def memory_info(self) -> Any:
        """Its `rss`."""

    def cpu_times(self) -> Any:
        """Its `user` and `system`."""

    @property
    def pid(self) -> int:
        """Its number."""


@dataclass(frozen=True)
class Budget:
    """What the job may use; None is no bound."""

    memory: int | None = None
    cpu: float | None = None
    """In cores."""
    free: int = FREE

    @classmethod
    def of(cls, job: Mapping[str, Any], memory: int | None) -> Budget:
        """The job's `limits.job`, and --memory over it."""
        return cls(memory if memory is not None else job.get("memory"), job.get("cpu"), job.get("free", FREE))


class Governor:
    """Looks at the tree from time to time."""

    def __init__(
        self,
        budget: Budget,
        *,
        tree: Callable[[], Iterable[Process]] | None = None,
        available: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget
        self._tree = tree or _own_tree
        self._available = available or _available
        self._clock = clock
        self._looked: float | None = None
        self._started: float | None = None
        self._spent: dict[int, float] = {}
        self._memory, self._cores = 0, 0.0
        self.peak = 0
        """The most memory that was seen, in bytes."""
        self.held: str | None = None
        """Why a tap was not started when it could have been, the last time."""

    def look(self) -> None:
        """Measure, if it is time."""
        now = self._clock()
        if self._looked is not None and now - self._looked < EVERY:
            return
        memory, spent = 0, {}
        for process in self._tree():
            try:
                memory += process.memory_info().rss
                times = process.cpu_times()
            except _gone():
                continue
            spent[process.pid] = times.user + times.system
        if self._looked is not None:
            used = sum(max(total - self._spent.get(pid, 0.0), 0.0) for pid, total in spent.items())
            self._cores = used / (now - self._looked)
        self._looked, self._memory, self._spent = now, memory, spent
        self.peak = max(self.peak, memory)

    def admits(self, running: int) -> bool:
        """Whether another tap is to be started now beside so many: it is taken to need what each of them has."""
        now = self._clock()
        if running > 0:
            bounded = self._budget.memory is not None or self._budget.cpu is not None
            if bounded and self._started is not None and now - self._started < SETTLED:
                return False
            why = self._refusal(running)
            self.held = why or self.held
            if why is not None:
                return False
        self._started = now
        return True

    def _refusal(self, running: int) -> str | None:
        budget, each = self._budget, self._memory // running
        if budget.memory is not None and self._memory + each > budget.memory:
            return "limits.job.memory"
        if budget.cpu is not None and self._cores + self._cores / running > budget.cpu:
            return "limits.job.cpu"
        if self._available() - each < budget.free:
            return "limits.job.free"
        return None


def _own_tree() -> Iterable[Process]:
    import psutil

    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _available() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _gone() -> type[Exception]:
    import psutil

    return psutil.Error
