"""What an import did with each thing that it found: taken as it is, changed on the way, or without a counterpart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, field
from typing import Any, Literal

from dativo.dataclass import dataclass

Fate = Literal["taken", "changed", "left"]

TAKEN: Fate = "taken"
CHANGED: Fate = "changed"
LEFT: Fate = "left"
HEADINGS: dict[Fate, str] = {TAKEN: "taken", CHANGED: "changed", LEFT: "without counterpart"}
"""The order in which they are shown: what is to be done by hand comes last, where it is read."""


@dataclass(frozen=True)
class Entry:
    """One thing. `where` is its file and line (`meltano.yml:12`), `what` its name (`extractors.tap-x.config.host`).

    `became` is the key of dativo.yml (or the file) that it became, None where it became nothing. `why` says what
    changed, or why there is no counterpart and what to do instead. Neither holds a value that may be secret (I13).
    """

    fate: Fate
    where: str
    what: str
    became: str | None = None
    why: str | None = None

    def line(self) -> str:
        """For people: `where  what > became · why`."""
        arrow = f" > {self.became}" if self.became else ""
        return f"{self.where}  {self.what}{arrow}" + (f" · {self.why}" if self.why else "")


@dataclass
class Report:
    """All that an import found, in the order in which it was found."""

    entries: list[Entry] = field(default_factory=list)
    _said: set[Entry] = field(default_factory=set, repr=False)

    def taken(self, where: str, what: str, became: str) -> None:
        """It means the same there."""
        self._add(Entry(TAKEN, where, what, became))

    def changed(self, where: str, what: str, became: str, why: str) -> None:
        """It became something that is not quite the same, or stands elsewhere."""
        self._add(Entry(CHANGED, where, what, became, why))

    def left(self, where: str, what: str, why: str) -> None:
        """Nothing stands for it."""
        self._add(Entry(LEFT, where, what, None, why))

    def scheduled(self, where: str, what: str, job: str) -> None:
        """A time became a job's `schedule:`."""
        why = "nothing starts a job by itself: your scheduler does, this is where it is written down"
        self.changed(where, what, f"jobs.{job}.schedule", why)

    def _add(self, entry: Entry) -> None:
        if entry not in self._said:  # once, however many plugins it is true of
            self._said.add(entry)
            self.entries.append(entry)

    def of(self, fate: Fate) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in self.entries if entry.fate == fate]

    def as_dict(self) -> dict[str, Any]:
        """`{"taken": N, "changed": N, "left": N, "entries": [{fate, where, what, became, why}]}`."""
        counts: dict[str, Any] = {fate: len(self.of(fate)) for fate in HEADINGS}
        return {**counts, "entries": [asdict(entry) for entry in self.entries]}

    def lines(self, *, whole: bool = False) -> Iterable[str]:
        """For people: what changed and what was left, each with its line; what was taken too if `whole`."""
        for fate, heading in HEADINGS.items():
            entries = self.of(fate)
            yield f"  {heading}: {len(entries)}"
            if whole or fate != TAKEN:
                yield from (f"    {entry.line()}" for entry in entries)
