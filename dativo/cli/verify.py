"""`dativo verify`: is what the source has really in the destination?"""

from __future__ import annotations

from typing import Any

import click

from dativo.cli import options, report, runflags
from dativo.observe import figures


@click.command("verify", short_help="Compare a job's source with its destination.")
@click.argument("words", nargs=-1, required=True, metavar="TAP [MAPPER…] TARGET | JOB | JOB.yml")
@options.streams_option
@click.option("--stream-name", metavar="TEMPLATE", help="What streams are called at the target, as '{table}'.")
@click.option("--select", multiple=True, metavar="PATTERN", help="Streams and columns, like 'a.*' '!a.b'.")
@options.job_option
@options.env_option
@options.tenant_option
@click.option("--config", "files", multiple=True, metavar="PLUGIN=FILE", help="Settings of a plugin, or PLUGIN=ENV.")
@click.option("--set", "sets", multiple=True, metavar="PLUGIN.KEY=VALUE", help="One setting of a plugin.")
@options.json_option
@options.verbosity_options
def command(
    words: tuple[str, ...], env: str | None, files: tuple[str, ...], sets: tuple[str, ...], **rest: Any
) -> None:
    """\b
      dativo verify tap-csv target-duckdb
      dativo verify shop --stream orders --json

    Reads the source in full, reads the destination back, and says `equal` or what differs (exit 1).
    Nothing is written and no bookmark moves.
    """
    from dativo.run import job as jobs
    from dativo.run.verify import findings, whole

    project, spec = jobs.of_words(words, env)
    job = jobs.Job(project, spec, runflags.run_options(rest), sets, files)
    done = whole.verify(job, report.note)
    if not done.equal:
        raise findings.mismatch(
            done.findings, f"{done.target} is not equal to its source", done.target, "nothing was changed"
        )
    report.result(done.as_dict(), lambda: list(said(done)))


def said(done: Any) -> list[str]:
    """The lines for people."""
    rows = [text for one in done.findings for text in one.remarks()]
    rows += [f"{name}: not compared: the source sends it as BATCH files" for name in done.unread]
    streams, total = len(done.findings), sum(one.rows for one in done.findings)
    told = f"{figures.count(total, 'row')} of {figures.count(streams, 'stream')}"
    return [*rows, f"equal: {told} · job {figures.clean(done.job)}"]


command.epilog = "docs/guides/verify.md"
