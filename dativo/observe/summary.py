"""How a run ended, as lines for people and as one object for --json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from dativo.dataclass import dataclass
from dativo.observe import figures

ROWS = 30
NAMES = 5
"""How many streams with another name are named."""
CHANGES = {
    "schema-keyword": "$schema left out",
    "exclusive-bounds": "exclusive bounds put in its way",
    "multiple-of": "multipleOf left out",
    "large-bounds": "bounds beyond 64 bits left out",
    "key-properties": "key_properties: [] added",
    "sdc-columns": "undeclared _sdc columns declared",
    "batch": "files of BATCHes read for it",
}
"""What each rule did."""
CAUSE = 160


@dataclass
class Summary:
    """What is known about a run when it is over."""

    verdict: str
    """done, partial or interrupted."""
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
    doubled: int = 0
    """Records that the target may have stored and will be sent again: it may then hold them twice."""
    junk: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    """Lines that were not delivered, by stream; under the empty name those of no known stream."""
    letters: str | None = None
    """The file that they were set aside in."""
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
    repeated: int = 0
    """Records after the last bookmark of attempts that failed: read again, unless their stream was left out."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """Each attempt, when there was more than one: number, verdict, cause, reason, message, …"""
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Streams that were left out because they failed: code and message."""
    books: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By stream: how many records the bookmark covers, and the sum of their hashes modulo 2^128, in hexadecimal."""
    verify: list[dict[str, Any]] = field(default_factory=list)
    """What reading the destination back found, stream by stream; empty when it was not."""

    parallel: dict[str, Any] = field(default_factory=dict)
    """Of several taps at once: how many, of how many shares, the most memory of all processes; empty for one."""
    adapted: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """By plugin that reads, by rule: how much was changed in SCHEMAs for it, in how many streams."""
    renamed: dict[str, str] = field(default_factory=dict)
    """By stream: the name that the target knows it by."""
    relieved: list[str] = field(default_factory=list)
    """Settings that were changed because the data plane does that work, as PLUGIN.SETTING."""

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
            "rejected": sum(self.rejected.values()),
            "rejects": self.rejected,
            "dead_letters": self.letters,
            "streams": self.streams,
            "failed": self.failed,
            "repeated": self.repeated,
            "attempts": self.attempts,
            "junk": self.junk,
            "bookmark": {
                "moved": self.moved,
                "states": self.states,
                "confirmed": self.confirmed,
                "covered": self.covered,
                "doubled": self.doubled,
            },
            "sandbox": self.sandbox,
            "confined": self.confined,
            "connections": self.connections,
            "books": self.books,
            "verify": self.verify,
            "parallel": self.parallel,
            "adapted": self.adapted,
            "renamed": self.renamed,
            "relieved": self.relieved,
            "notes": self.notes,
        }

    def lines(self) -> Iterator[str]:
        """The lines for people: a row for each stream that moved, then one that says it all."""
        empty = not self.records and not any(self.rejected.values())
        if self.verdict == "done" and empty and self.since and not self.moved:
            yield f"nothing new since {figures.local_time(self.since)}{self._standing()}{self._retries()}"
        elif self.verdict == "done" and empty:
            yield f"nothing to move{self._name()}{self._retries()}"
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

    def _side_by_side(self) -> Iterator[str]:
        if self.parallel:
            taps = figures.count(self.parallel["taps"], "tap")
            memory = figures.scaled(self.parallel["peak_memory"], "B")
            held = f", no more because of {self.parallel['held_by']}" if "held_by" in self.parallel else ""
            yield f"{taps} at once{held} · at most {memory} of memory, all processes together"

    def _rejects(self) -> Iterator[str]:
        bad = [(name, number) for name, number in self.rejected.items() if number]
        if not bad:
            return
        shown = ", ".join(f"{number:,} of {figures.clean(name) or 'no stream'}" for name, number in bad[:ROWS])
        place = f"set aside in {figures.clean(self.letters)}" if self.letters else "not delivered"
        yield f"{shown} {place}"

    def _verdict(self) -> str:
        bad = sum(self.rejected.values())
        read = figures.count(self.records + bad)
        took = figures.seconds(self.seconds)
        if self.verdict == "done":
            delivered = figures.count(self.records)
            sign = f" + {figures.count(bad)} rejected" if bad else " · 0 rejected"
            equal = f"{read} read = {delivered} written{sign}" if self.keeps_bookmark else f"{delivered} rows passed on"
            return f"done in {took} · {equal}{self._name()}{self._retries()}"
        kept = f"{figures.count(self.covered)} committed" if self.moved else "bookmark unchanged"
        verdict = "partly done" if self.verdict == "partial" else "interrupted"
        return f"{verdict} after {took} · {read} read · {kept}{self._name()}{self._retries()}"

    def _retries(self) -> str:
        """` · after 2 retries (why; why)`: each cause once."""
        causes = [one["message"] for one in self.attempts if one.get("waited") is not None]
        if not causes:
            return ""
        retries = "1 retry" if len(causes) == 1 else f"{len(causes)} retries"
        why = "; ".join(figures.clean(figures.short(cause, CAUSE)) for cause in dict.fromkeys(causes))
        return f" · after {retries} ({why})"

    def _standing(self) -> str:
        streams = len(self.streams)
        at = f" · {figures.count(streams, 'stream')} at {'its bookmark' if streams == 1 else 'their bookmarks'}"
        return (at if streams else "") + self._name()

    def _name(self) -> str:
        return f" · job {figures.clean(self.job)}" if self.job else ""

    def _remarks(self) -> Iterator[str]:
        uncovered = self.records - self.covered - self.repeated
        if self.verdict == "done" and self.keeps_bookmark and self.records:
            if self.states and not self.confirmed:
                yield "the target printed no STATE: the old bookmark stays, the next run reads again"
            elif not self.states and not self.stateless:
                yield "the tap sent no STATE: there is no bookmark to keep, the next run reads again"
            elif self.states and uncovered > 0:
                yield f"{figures.count(uncovered, 'record')} came after the last STATE: the next run reads them again"
        if self.repeated:
            yield f"{figures.count(self.repeated, 'record')} of failed attempts came after their last bookmark"
        dropped = {kind: number for kind, number in self.junk.items() if number}
        if dropped:
            kinds = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in dropped.items())
            yield f"lines between the messages left out: {kinds}"
        yield from self._rejects()
        if self.sandbox == "off":
            yield "sandbox: off"
        yield from self._side_by_side()
        for plugin, changes in self.adapted.items():
            told = ", ".join(_change(rule, one) for rule, one in changes.items())
            yield f"changed for {figures.clean(plugin)}: {told} (--no-adapt sends all as it came)"
        if self.renamed:
            shown = [f"{one} as {other}" for one, other in list(self.renamed.items())[:NAMES]]
            more = f" and {len(self.renamed) - NAMES} more" if len(self.renamed) > NAMES else ""
            yield f"streams under other names: {figures.clean(', '.join(shown))}{more}"
        for setting in self.relieved:
            yield f"{figures.clean(setting)}: false, as records are checked before they reach it (set it to keep it on)"
        yield from (figures.clean(note) for note in self.notes)


def _change(rule: str, one: dict[str, int]) -> str:
    """`multipleOf left out (11 in 4 streams)`."""
    return f"{CHANGES.get(rule, rule)} ({one['changes']:,} in {figures.count(one['streams'], 'stream')})"
