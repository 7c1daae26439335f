"""Ours and the others at one job, pair by pair in turn: A B A B.

Each contender moves rows that are counted where they arrive. One that is slow gets fewer rows and is compared by rows
per second; one that cannot be installed or does not end well is reported with the reason.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import trees
from tests.bench.figures import Figure, Row, Section
from tests.bench.trees import Cost


@dataclass
class Contender:
    """A command that moves rows, made anew for each run."""

    name: str
    role: str
    rows: int
    command: Callable[[], Sequence[str | Path]]
    env: dict[str, str]
    cwd: Path
    prepare: Callable[[], None] = lambda: None
    """Takes away what an earlier run left."""
    count: Callable[[], int] | None = None
    """How many rows arrived; None where they go to /dev/null."""
    few: bool = False
    costs: list[Cost] = field(default_factory=list)

    def run(self, settle: Callable[[], None]) -> Cost:
        """Once; Failed when not all rows arrived."""
        self.prepare()
        settle()
        cost = trees.run(self.command(), env=self.env, cwd=self.cwd)
        if self.count is not None and (arrived := self.count()) != self.rows:
            raise trees.Failed(f"{arrived:,} of {self.rows:,} rows arrived")
        return cost

    def row(self, missing: str = "") -> Row:
        """What its runs say."""
        if missing or not self.costs:
            return Row(self.name, self.role, 0, missing=missing or "not run")
        wall = statistics.median(cost.wall for cost in self.costs)
        cpu = statistics.median(cost.cpu for cost in self.costs)
        peak = max(cost.peak for cost in self.costs)
        return Row(self.name, self.role, self.rows, self.rows / wall, cpu / self.rows * 1e6, peak / 1e6, few=self.few)


@dataclass(frozen=True)
class Absent:
    """A contender that cannot run, and why."""

    name: str
    reason: str
    role: str = "peer"


@dataclass(frozen=True)
class Wanted:
    """What must show against others: `speed` in rows per second at least, `wall` or `cpu` at most."""

    other: str
    """How their names begin."""
    ratio: float | None = None
    what: str = "speed"

    def of(self, ours: Contender, other: Contender, a: Cost, b: Cost) -> float:
        """The ratio in one pair of runs."""
        if self.what == "cpu":
            return (a.cpu / ours.rows) / (b.cpu / other.rows)
        mine, theirs = ours.rows / a.wall, other.rows / b.wall
        return mine / theirs if self.what == "speed" else theirs / mine


@dataclass
class Contest:
    """One job."""

    title: str
    ours: Contender | Absent
    others: Sequence[Contender | Absent]
    wanted: Sequence[Wanted] = ()
    memory_mb: float | None = None
    """What our processes together may take."""
    remarks: tuple[str, ...] = ()
    settle: Callable[[], None] = lambda: None

    def run(self, rounds: int) -> Section:
        """Each pair in turn, after one warm-up of each contender."""
        missing = {one.name: one.reason for one in (self.ours, *self.others) if isinstance(one, Absent)}
        figures: list[Figure] = []
        warm: set[str] = set()
        for other in self.others:
            if not isinstance(other, Contender):
                continue
            _say(f"{self.title}: {other.name}")
            try:
                self._warm(other, warm)
            except trees.Failed as failed:
                missing[other.name] = str(failed)
                continue
            pairs = []
            for _ in range(rounds):
                a = self._ours(warm, missing)
                b = other.run(self.settle)
                other.costs.append(b)
                if a is not None:
                    pairs.append((a, b))
            figures += self._figures(other, pairs)
        if isinstance(self.ours, Contender) and not self.ours.costs:
            for _ in range(rounds):
                self._ours(warm, missing)
        if self.memory_mb is not None and isinstance(self.ours, Contender) and self.ours.costs:
            peaks = [cost.peak / 1e6 for cost in self.ours.costs]
            figures.append(Figure(f"{self.title}: memory of all processes", "MB", max(peaks), self.memory_mb))
        rows = [self._row(one, missing) for one in (self.ours, *self.others)]
        rows.sort(key=lambda row: ({"limit": 0, "dativo": 1}.get(row.role, 2), -row.rows_s))
        return Section(self.title, tuple(rows), tuple(figures), self.remarks)

    def _ours(self, warm: set[str], missing: dict[str, str]) -> Cost | None:
        if self.ours.name in missing or not isinstance(self.ours, Contender):
            return None
        try:
            self._warm(self.ours, warm)
            cost = self.ours.run(self.settle)
        except trees.Failed as failed:
            missing[self.ours.name] = str(failed)
            return None
        self.ours.costs.append(cost)
        return cost

    def _warm(self, one: Contender, warm: set[str]) -> None:
        if one.name not in warm:
            one.run(self.settle)
            warm.add(one.name)

    def _figures(self, other: Contender, pairs: list[tuple[Cost, Cost]]) -> list[Figure]:
        if not pairs or not isinstance(self.ours, Contender):
            return []
        wanted = [one for one in self.wanted if other.name.startswith(one.other)] or [Wanted(other.name)]
        words = {"speed": "rows/s", "wall": "wall time", "cpu": "CPU"}
        return [
            Figure.of(
                f"{self.title}: {words[one.what]} to {other.name}",
                "x",
                [one.of(self.ours, other, a, b) for a, b in pairs],
                one.ratio,
                at_least=one.what == "speed",
            )
            for one in wanted
        ]

    @staticmethod
    def _row(one: Contender | Absent, missing: dict[str, str]) -> Row:
        if isinstance(one, Absent):
            return Row(one.name, one.role, 0, missing=one.reason)
        return one.row(missing.get(one.name, ""))


def _say(what: str) -> None:
    sys.stderr.write(f"  {what} …\n")
    sys.stderr.flush()
