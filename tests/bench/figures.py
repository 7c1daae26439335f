"""What was measured, as text and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number beside the number it must keep to; `low` and `high` are its extremes over the rounds."""

    name: str
    unit: str
    median: float
    bound: float | None
    """None where nothing was promised."""
    at_least: bool = False
    low: float | None = None
    high: float | None = None
    note: str = ""

    @classmethod
    def of(cls, name: str, unit: str, values: Sequence[float], bound: float | None, **more: Any) -> Figure:
        """The median of the rounds' values."""
        return cls(name, unit, statistics.median(values), bound, low=min(values), high=max(values), **more)

    @property
    def kept(self) -> bool:
        """Whether the bound holds."""
        if self.bound is None:
            return True
        return self.median >= self.bound if self.at_least else self.median <= self.bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "kept": self.kept}

    def line(self) -> str:
        """For a terminal."""
        spread = "" if self.low is None else f"({self.low:.2f} to {self.high:.2f})"
        text = f"  {self.name:<72} {self.median:8.2f} {self.unit:<2} {spread:<20} {self.wanted}".rstrip()
        return f"{text}\n      {self.note}" if self.note else text

    @property
    def wanted(self) -> str:
        """The bound in words, and whether it was missed."""
        if self.bound is None:
            return ""
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}{'' if self.kept else '  MISSED'}"


@dataclass(frozen=True)
class Row:
    """One contender of a contest: what it did in a second, and what it took."""

    name: str
    role: str
    """`dativo`, `peer` or `limit`."""
    rows: int
    rows_s: float = 0.0
    cpu_s: float = 0.0
    """Per million rows."""
    peak_mb: float = 0.0
    few: bool = False
    """Fewer rows than the others had."""
    missing: str = ""
    """Why there is no number."""

    def line(self) -> str:
        """For a terminal."""
        if self.missing:
            return f"  {self.name:<44} not measured: {self.missing}"
        few = f"  of {self.rows:,} rows" if self.few else ""
        numbers = f"{self.rows_s:>11,.0f} rows/s {self.cpu_s:>8.2f} CPU s/M rows {self.peak_mb:>7,.0f} MB"
        return f"  {self.name:<44} {numbers}{few}"


@dataclass(frozen=True)
class Section:
    """What belongs together under one heading."""

    title: str
    rows: tuple[Row, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()
    measured: str = ""
    """When, and how often, where that is known."""

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Section:
        """What `as_dict` gave."""
        rows = tuple(Row(**row) for row in told["rows"])
        figures = tuple(
            Figure(**{key: value for key, value in one.items() if key != "kept"}) for one in told["figures"]
        )
        return cls(told["title"], rows, figures, tuple(told["remarks"]), told["measured"])

    @property
    def kept(self) -> bool:
        """Whether ours ran and every bound holds."""
        ran = all(not row.missing for row in self.rows if row.role == "dativo")
        return ran and all(figure.kept for figure in self.figures)

    def text(self) -> str:
        """For a terminal."""
        parts = [self.title, *(row.line() for row in self.rows), *(f"  {remark}" for remark in self.remarks)]
        return "\n".join([*parts, *(figure.line() for figure in self.figures)])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [asdict(row) for row in self.rows]
        figures = [figure.as_dict() for figure in self.figures]
        remarks = list(self.remarks)
        return {"title": self.title, "measured": self.measured, "rows": rows, "remarks": remarks, "figures": figures}
