"""`dativo run`: a whole job in one supervisor."""

from __future__ import annotations

from typing import Any

import click

from dativo.cli import options, report, runflags


@click.command("run", cls=runflags.RunCommand, short_help="Run a job: tap, mappers, target, or a job file.")
@click.argument("words", nargs=-1, required=True, metavar="TAP [MAPPER…] TARGET | JOB | JOB.yml")
@options.job_option
@options.env_option
@options.tenant_option
@click.option("--config", "files", multiple=True, metavar="PLUGIN=FILE", help="Settings of a plugin, or PLUGIN=ENV.")
@click.option("--set", "sets", multiple=True, metavar="PLUGIN.KEY=VALUE", help="One setting of a plugin.")
@click.option("--engine", "engines", multiple=True, metavar="[PLUGIN=]ENGINE", help="native, singer or airbyte.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    envvar="DATIVO_RETRIES",
    metavar="N",
    help="Tries after the first (2).",
)
@click.option(
    "--parallel",
    type=click.IntRange(min=1),
    envvar="DATIVO_PARALLEL",
    metavar="N",
    help="Taps that read streams at once (1).",
)
@click.option("--memory", type=runflags.Quantity("size"), metavar="SIZE", help="No further tap above this.")
@click.option("--continue-on-error", is_flag=True, help="Leave out streams that fail (exit 6).")
@click.option("--force", is_flag=True, help="Close circuit breakers that are open.")
@click.option(
    "--encoding",
    type=click.Choice(["auto", "records", "arrow"]),
    metavar="HOW",
    help="Rows go as: auto, records, arrow.",
)
@click.option("--verify", type=click.Choice(["after", "never"]), help="after: read the destination back.")
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(
    words: tuple[str, ...],
    env: str | None,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    engines: tuple[str, ...],
    **rest: Any,
) -> None:
    """\b
      dativo run tap-csv target-duckdb --set target-duckdb.path=my.duckdb
      dativo run shop --env prod --stream orders --full-refresh
    A tap, mappers and a target, or a job: docs/guides/first-pipeline.md.
    """
    from dativo.run import job as jobs

    project, spec = jobs.of_words(words, env, engines, report.note)
    chosen = runflags.run_options(rest)
    job = jobs.Job(project, spec, chosen, sets, files)
    if chosen.dry_run:
        show_plan(jobs.planned(job))
        return
    summary = jobs.run(job)
    show(summary, quiet=chosen.quiet)


def show(summary: Any, *, quiet: bool) -> None:
    """A run's summary: on stdout as JSON, else for people on stderr."""
    if report.OUTPUT.json:
        report.result(summary.as_dict(), ())
    elif not quiet:
        for line in summary.lines():
            report.note(line)


def show_plan(plan: dict[str, Any]) -> None:
    """A dry run's plan on stdout, readable, or on one line with --json."""
    import json

    report.result(plan, lambda: json.dumps(plan, indent=2, ensure_ascii=False).splitlines())


runflags.add_to(command)
