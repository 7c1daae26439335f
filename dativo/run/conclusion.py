"""What an attempt amounts to: the summary that is shown and kept, and the error if it is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dativo import errors
from dativo.config.keys import PROFILES
from dativo.observe import figures
from dativo.observe.log import PluginLog
from dativo.observe.summary import Summary
from dativo.run import denials, troubles
from dativo.run.attempt import Seen
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.outcome import failure, is_said
from dativo.run.step import Step
from dativo.run.verify import landing
from dativo.run.verify.after import After, Unchecked, verified


def summarise(
    seen: Seen, *, run: str, job: str | None, hold: Hold | None, junk: Mapping[str, int] | None = None
) -> Summary:
    """The facts of an attempt. `junk` is what the other side of a shell pipe left out before."""
    end = seen.end
    streams = {name: {"records": 0, "bytes": 0} for name in seen.streams} | end.streams
    dropped = dict(end.junk)
    for kind, number in (junk or {}).items():
        dropped[kind] = dropped.get(kind, 0) + number
    return Summary(
        verdict=end.verdict,
        run=run,
        job=job,
        reason=end.reason,
        seconds=end.wall_s,
        streams=streams,
        bytes=end.bytes_in,
        bookmark=hold.text if hold else None,
        moved=hold.moved if hold else False,
        since=hold.before.at if hold and hold.before and hold.before.text != "{}" else None,
        states=end.states.get("forwarded", 0),
        confirmed=end.states.get("confirmed", 0),
        covered=end.covered.get("records", seen.covered),
        junk=dropped,
        rejected=dict(end.rejected),
        letters=seen.letters if any(end.rejected.values()) else None,
        books=dict(seen.books),
        adapted=dict(seen.adapted),
        renamed=dict(seen.renamed),
        keeps_bookmark=hold is not None,
        notes=list(_notes(seen)),
        sandbox=min(seen.profiles.values(), key=PROFILES.index, default=None),
        confined={
            name: {"profile": one.profile, "layout": one.layout, "missing": list(one.missing)}
            for name, one in seen.confined.items()
        },
        connections=[
            {"plugin": name, "host": host, "port": port, **one} for (name, host, port), one in seen.connections.items()
        ],
    )


def checked(summary: Summary, seen: Seen, steps: Sequence[Step], check: After | Unchecked) -> None:
    """What reading the destination back came to (`verify: after`)."""
    summary.verify = [one.as_dict() for one in check.found]
    if check.held_back:
        summary.covered = 0
    if check.problem is None:
        summary.notes += verified(check.found)
        return
    summary.verdict, summary.reason = "interrupted", check.problem.code
    summary.doubled = doubled(seen, summary, steps, resent=True)
    check.problem.details += tuple(twice(summary, steps))
    check.problem.context = {**context(summary), **check.problem.context}


def _notes(seen: Seen) -> Sequence[str]:
    notes = [one.text for one in seen.notices if one.code not in ("state.uncovered", "state.unconfirmed")]
    foreign = seen.ignored.get("foreign", 0)
    if foreign:
        notes.append(f"the target printed {figures.count(foreign, 'STATE')} that was never sent: left out")
    unread = seen.ignored.get("unread", 0)
    if unread:
        notes.append(f"the target printed {figures.count(unread, 'STATE')} before it had read that far: left out")
    lacking = denials.missing_note(seen.confined)
    return [*notes, *([lacking] if lacking else [])]


def problem(
    seen: Seen, summary: Summary, steps: Sequence[Step], log: PluginLog, interrupts: Interrupts
) -> errors.DativoError | None:
    """The error for an attempt that is not done; the failing plugin's last lines are printed above it."""
    end = seen.end
    if end.verdict == "done":
        return None
    blamed = next((step for step in steps if step.name == end.child), None)
    summary.doubled = doubled(seen, summary, steps)
    left = seen.exits.get(end.child or "")
    found = failure(
        end,
        lines=log.last(blamed.name) if blamed else (),
        ours=blamed is not None and blamed.ours,
        exit_code=left.code if left else None,
        interrupts=interrupts,
        details=[standing(summary), *twice(summary, steps), *_notes(seen)],
        context=context(summary),
    )
    if found.code == "data.schema":
        _explain_rejects(found, summary)
    if blamed is not None and found.code.startswith("limit."):
        _explain_limit(found, blamed, summary)
    elif blamed is not None:
        found = denials.explained(found, blamed.grants, blamed.role, seen=seen, lines=log.last(blamed.name))
        found = troubles.explained(found, seen)
    if blamed is not None and found.code != "run.cancelled":
        log.show_last(blamed.name, but=is_said if blamed.ours else lambda _: False)
    return found


def _explain_rejects(found: errors.DativoError, summary: Summary) -> None:
    """What may be done about records that break their SCHEMA."""
    if summary.letters:
        found.hint = f"too many for on_bad_record: its rows and percent say how many may be bad; see {summary.letters}"
    elif summary.job:
        found.hint = found.remedy.replace("JOB", summary.job)


def _explain_limit(found: errors.DativoError, step: Step, summary: Summary) -> None:
    """How far the run came, and whose word the limit is."""
    moved = [(name, one["records"]) for name, one in summary.streams.items() if one.get("records")]
    rows = figures.count(summary.records, "row")
    where = f" of {moved[-1][0]}" if len(moved) == 1 else ""
    if summary.records and " after " not in found.message:
        found.message += f" after {rows}{where}"
    key = found.code.removeprefix("limit.")
    bounds = step.grants.bounds
    origin = bounds.origins.get(key, "default")
    said = "" if origin in ("default", "its manifest") else f" (set by {origin})"
    place = origin if origin.endswith(".limits") else f"plugins.{step.name}.limits"
    other = {"memory": ", or select fewer columns", "idle": ", or look at its log"}.get(key, "")
    found.hint = f"raise {place}.{key}, now {bounds.told(key)}{said if place != origin else ''}{other}"


def standing(summary: Summary) -> str:
    """Where a run that did not end well leaves its job."""
    read = figures.count(summary.records, "record")
    if not summary.keeps_bookmark:
        return f"{read} passed on"
    if summary.moved:
        return f"{read} read · {figures.count(summary.covered)} committed: the next run goes on there"
    return f"{read} read · bookmark unchanged"


def doubled(seen: Seen, summary: Summary, steps: Sequence[Step], *, resent: bool = False) -> int:
    """How many rows a target may hold twice when what was not covered by a bookmark is sent again.

    `resent`: also what the target's own bookmark covers.
    """
    target = steps[-1] if steps and steps[-1].role == "target" else None
    if target is None or (target.can("bookmark") and not resent):
        return 0  # it keeps the bookmark with its data: both or none
    again = max(summary.records - summary.covered, 0)
    if not landing.replaces(target):
        return again
    return min(again, sum(summary.streams.get(name, {}).get("records", 0) for name in seen.keyless))


def twice(summary: Summary, steps: Sequence[Step]) -> Sequence[str]:
    """The bound in words, where there is one to tell."""
    if not summary.doubled:
        return ()
    why = "" if steps[-1].can("bookmark") else f": {steps[-1].name} does not keep the bookmark with its data"
    return (f"up to {figures.count(summary.doubled, 'row')} may be there twice after the next run{why}",)


def context(summary: Summary) -> dict[str, Any]:
    """What --json says beside an error's own words."""
    known = summary.as_dict()
    keys = ("run", "job", "verdict", "records", "rejected", "rejects", "streams", "bookmark", "seconds")
    return {key: known[key] for key in keys}
