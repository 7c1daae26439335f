"""`dativo state backfill`: read a range of one stream again, without moving the job's bookmark."""

from __future__ import annotations

import click

from dativo import errors
from dativo.cli import options, report, runflags
from dativo.cli.state_store import job_argument


@click.command(
    "backfill",
    short_help="Read a range of one stream again.",
    help="""\b
  dativo state backfill shop --stream orders --from 2026-10-01 --to 2026-11-01
  dativo state backfill shop --stream orders --from 1000 --to 2000

Read one stream again from one value of its replication key to another, on a
bookmark of its own: the job's own bookmark stays where it is. The run ends when
what the target confirmed has reached --to; rows up to there, and some after it,
are written again. The same command goes on with an interrupted backfill.
""",
)
@job_argument
@options.stream_option
@click.option("--from", "start", required=True, metavar="VALUE", help="Where to start, or the stream's part as JSON.")
@click.option("--to", "end", required=True, metavar="VALUE", help="Where to end.")
@click.option("--again", is_flag=True, help="Do it again although it was done.")
@click.option("--wait", is_flag=True, help="Wait while another process does this backfill.")
@options.yes_option
@options.dry_run_option
@options.env_option
@options.verbosity_options
@options.json_option
def backfill_command(
    job: str,
    *,
    stream: str | None,
    start: str,
    end: str,
    again: bool,
    wait: bool,
    yes: bool,
    dry_run: bool,
    env: str | None,
) -> None:
    """Read a range again."""
    from dativo.cli.run import show
    from dativo.config.project import Project
    from dativo.run import overwriting
    from dativo.run.backfill import Backfill
    from dativo.state import bookmark

    if stream is None:
        raise errors.ConfigError("usage", "no stream is named", hint="add --stream NAME")
    project = Project.find(env=env)
    overwriting.spec_of(project, job)
    wanted = Backfill(project, job, stream, start, end)
    begun = wanted.begun(again=again, dry_run=True)
    about = {"job": job, "stream": stream, "from": start, "to": end, "shadow": wanted.name}
    at = bookmark.describe(begun.text, stream)
    if begun.done:
        report.note(f"done already, up to {at}; to do it once more: --again")
    elif dry_run:
        report.note(f"would read {stream} from {at} to {end}; the bookmark of {job} stays")
    if begun.done or dry_run:
        report.result({**about, "done": begun.done, "resumed": begun.resumed, "value": begun.text}, [])
        return
    if not begun.resumed:
        report.confirm(f"would read {stream} again; {overwriting.told(project, job, None)}", yes=yes)
        wanted.begun(again=again)
    else:
        report.note(f"going on at {at}")
    chosen = runflags.run_options({"wait": float("inf") if wait else None})
    show(wanted.run(chosen), quiet=report.OUTPUT.verbosity < 0)
