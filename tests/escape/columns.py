"""The columns of the matrix: which profile, and how many attacks may get through it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from tests.escape.attacks.attack import Attack
from tests.escape.watch import LIMIT


@dataclass(frozen=True)
class Column:
    """One way to confine a plugin."""

    name: str
    title: str
    profile: str
    layout: str = "auto"
    at_most: int | None = None
    """Breaches that are allowed; None: as many as there are."""
    cgroup: bool = False
    granted: bool = False
    """With one host granted, and the attacks on the network only."""
    requires: str | None = None
    """A probe: where that is missing the column may be refused, elsewhere not."""

    def takes(self, attack: Attack) -> bool:
        """Whether the attack belongs in this column."""
        return not self.granted or (attack.family == "network" and attack.always is None)

    def python(self) -> str:
        """An interpreter that every user can read; the sandbox finds the system's without being told."""
        return sys.executable

    def sandbox(self, code: str, environment: str, host: str) -> dict[str, Any]:
        """The plan's block."""
        network: Any = [host] if self.granted else "none"
        prefix = os.path.realpath(sys.base_prefix)
        read = [code, environment] + ([] if prefix == "/usr" else [prefix])
        return {
            "profile": self.profile,
            "layout": self.layout,
            "read": read,
            "network": network,
            "scratch": LIMIT["disk"],
            "shm": LIMIT["disk"],
        }

    def limits(self) -> dict[str, Any]:
        """Of the whole tree; off has none."""
        if self.profile == "off":
            return {}
        return {"memory": LIMIT["memory"], "processes": LIMIT["processes"], "cpu": 60, "wall": 100}

    def rlimits(self) -> dict[str, Any]:
        """Of each process."""
        if self.profile == "off":
            return {}
        return {"core": 0, "nofile": LIMIT["descriptors"], "fsize": LIMIT["disk"], "data": LIMIT["memory"]}


COLUMNS = (
    Column("off", "off", "off"),
    Column("limits", "limits", "limits"),
    Column("floor", "standard, floor", "standard", "floor", at_most=3, requires="landlock"),
    Column("standard", "standard", "standard", at_most=1),
    Column("strict", "strict", "strict", at_most=1, requires="userns"),
    Column("strict-cgroup", "strict, cgroup", "strict", at_most=0, cgroup=True, requires="userns"),
    Column("strict-host", "strict, one host", "strict", at_most=0, granted=True, requires="userns"),
)
BY_NAME = {one.name: one for one in COLUMNS}
QUICK = ("off", "floor", "strict")
