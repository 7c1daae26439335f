"""What a run leaves and takes: the memory of Dativo's own processes while it runs, the bytes on disk after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from tests.processes import Found

OURS = ("bus", "control")


@dataclass
class Footprint:
    """One run's."""

    killed: bool = False
    memory: dict[str, int] = field(default_factory=dict)
    """The most that a process of that role had, in bytes."""
    store: int = 0
    """Bytes of the state store, its log included."""
    left: int = 0
    """Files and folders in the run's temporary folder and among the runs' own folders."""

    def look(self, found: list[Found]) -> None:
        """Note what the processes have now."""
        for one in found:
            if one.role in OURS:
                try:
                    used = psutil.Process(one.pid).memory_info().rss
                except psutil.Error:
                    continue
                self.memory[one.role] = max(used, self.memory.get(one.role, 0))

    def after(self, store: Path, *folders: Path) -> None:
        """Note what is on the disk now."""
        self.store = sum(file.stat().st_size for file in store.parent.glob(f"{store.name}*"))
        self.left = sum(1 for folder in folders for _ in folder.iterdir())


def growth(values: list[int]) -> tuple[float, float]:
    """The middle value of the first third, and what a step adds to it on the way to the middle of the last third."""
    third = max(1, len(values) // 3)
    first, last = median(values[:third]), median(values[-third:])
    return first, (last - first) / max(1, len(values) - third)
