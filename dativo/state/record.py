"""What a store remembers, read back: the jobs as they stand and the history of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dativo.dataclass import dataclass
from dativo.state.bookmark import Bookmark, streams
from dativo.state.lease import Holder


@dataclass(frozen=True)
class JobState:
    """One job as it stands."""

    name: str
    bookmark: Bookmark | None
    holder: Holder | None
    """Who holds the lease, if its process lives (or cannot be seen from here)."""
    last_run: str | None
    last_verdict: str | None
    last_ended: str | None


@dataclass(frozen=True)
class Entry:
    """One line of a job's history: a run, or a change by hand."""

    at: str
    origin: str
    """run, set, clear or adopted."""
    text: str | None
    """The bookmark's exact text; None for a run that moved no bookmark."""
    records: int | None
    of: int | None
    run: str | None
    number: int | None
    """The run's number: 41 in `run 41`."""
    verdict: str | None
    reason: str | None
    message: str | None
    stats: dict[str, Any]
    by: str | None
    backfill: str | None = None
    """What tells the backfill apart whose run this is; None for the job's own."""

    def concerns(self, stream: str) -> bool:
        """Whether the stream has a part in this bookmark, or had records in this run."""
        return stream in self.stats.get("streams", {}) or (self.text is not None and stream in streams(self.text))


def with_backfills(log: Sequence[Entry], backfills: Mapping[str, Sequence[Entry]]) -> list[Entry]:
    """A job's history with its backfills' runs where their numbers place them; newest first."""
    runs = [replace(one, backfill=name) for name, log in backfills.items() for one in log if one.number is not None]
    found: list[Entry] = []
    for entry in log:
        newer = [one for one in runs if entry.number is not None and (one.number or 0) > entry.number]
        found += sorted(newer, key=lambda one: one.number or 0, reverse=True)
        runs = [one for one in runs if one not in newer]
        found.append(entry)
    return [*found, *sorted(runs, key=lambda one: one.number or 0, reverse=True)]
