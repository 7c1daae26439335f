"""What an attempt amounts to: the summary that is shown and kept, and the error if it is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dativo import errors
from dativo.observe import figures
from dativo.observe.log import PluginLog
from dativo.observe.summary import Summary
from dativo.run.attempt import Seen
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.outcome import failure, is_said
from dativo.run.step import Step


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
        keeps_bookmark=hold is not None,
        notes=list(_notes(seen)),
    )


def _notes(seen: Seen) -> Sequence[str]:
    notes = [one.text for one in seen.notices if one.code not in ("state.uncovered", "state.unconfirmed")]
    foreign = seen.ignored.get("foreign", 0)
    if foreign:
        notes.append(f"the target printed {figures.count(foreign, 'STATE')} that was never sent: left out")
    unread = seen.ignored.get("unread", 0)
    if unread:
        notes.append(f"the target printed {figures.count(unread, 'STATE')} before it had read that far: left out")
    return notes


def problem(
    seen: Seen, summary: Summary, steps: Sequence[Step], log: PluginLog, interrupts: Interrupts
) -> errors.DativoError | None:
    """The error for an attempt that is not done; the failing plugin's last lines are printed above it."""
    end = seen.end
    if end.verdict == "done":
        return None
    blamed = next((step for step in steps if step.name == end.child), None)
    left = seen.exits.get(end.child or "")
    found = failure(
        end,
        lines=log.last(blamed.name) if blamed else (),
        ours=blamed is not None and blamed.ours,
        exit_code=left.code if left else None,
        interrupts=interrupts,
        details=[standing(summary), *_notes(seen)],
        context=context(summary),
    )
    if blamed is not None and found.code != "run.cancelled":
        log.show_last(blamed.name, but=is_said if blamed.ours else lambda _: False)
    return found


def standing(summary: Summary) -> str:
    """Where a run that did not end well leaves its job."""
    read = figures.count(summary.records, "record")
    if not summary.keeps_bookmark:
        return f"{read} passed on"
    if summary.moved:
        return f"{read} read · {figures.count(summary.covered)} committed: the next run goes on there"
    return f"{read} read · bookmark unchanged"


def context(summary: Summary) -> dict[str, Any]:
    """What --json says beside an error's own words."""
    known = summary.as_dict()
    return {key: known[key] for key in ("run", "job", "verdict", "records", "streams", "bookmark", "seconds")}
