"""`dativo state rewind`: put a bookmark back where it stood, after saying what that costs (I4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.state_store import job_argument, open_to_write, unknown

if TYPE_CHECKING:
    from dativo.state.moments import Moment, Reread
    from dativo.state.record import Entry
    from dativo.state.store import Store


@click.command(
    "rewind",
    short_help="Put a bookmark back where it stood.",
    help="""\b
  dativo state rewind shop --stream orders --to run:40
  dativo state rewind shop --stream orders --to 2026-11-01T00:00:00Z
  dativo state rewind shop --to at:2026-11-22T06:00

Put a bookmark, or one stream's part, back: the next run reads from there. Says
first what will be read again, and asks.

\b
--to run:40            where run 40 left it
--to log:2             as in the second line of `dativo state log`
--to at:2026-11-22     as it stood at that time (yours, without a zone)
--to VALUE             the stream's replication key at VALUE, or its part as JSON
""",
)
@job_argument
@click.option("--to", "to", required=True, metavar="WHERE", help="run:N, log:N, at:TIME or the stream's value.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@options.stream_option
@options.yes_option
@options.dry_run_option
@options.env_option
@options.verbosity_options
@options.json_option
def rewind_command(
    job: str, *, to: str, reason: str | None, stream: str | None, yes: bool, dry_run: bool, env: str | None
) -> None:
    """Put a bookmark back."""
    from dativo.state import bookmark, moments, position

    with open_to_write(env) as store:
        mark, log = store.bookmark(job), store.log(job)
        if mark is None:
            unknown(store, job)
        moment = _moment(to, stream, mark.text, job, log)
        target = _target(mark.text, moment, to, stream)
        part = bookmark.streams(target).get(stream) if stream else None
        reread = moments.reread(log, stream, moment, position.of(part))
        said = _said(env, job, stream, store, reread)
        changed = target != mark.text
        if not changed:
            report.note("it stands there already")
        elif dry_run:
            report.note(said)
        else:
            report.confirm(said, yes=yes)
            _rewind(store, job, stream, target, reason or f"rewound to {to}")
        after = target if changed else mark.text
    if changed and not dry_run:
        report.note(f"{job}: {bookmark.describe(mark.text, stream)}  →  {bookmark.describe(after, stream)}")
    report.result(
        {"job": job, "stream": stream, "to": to, "changed": changed and not dry_run, "records": reread.records,
         "runs": list(reread.runs), "value": after},
        [],
    )  # fmt: skip


def _moment(to: str, stream: str | None, now: str, job: str, log: list[Entry]) -> Moment | None:
    """The moment that `to` names; None where it is a value of the stream."""
    from dativo.state import bookmark, moments, position

    if moments.is_reference(to):
        return moments.found(to, job, log, now)
    current = position.of(bookmark.streams(now).get(stream)) if stream else None
    if position.moment(to) is not None and not to.startswith("{") and position.compare(current, to) is None:
        return moments.found(f"at:{to}", job, log, now)  # a time, and the stream's own value is none
    if stream is None:
        raise errors.ConfigError(
            "usage", f"{to} is the value of one stream, and no stream is named", hint="add --stream NAME"
        )
    return None


def _target(now: str, moment: Moment | None, to: str, stream: str | None) -> str:
    """The bookmark after the rewind. Raises where that would be ahead of where it is."""
    from dativo.state import bookmark, position

    if moment is not None and stream is None:
        return moment.text
    assert stream is not None
    current = bookmark.streams(now).get(stream)
    if current is None:
        bookmark.without_stream(now, stream)  # raises state.unknown with the streams that there are
    part = bookmark.streams(moment.text).get(stream) if moment is not None else position.at(current, to, stream)
    if part is None:
        return bookmark.without_stream(now, stream)
    order = position.compare(position.of(part), position.of(current))
    if order is not None and order > 0:
        raise errors.ConfigError(
            "state.invalid",
            f"{stream} is at {position.of(current)}, so {to} is ahead of it: rows in between would never be read",
            hint="if that is what you mean: `dativo state set --stream`",
        )
    return now if order == 0 and part == current else bookmark.with_stream(now, stream, part)


def _said(env: str | None, job: str, stream: str | None, store: Store, reread: Reread) -> str:
    from dativo.config.project import Project
    from dativo.observe import figures
    from dativo.run import overwriting

    known = store.schemas(job)
    keys = known[stream]["key_properties"] if stream in known else None
    told = overwriting.told(Project.find(env=env), job, keys)
    about = "what came since then"
    if reread.records is not None:
        about = f"about {figures.count(reread.records, 'row')}"
        if reread.runs:
            numbers = ", ".join(str(one) for one in reread.runs[:5]) + (" …" if len(reread.runs) > 5 else "")
            about += f" ({'run' if len(reread.runs) == 1 else 'runs'} {numbers})"
    return f"would re-read {about}; {told}"


def _rewind(store: Store, job: str, stream: str | None, target: str, reason: str) -> None:
    from dativo.state import bookmark

    if target == "{}":
        store.clear(job, reason=reason)
    elif stream is None:
        store.set(job, target, reason=reason)
    elif (part := bookmark.streams(target).get(stream)) is None:
        store.clear(job, stream=stream, reason=reason)
    else:
        store.set(job, part, stream=stream, reason=reason)
