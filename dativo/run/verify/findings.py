"""What a comparison found, for people and for --json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.observe import figures

SHOWN = 3


@dataclass
class Finding:
    """One stream, compared."""

    stream: str
    rows: int = 0
    """Rows that should be there."""
    missing: int = 0
    extra: int = 0
    different: int = 0
    newer: int = 0
    """Rows of the source beyond the bookmark: nobody promised them yet."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """`missing`, `extra`, `different` -> the first few keys."""
    absent: list[str] = field(default_factory=list)
    """Columns that have values but no place in the destination."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Column -> why it was not compared."""
    note: str | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.extra or self.different or self.absent)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"equal": self.equal, **vars(self)}

    def words(self) -> str:
        """`flights: 3 rows missing (id=1, id=100001, id=200001), 1 different (id=7: name)`."""
        parts = []
        for kind in ("missing", "extra", "different"):
            number = getattr(self, kind)
            if number:
                shown = self.examples.get(kind, [])
                more = ", …" if shown and number > len(shown) else ""
                keys = f" ({', '.join(shown)}{more})" if shown else ""
                parts.append(f"{figures.count(number, 'row')} {kind}{keys}")
        if self.absent:
            parts.append(f"no column for {', '.join(self.absent)}")
        said = ", ".join(parts) if parts else f"{figures.count(self.rows, 'row')} equal"
        if self.newer:
            said += f", {figures.count(self.newer)} newer than the bookmark"
        return f"{figures.short(self.stream)}: {said}{f' · {self.note}' if self.note else ''}"

    def remarks(self) -> Iterator[str]:
        """What was not compared."""
        if self.left_out:
            told = ", ".join(f"{name} ({why})" for name, why in self.left_out.items())
            yield f"{figures.short(self.stream)}: not compared: {told}"


def mismatch(findings: Sequence[Finding], said: str, target: str, kept: str) -> errors.RunError:
    """The error for a destination that does not hold what it should; `said` begins the sentence."""
    wrong = [one for one in findings if not one.equal]
    counts = {kind: sum(getattr(one, kind) for one in wrong) for kind in ("missing", "extra", "different")}
    told = ", ".join(f"{figures.count(number, 'row')} {kind}" for kind, number in counts.items() if number)
    names = ", ".join(figures.short(one.stream) for one in wrong[:4]) + (", …" if len(wrong) > 4 else "")
    return errors.RunError(
        "verify.mismatch",
        f"{said}: {told or 'columns are not there'} of {names}",
        details=(*(one.words() for one in wrong), *(text for one in findings for text in one.remarks()), kept),
        context={"plugin": target, "verify": [one.as_dict() for one in findings]},
    )
