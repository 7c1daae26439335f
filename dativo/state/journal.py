"""All that is known of one job as one JSON document: what the stores without a database keep.

A document holds the lease, the bookmark, the runs and the history. What is older than the last `KEPT` runs moves to
pages of `PAGE` runs, which are written once and read only when somebody asks that far back, so a commit stays small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dativo.state.attempts import AttemptEntry
from dativo.state.bookmark import Bookmark, exact_text, with_stream, without_stream
from dativo.state.lease import Holder, Lease
from dativo.state.record import Entry
from dativo.state.store import by_whom, lease_lost, no_bookmark, refuse_if_held, run_name, stamp

FORMAT = 1
KEPT = 150
PAGE = 100
_ENDLESS = 1 << 62
_ATTEMPT = ("started", "ended", "verdict", "cause", "reason", "message", "waited")


class NotOurs(Exception):
    """There is something, but no document that this Dativo can use. The message says why."""


class Journal:
    """One job's document, in memory. Whoever changes it writes it back by compare-and-set."""

    def __init__(self, job: str, data: dict[str, Any] | None = None) -> None:
        self.job = job
        fresh = {"dativo": "job state", "format": FORMAT, "job": job, "token": 0, "holder": None, "expires": None}
        fresh |= {"bookmark": None, "last_run": 0, "seq": 0, "pages": 0, "runs": [], "history": [], "schemas": {}}
        self.data: dict[str, Any] = fresh if data is None else data

    @classmethod
    def from_bytes(cls, content: bytes, job: str | None = None) -> Journal:
        """A document as it was written, or NotOurs."""
        try:
            data = json.loads(content)
        except ValueError as problem:
            raise NotOurs(f"it is damaged ({problem})") from None
        if not isinstance(data, dict) or data.get("dativo") != "job state":
            raise NotOurs("it is another program's")
        if not isinstance(data.get("format"), int) or data["format"] > FORMAT:
            raise NotOurs("it was written by a newer Dativo")
        found = cls(str(data.get("job")), data)
        missing = Journal("").data.keys() - data.keys()
        if missing or (job is not None and found.job != job):
            raise NotOurs("it is damaged (it is not the whole document of its job)")
        return found

    def to_bytes(self) -> bytes:
        """As it is written: one key a line, so that a version control system can show what changed."""
        return (json.dumps(self.data, indent=1, ensure_ascii=False, default=str) + "\n").encode()

    # -- leases (I5)

    @property
    def holder(self) -> Holder | None:
        """Who holds the job."""
        return Holder(**self.data["holder"]) if self.data["holder"] else None

    def acquire(self, mine: Holder, ttl: float, now: float) -> Lease:
        """Take the lease, or raise job.busy; a run that vanished is recorded as interrupted."""
        refuse_if_held(self.job, self.holder, self.data["expires"], now)
        gone = {"ended": stamp(), "verdict": "interrupted", "reason": "delivery.interrupted"}
        for run in self.data["runs"]:
            for one in (run, *run["attempts"]):
                if one["ended"] is None:
                    one.update(gone, message="its process was gone")
        self.data.update(token=self.data["token"] + 1, holder=asdict(mine), expires=now + ttl)
        return Lease(self.job, self.data["token"], mine, ttl, now + ttl)

    def check(self, lease: Lease) -> None:
        """Raise job.lease_lost unless this is the lease in force."""
        if self.data["token"] != lease.token or self.data["holder"] is None:
            raise lease_lost(lease)

    def renew(self, lease: Lease, now: float) -> None:
        """Push the lease's end out."""
        self.check(lease)
        self.data["expires"] = now + lease.ttl

    def release(self, lease: Lease) -> None:
        """Give the lease back, if it is the one in force."""
        if self.data["token"] == lease.token:
            self.data.update(holder=None, expires=None)

    # -- runs

    def next_number(self) -> int:
        """The number of the next run."""
        self.data["last_run"] += 1
        return int(self.data["last_run"])

    def start_run(self, lease: Lease, number: int | None, stats: Mapping[str, Any] | None = None) -> str:
        """Record that a run began; a backfill's number is counted by its job."""
        self.check(lease)
        self.settle()
        name = run_name()
        at = self.next_number() if number is None else number
        self.data["last_run"] = at
        empty = dict.fromkeys(("ended", "verdict", "reason", "message"))
        told = dict(stats) if stats else None
        self.data["runs"].append({"number": at, "id": name, "started": stamp(), **empty, "stats": told, "attempts": []})
        return name

    def run(self, name: str) -> dict[str, Any] | None:
        """A run that is not in a page yet."""
        return next((one for one in self.data["runs"] if one["id"] == name), None)

    def end_run(
        self, name: str, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None
    ) -> None:
        """Record how a run ended, and put its last bookmark into the history."""
        run = self.run(name)
        if run is not None:
            run.update(ended=stamp(), verdict=verdict, reason=reason, message=message, stats=dict(stats))
            self.settle(only_run=name)

    def attempt(self, name: str, number: int, known: Mapping[str, Any]) -> None:
        """Add an attempt of a run, or say how it ended."""
        run = self.run(name)
        if run is None:
            return
        for one in run["attempts"]:
            if one["number"] == number:
                one.update(known)
                return
        run["attempts"].append({"number": number, **dict.fromkeys(_ATTEMPT), **known})

    # -- bookmarks

    @property
    def bookmark(self) -> Bookmark | None:
        """The bookmark."""
        kept = self.data["bookmark"]
        if kept is None:
            return None
        return Bookmark(self.job, **{key: one for key, one in kept.items() if key != "settled"})

    def write(
        self,
        text: str,
        origin: str,
        *,
        run: str | None = None,
        records: int | None = None,
        of: int | None = None,
    ) -> None:
        """Replace the bookmark."""
        self.data["bookmark"] = {
            "text": text,
            "origin": origin,
            "run": run,
            "at": stamp(),
            "records": records,
            "of": of,
            "settled": False,
        }

    def set(self, text: str, stream: str | None, reason: str | None) -> None:
        """Replace the bookmark, or one stream's part of it, by hand."""
        text = exact_text(text)
        if stream is not None:
            text = with_stream(self.bookmark.text if self.bookmark else "{}", stream, text)
        self.write(text, "set")
        self.settle(reason)

    def clear(self, stream: str | None, reason: str | None) -> None:
        """Forget the bookmark, or one stream's part of it."""
        if self.bookmark is None:
            raise no_bookmark(self.job)
        text = "{}" if stream is None else without_stream(self.bookmark.text, stream)
        self.write(text, "clear" if stream is None else "set")
        self.settle(reason or (f"cleared {stream}" if stream else None))

    def edit(self, now: float) -> None:
        """Before a change by hand: refused while a run holds the job, and any older lease is fenced off (I5)."""
        refuse_if_held(self.job, self.holder, self.data["expires"], now, by_hand=True)
        self.data.update(token=self.data["token"] + 1, holder=None, expires=None)
        self.settle()

    def settle(self, reason: str | None = None, *, only_run: str | None = None) -> None:
        """Append the bookmark to the history if it is not there yet: where a run stopped, not each of its steps."""
        kept = self.data["bookmark"]
        if kept is None or kept["settled"] or (only_run is not None and kept["run"] != only_run):
            return
        kept["settled"] = True
        entry = {key: one for key, one in kept.items() if key != "settled"}
        last = self.data["runs"][-1]["number"] if self.data["runs"] else 0
        self.data["seq"] += 1
        self.data["history"].append(
            {"seq": self.data["seq"], **entry, "reason": reason, "by": by_whom(), "after_run": last}
        )

    # -- pages

    def old_page(self) -> dict[str, Any] | None:
        """What can move to the next page: always the same for the same runs, so writing it twice does no harm."""
        runs = self.data["runs"]
        if len(runs) <= KEPT + PAGE:
            return None
        moved = runs[:PAGE]
        history = [one for one in self.data["history"] if _place(one, runs) <= moved[-1]["number"]]
        head = {"dativo": "job history", "format": FORMAT, "job": self.job, "page": self.data["pages"]}
        return {**head, "runs": moved, "history": history}

    def turn_page(self, page: dict[str, Any]) -> None:
        """Drop what the page holds."""
        runs, entries = {one["id"] for one in page["runs"]}, {one["seq"] for one in page["history"]}
        self.data["pages"] = page["page"] + 1
        self.data["runs"] = [one for one in self.data["runs"] if one["id"] not in runs]
        self.data["history"] = [one for one in self.data["history"] if one["seq"] not in entries]

    # -- reading

    def entries(self) -> list[Entry]:
        """The history in this document, newest first."""
        kept = self.data["bookmark"]
        now = [] if kept is None or kept["settled"] else [{**kept, "seq": _ENDLESS, "reason": None, "by": None}]
        return told(self.data["runs"], self.data["history"], now)


def told(
    runs: Sequence[dict[str, Any]], history: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]] = ()
) -> list[Entry]:
    """Lines of a history, newest first, by what is counted and not by the clock; `now` is a bookmark on its way."""
    by_id = {one["id"]: one for one in runs}
    lines: list[tuple[tuple[int, bool, int], Entry]] = []
    for one in (*history, *now):
        run = by_id.get(one["run"] or "")
        place = (run["number"] if run else _ENDLESS) if one in now else _place(one, runs)
        entry = _entry(run, one)
        lines.append(((place, run is None, one["seq"]), entry))
    moved = {one["run"] for one in (*history, *now)}
    for run in runs:
        if run["id"] not in moved:
            entry = _entry(run, {"at": run["ended"] or run["started"], "origin": "run"})
            lines.append(((run["number"], False, 0), entry))
    return [entry for _, entry in sorted(lines, key=lambda line: line[0], reverse=True)]


def _place(entry: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> int:
    return int(next((run["number"] for run in runs if run["id"] == entry["run"]), entry["after_run"]))


def _entry(run: Mapping[str, Any] | None, told: Mapping[str, Any]) -> Entry:
    known = run or {}
    return Entry(
        at=told["at"],
        origin=told["origin"],
        text=told.get("text"),
        records=told.get("records"),
        of=told.get("of"),
        run=known.get("id"),
        number=known.get("number"),
        verdict=known.get("verdict"),
        reason=told.get("reason") or known.get("reason"),
        message=known.get("message"),
        stats=dict(known.get("stats") or {}),
        by=told.get("by"),
    )


def attempts_of(run: Mapping[str, Any]) -> list[AttemptEntry]:
    """The attempts of a run, first to last."""
    return [AttemptEntry(**one) for one in sorted(run["attempts"], key=lambda one: int(one["number"]))]
