"""Pairs of commands in turn, and what their wall times say about each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.figures import Figure


@dataclass
class Pair:
    """Wall seconds of A and of B, run in turn after one warm-up of each."""

    name: str
    limit: float
    unit: str = "x"
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)

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

    def figure(self, note: str = "") -> Figure:
        """A/B pair by pair, or A-B in seconds."""
        pairs = zip(self.a, self.b, strict=True)
        values = [a - b for a, b in pairs] if self.unit == "s" else [a / b for a, b in pairs]
        return Figure.of(self.name, self.unit, values, self.limit, note=note)
