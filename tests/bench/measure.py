"""Pairs of commands in turn, and what their wall times say about each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Pair:
    """Wall seconds of A and of B, run in turn after one warm-up of each."""

    name: str
    limit: float
    unit: str = "x"
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    note: str = ""

    def run(self, run_a: Callable[[], object], run_b: Callable[[], object], rounds: int) -> Pair:
        """Time both in turn: A B A B …"""
        for warm in (run_a, run_b):
            warm()
        for _ in range(rounds):
            for run, times in ((run_a, self.a), (run_b, self.b)):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
        return self

    @property
    def figures(self) -> list[float]:
        """A/B pair by pair, or A-B in seconds."""
        if self.unit == "s":
            return [a - b for a, b in zip(self.a, self.b, strict=True)]
        return [a / b for a, b in zip(self.a, self.b, strict=True)]

    def as_dict(self) -> dict[str, object]:
        """The figure and what it is made of, seconds unrounded."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": statistics.median(self.figures),
            "min": min(self.figures),
            "max": max(self.figures),
            "limit": self.limit,
            "within": statistics.median(self.figures) <= self.limit,
            "median_a_s": statistics.median(self.a),
            "median_b_s": statistics.median(self.b),
            "note": self.note,
        }
