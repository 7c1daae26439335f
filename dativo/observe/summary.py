"""How a run ended, as lines for people and as one object for --json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dativo.observe import figures

ROWS = 30


@dataclass
class Summary:
    """What is known about a run when it is over."""

    verdict: str
    """done or interrupted."""
    run: str
    job: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    streams: dict[str, dict[str, int]] = field(default_factory=dict)
    bytes: int = 0
    bookmark: str | None = None
    """The text of the job's bookmark after the run."""
    moved: bool = False
    """Whether this run moved it."""
    since: str | None = None
    """When the bookmark that the run started from was made."""
    states: int = 0
    confirmed: int = 0
    covered: int = 0
    """Records that came before the last confirmed STATE."""
    junk: dict[str, int] = field(default_factory=dict)
    keeps_bookmark: bool = True
    stateless: bool = False
    """Whether the stream has no bookmark by its nature, as dead letters have none."""
    """False beside a foreign target, where nothing is kept."""
    nothing_to_confirm: bool = False
    notes: list[str] = field(default_factory=list)
    sandbox: str | None = None
    """The weakest sandbox profile of its plugins."""
    confined: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per plugin: profile, layout, and what the sandbox could not promise."""
    connections: list[dict[str, Any]] = field(default_factory=list)
    """Per plugin and host: how often and how much."""

    @property
    def records(self) -> int:
        """Records of all streams."""
        return sum(one.get("records", 0) for one in self.streams.values())

    def as_dict(self) -> dict[str, Any]:
        """The object of --json: raw values, nothing rounded."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "run": self.run,
            "job": self.job,
            "seconds": round(self.seconds, 6),
            "records": self.records,
            "bytes": self.bytes,
            "rejected": 0,
            "streams": self.streams,
            "junk": self.junk,
            "bookmark": {
                "moved": self.moved,
                "states": self.states,
                "confirmed": self.confirmed,
                "covered": self.covered,
            },
            "sandbox": self.sandbox,
            "confined": self.confined,
            "connections": self.connections,
            "notes": self.notes,
        }

    def lines(self) -> Iterator[str]:
        """The lines for people: a row for each stream that moved, then one that says it all."""
        if self.verdict == "done" and not self.records and self.since and not self.moved:
            yield f"nothing new since {figures.local_time(self.since)}{self._standing()}"
        elif self.verdict == "done" and not self.records:
            yield f"nothing to move{self._name()}"
        else:
            yield from self._rows()
            yield self._verdict()
        yield from self._remarks()

    def _rows(self) -> Iterator[str]:
        moved = [(name, one) for name, one in self.streams.items() if one.get("records")]
        cells = []
        for name, one in moved[:ROWS]:
            mark = figures.bookmark(self.bookmark, name) if self.keeps_bookmark and self.moved else ""
            rows = figures.count(one["records"], "row")
            speed = figures.rate(one["records"], self.seconds)
            cells.append((figures.short(name), rows, speed, f"bookmark {mark}" if mark else ""))
        widths = [max(len(row[at]) for row in cells) for at in range(4)] if cells else []
        pads = (str.ljust, str.rjust, str.rjust, str.ljust)
        for row in cells:
            shown = [pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=True) if width]
            yield "  ".join(shown).rstrip()
        if len(moved) > ROWS:
            yield f"… {figures.count(len(moved) - ROWS, 'more stream')}"
        still = len(self.streams) - len(moved)
        if still and moved:
            yield f"{figures.count(still, 'stream')} had nothing new"

    def _verdict(self) -> str:
        read = figures.count(self.records)
        took = figures.seconds(self.seconds)
        if self.verdict == "done":
            written = f"{read} written" if self.keeps_bookmark else "passed on"
            equal = f"{read} read = {written} · 0 rejected" if self.keeps_bookmark else f"{read} rows {written}"
            return f"done in {took} · {equal}{self._name()}"
        kept = f"{figures.count(self.covered)} committed" if self.moved else "bookmark unchanged"
        return f"interrupted after {took} · {read} read · {kept}{self._name()}"

    def _standing(self) -> str:
        streams = len(self.streams)
        at = f" · {figures.count(streams, 'stream')} at {'its bookmark' if streams == 1 else 'their bookmarks'}"
        return (at if streams else "") + self._name()

    def _name(self) -> str:
        return f" · job {figures.clean(self.job)}" if self.job else ""

    def _remarks(self) -> Iterator[str]:
        uncovered = self.records - self.covered
        if self.verdict == "done" and self.keeps_bookmark and self.records:
            if self.states and not self.confirmed:
                yield "the target printed no STATE: the old bookmark stays, the next run reads again"
            elif not self.states and not self.stateless:
                yield "the tap sent no STATE: there is no bookmark to keep, the next run reads again"
            elif self.states and uncovered > 0:
                yield f"{figures.count(uncovered, 'record')} came after the last STATE: the next run reads them again"
        dropped = {kind: number for kind, number in self.junk.items() if number}
        if dropped:
            kinds = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in dropped.items())
            yield f"lines between the messages left out: {kinds}"
        if self.sandbox == "off":
            yield "sandbox: off"
        yield from (figures.clean(note) for note in self.notes)
