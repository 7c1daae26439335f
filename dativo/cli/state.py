"""`dativo state`: look at bookmarks and their history, and change one by hand (I4).

Comparing, rewinding, moving and backfilling are in files of their own beside this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.state_backfill import backfill_command
from dativo.cli.state_diff import diff_command
from dativo.cli.state_given import given, unwrapped
from dativo.cli.state_rewind import rewind_command
from dativo.cli.state_store import job_argument, local, open_to_read, open_to_write, unknown, whole_log
from dativo.cli.state_transfer import export_command, import_command

if TYPE_CHECKING:
    from dativo.state.attempts import AttemptEntry
    from dativo.state.record import Entry, JobState


@click.group(
    name="state",
    help="""\b
  dativo state list
  dativo state get tap-csv-to-target-duckdb
  dativo state log shop --stream orders
  dativo state rewind shop --stream orders --to run:40

Look at bookmarks (where a job's next run goes on) and change them by hand.
""",
    epilog="docs/guides/state.md",
)
def command() -> None:
    """Look at bookmarks and change them by hand."""


@command.command(
    "list",
    short_help="Show every job and its bookmark.",
    help="""\b
  dativo state list
  dativo state list --stream orders

Show every job with its bookmark, its last run and who holds it.
""",
)
@options.stream_option
@options.env_option
@options.json_option
def list_command(stream: str | None, env: str | None) -> None:
    """Show every job."""
    from dativo.config.project import meltano_file
    from dativo.state import bookmark

    with open_to_read(env) as store:
        jobs = store.jobs()
    if stream is not None:
        jobs = [job for job in jobs if job.bookmark and stream in bookmark.streams(job.bookmark.text)]
    if not jobs:
        note = "no bookmarks yet" if stream is None else f"no job has a bookmark for the stream {stream}"
        report.note(f"{note}; Meltano's own is taken over by the first run" if meltano_file() is not None else note)
    report.result([_job_dict(job) for job in jobs], lambda: _job_lines(jobs, stream))


def _job_dict(job: JobState) -> dict[str, Any]:
    mark = job.bookmark
    return {
        "job": job.name,
        "origin": mark.origin if mark else None,
        "at": mark.at if mark else None,
        "records": mark.records if mark else None,
        "of": mark.of if mark else None,
        "value": mark.text if mark else None,
        "last_run": job.last_run,
        "verdict": job.last_verdict,
        "ended": job.last_ended,
        "held_by": {"pid": job.holder.pid, "host": job.holder.host, "since": job.holder.since} if job.holder else None,
    }


def _job_lines(jobs: list[JobState], stream: str | None) -> list[str]:
    from dativo.state import bookmark

    rows = []
    for job in jobs:
        mark = job.bookmark
        if job.holder:
            now = f"running (pid {job.holder.pid} on {job.holder.host})"
        else:
            now = job.last_verdict or ("cleared" if mark and mark.origin == "clear" else mark.origin if mark else "")
        where = bookmark.describe(mark.text, stream) if mark else "-"
        rows.append((job.name, local(mark.at) if mark else "-", where, now))
    return report.columns(rows)


@command.command(
    "get",
    short_help="Print a job's bookmark exactly.",
    help="""\b
  dativo state get shop > state.json
  dativo state get shop --stream orders

Print a job's bookmark exactly as it is kept: what the tap gets as --state.
""",
)
@job_argument
@options.stream_option
@options.env_option
@options.json_option
def get_command(job: str, stream: str | None, env: str | None) -> None:
    """Print a bookmark."""
    from dativo.state import bookmark

    with open_to_read(env) as store:
        mark = store.bookmark(job)
        if mark is None:
            unknown(store, job)
    if mark.origin == "clear":
        report.note(f"the bookmark was cleared {local(mark.at)}")
    text = mark.text
    if stream is not None:
        parts = bookmark.streams(text)
        if stream not in parts:
            known = ", ".join(sorted(parts)) or "none"
            raise errors.ConfigError(
                "state.unknown", f"{job} has no bookmark for {stream}", details=(f"streams: {known}",)
            )
        text = parts[stream]
    print(text)  # JSON as it is, so --json changes only how an error looks


@command.command(
    "set",
    short_help="Replace a bookmark, or one stream's part.",
    help="""\b
  dativo state set shop '{"bookmarks": {"orders": {"id": 7}}}'
  dativo state set shop --file state.json
  dativo state set shop --stream orders '{"id": 7}'

Replace a job's bookmark. Without VALUE and --file (or with -) it is read from stdin.
""",
)
@job_argument
@click.argument("value", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Read the state from a file.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@options.stream_option
@options.yes_option
@options.env_option
@options.verbosity_options
@options.json_option
def set_command(
    job: str,
    *,
    value: str | None,
    file: Path | None,
    reason: str | None,
    stream: str | None,
    yes: bool,
    env: str | None,
) -> None:
    """Replace a bookmark."""
    from dativo.state import bookmark

    text = unwrapped(given(value, file))
    with open_to_write(env) as store:
        old = store.bookmark(job)
        before = old.text if old else "{}"
        after = bookmark.with_stream(before, stream, text) if stream else text
        if after == before and old:
            report.note("it was that already")
        elif before != "{}":
            report.confirm(f"replace the bookmark of {job}: {bookmark.describe(before, stream)}", yes=yes)
        store.set(job, text, stream=stream, reason=reason)
    report.note(f"{job}: {bookmark.describe(before, stream)}  →  {bookmark.describe(after, stream)}")
    report.result({"job": job, "stream": stream, "changed": after != before}, [])


@command.command(
    "clear",
    short_help="Forget a bookmark, or one stream's part.",
    help="""\b
  dativo state clear shop
  dativo state clear shop --stream orders

Forget a job's bookmark: the next run reads from the start. It stays in the history.
""",
)
@job_argument
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@options.stream_option
@options.yes_option
@options.env_option
@options.verbosity_options
@options.json_option
def clear_command(job: str, reason: str | None, stream: str | None, yes: bool, env: str | None) -> None:
    """Forget a bookmark."""
    from dativo.state import bookmark

    with open_to_write(env) as store:
        old = store.bookmark(job)
        if old is None:
            unknown(store, job)
        if stream is not None:
            bookmark.without_stream(old.text, stream)  # refuses an unknown stream before it asks
        if old.text != "{}":
            what = f"the bookmark of {job}" if stream is None else f"the bookmark of {stream} in {job}"
            report.confirm(f"forget {what}: {bookmark.describe(old.text, stream)}", yes=yes)
        store.clear(job, stream=stream, reason=reason)
    report.note(f"{job}: the next run reads {stream or 'everything'} from the start")
    report.result({"job": job, "stream": stream, "changed": old.text != "{}"}, [])


@command.command(
    "log",
    short_help="Show what moved a bookmark.",
    help="""\b
  dativo state log shop
  dativo state log shop --stream orders --limit 5

Show what moved a job's bookmark: runs and changes by hand, newest first.
""",
)
@job_argument
@options.stream_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Number of lines.")
@options.env_option
@options.json_option
def log_command(job: str, stream: str | None, limit: int, env: str | None) -> None:
    """Show the history."""
    with open_to_read(env) as store:
        entries = whole_log(store, job)
        if stream is not None:
            entries = [entry for entry in entries if entry.concerns(stream)]
        entries = entries[:limit]
        attempts = {entry.run: store.attempts(entry.run) for entry in entries if entry.run is not None}
        if not entries and all(one.name != job for one in store.jobs()):
            unknown(store, job)
    if not entries:
        report.note("nothing happened yet")
    report.result(
        [_entry_dict(entry, stream, attempts) for entry in entries], lambda: _entry_lines(entries, stream, attempts)
    )


def _rows(entry: Entry, stream: str | None) -> int | None:
    """Records of this run: of one stream, as far as the bookmark covers, or all where it moved none."""
    counts = {name: found["records"] for name, found in entry.stats.get("streams", {}).items() if "records" in found}
    if stream is not None:
        return counts.get(stream)
    return entry.records if entry.text is not None or not counts else sum(counts.values())


def _entry_dict(entry: Entry, stream: str | None, attempts: dict[str, list[AttemptEntry]]) -> dict[str, Any]:
    from dataclasses import asdict

    from dativo.state import bookmark

    part = entry.text if stream is None or entry.text is None else bookmark.streams(entry.text).get(stream)
    rest = {key: value for key, value in asdict(entry).items() if key not in ("text", "stats", "records")}
    made = [asdict(one) for one in attempts.get(entry.run or "", ())]
    streams = entry.stats.get("streams", {})
    return {**rest, "value": part, "records": _rows(entry, stream), "streams": streams, "attempts": made}


def _entry_lines(entries: list[Entry], stream: str | None, attempts: dict[str, list[AttemptEntry]]) -> list[str]:
    from dativo.state import bookmark

    rows = []
    for entry in entries:
        by_run = entry.number is not None
        who = f"run {entry.number}" if by_run else entry.origin
        if entry.backfill is not None:
            who += f" (backfill {entry.backfill})"
        count = _rows(entry, stream)
        where = bookmark.describe(entry.text, stream) if entry.text is not None else "no new bookmark"
        tries = len(attempts.get(entry.run or "", ())) if by_run else 0
        ended = f"{entry.verdict or 'running'}{f' after {tries} attempts' if tries > 1 else ''}"
        end = ended if by_run else " · ".join(filter(None, (entry.by, entry.reason)))
        rows.append((who, local(entry.at), where, "" if count is None else f"{count:,} rows", end))
    return report.columns(rows, right=[3])


for _below in (diff_command, rewind_command, export_command, import_command, backfill_command):
    command.add_command(_below)
