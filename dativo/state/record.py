"""What the store remembers, read back: the jobs as they stand and the history of one job."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, fields
from typing import Any

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

    def concerns(self, stream: str) -> bool:
        """Whether the stream has a part in this bookmark, or had records in this run."""
        return stream in self.stats.get("streams", {}) or (self.text is not None and stream in streams(self.text))


def read_jobs(db: sqlite3.Connection) -> list[JobState]:
    """Every job, by name."""
    found = []
    for name, holder_text in db.execute("SELECT name, holder FROM jobs ORDER BY name").fetchall():
        row = db.execute(
            "SELECT job, value, origin, run, at, records, of FROM bookmarks WHERE job = ?", (name,)
        ).fetchone()
        run = db.execute(
            "SELECT id, verdict, ended FROM runs WHERE job = ? ORDER BY number DESC LIMIT 1", (name,)
        ).fetchone() or (None, None, None)
        holder = Holder.from_text(holder_text) if holder_text else None
        if holder is not None and holder.alive() is False:
            holder = None
        found.append(JobState(name, Bookmark(*row) if row else None, holder, *run))
    return found


# Newest first, by what the store counts and not by the clock: the run, then what was done by hand after it, then the
# order of writing. Rows of a store older than `after_run` have only their time to go by.
_LOG = """
    SELECT at, origin, value, records, of, run, number, verdict, why, message, stats, by FROM (
        SELECT h.at, h.origin, h.value, h.records, h.of, h.run, r.number, r.verdict,
               coalesce(h.reason, r.reason) AS why, r.message, r.stats, h.by, h.seq,
               coalesce(r.number, h.after_run,
                   (SELECT max(number) FROM runs WHERE job = h.job AND started <= h.at), 0) AS place
        FROM history h LEFT JOIN runs r ON r.id = h.run WHERE h.job = :job
        UNION ALL
        SELECT b.at, b.origin, b.value, b.records, b.of, b.run, r.number, r.verdict,
               r.reason, r.message, r.stats, NULL, 1 << 62, coalesce(r.number, 1 << 62)
        FROM bookmarks b LEFT JOIN runs r ON r.id = b.run WHERE b.job = :job AND NOT b.settled
        UNION ALL
        SELECT coalesce(r.ended, r.started), 'run', NULL, NULL, NULL, r.id, r.number, r.verdict,
               r.reason, r.message, r.stats, NULL, 0, r.number
        FROM runs r WHERE r.job = :job
            AND NOT EXISTS (SELECT 1 FROM history h WHERE h.job = :job AND h.run = r.id)
            AND NOT EXISTS (SELECT 1 FROM bookmarks b WHERE b.job = :job AND b.run = r.id AND NOT b.settled)
    ) ORDER BY place DESC, number IS NULL DESC, seq DESC LIMIT :limit
"""


def read_log(db: sqlite3.Connection, job: str, limit: int | None) -> list[Entry]:
    """A job's history, newest first."""
    rows = db.execute(_LOG, {"job": job, "limit": -1 if limit is None else limit}).fetchall()
    names = [one.name for one in fields(Entry)]
    entries = [dict(zip(names, row, strict=True)) for row in rows]
    return [Entry(**(entry | {"stats": json.loads(entry["stats"] or "{}")})) for entry in entries]
