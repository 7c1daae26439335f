"""The limits of one plugin for one run: whose word holds, and the parts of the plan that they go to.

The project's words about a plugin win over its manifest's, those over the defaults. A job and a policy only tighten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from dativo.config import limits
from dativo.dataclass import dataclass

DEFAULT = "default"
Word = tuple[Mapping[str, Any], str]
"""Limits and whose word they are."""
TREE = ("memory", "processes", "cpu", "wall", "idle", "nice", "ionice")
EACH = {
    # rlimit -> the limits it follows, the first that is named wins
    "data": ("data", "memory"),
    "nproc": ("nproc",),  # the data plane makes one of `processes` that leaves room for threads
    "nofile": ("files",),
    "fsize": ("file_size",),
    "stack": ("stack",),
    "memlock": ("memlock",),
}


@dataclass(frozen=True)
class Bounds:
    """Parsed values, and for each whose word it is."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def defaults(cls) -> Bounds:
        """What holds when nobody says anything."""
        held = {key: one.default for key, one in limits.LIMITS.items() if one.default is not None and one.kind != "bus"}
        return cls(held, dict.fromkeys(held, DEFAULT))

    def over(self, values: Mapping[str, Any], origin: str) -> Bounds:
        """With these values instead."""
        own = {key: value for key, value in values.items() if key in limits.LIMITS}
        return Bounds({**self.values, **own}, {**self.origins, **dict.fromkeys(own, origin)})

    def within(self, values: Mapping[str, Any], origin: str) -> Bounds:
        """With each of these values that is tighter."""
        taken = {}
        for key, value in values.items():
            if key in limits.LIMITS and limits.exceeds(key, self.effective(key), value):
                taken[key] = value
        return self.over(taken, origin)

    def effective(self, key: str) -> Any:
        """The bound that holds, followed through to the limit it comes from."""
        names = EACH.get(key, (key,))
        return next((self.values[name] for name in names if name in self.values), None)

    def tree(self) -> dict[str, Any]:
        """The plan's `limits` of a child."""
        return {key: self.values[key] for key in TREE if self.values.get(key) is not None}

    def each(self) -> dict[str, int | None]:
        """The plan's `rlimits` of a child."""
        found: dict[str, int | None] = {"core": 0}
        for rlimit in EACH:
            value = self.effective(rlimit)
            if value is not None:
                found[rlimit] = int(value)
        return found

    @property
    def scratch(self) -> int | None:
        """Bytes of its private folders; None: the data plane's default."""
        return self.values.get("scratch")

    def told(self, key: str) -> str:
        """A value as people write it."""
        return limits.text(key, self.values.get(key))


def joined(
    manifest: Mapping[str, Any], own: Word, jobs: Iterable[Word], policies: Iterable[Word], *, fenced: bool
) -> Bounds:
    """All words about one plugin. Without a fence (profile off) only what somebody wrote down holds."""
    bounds = Bounds.defaults().over(manifest, "its manifest") if fenced else Bounds()
    bounds = bounds.over(*own)
    for values, origin in (*jobs, *policies):
        bounds = bounds.within(values, origin)
    return bounds


def small(wall: float) -> dict[str, Any]:
    """What a plugin may use that only says what it is."""
    sizes = {"memory": limits.GIB, "files": 256, "file_size": 64 * limits.MIB, "scratch": 64 * limits.MIB}
    return {**sizes, "wall": math.ceil(wall)}
