"""`dativo run`: a whole job in one supervisor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report, runflags

if TYPE_CHECKING:
    from dativo.config.specs import JobSpec


@click.command("run", cls=runflags.RunCommand, short_help="Run a job: tap, mappers, target, or a job file.")
@click.argument("words", nargs=-1, metavar="TAP [MAPPER…] TARGET | JOB | JOB.yml")
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

    if not words:
        raise _nothing_named(env)
    project, specs = jobs.all_of_words(words, env, engines, report.note)
    chosen = runflags.run_options(rest)
    if len(specs) > 1 and (chosen.job or chosen.state or chosen.catalog or chosen.record):
        raise errors.ConfigError(
            "usage",
            f"{' '.join(words)} is {len(specs)} pipelines: --job, --state, --catalog and --record are for one",
            hint="name the plugins of one of them",
        )
    steps = [step for spec in specs for step in spec.steps]
    jobs.given_of(steps, sets, files)  # raises for a plugin that none of them has
    if not project.changes:
        from dativo.cli.provision import provide

        provide(project, list(dict.fromkeys(steps)))
    several = [jobs.Job(project, spec, chosen, _of(sets, spec, specs), _of(files, spec, specs)) for spec in specs]
    if chosen.dry_run:
        plans = [jobs.planned(job) for job in several]
        show_plan(plans[0] if len(plans) == 1 else {"plans": plans})
        return
    summaries = []
    for job in several:  # one after the other; the first that fails ends the row
        try:
            summaries.append(jobs.run(job))
        except errors.DativoError as problem:
            problem.details += tuple(f"{one.job} was done before" for one in summaries)
            raise
        if not report.OUTPUT.json:
            show(summaries[-1], quiet=chosen.quiet)
    if report.OUTPUT.json:
        data = [one.as_dict() for one in summaries]
        report.result(data[0] if len(data) == 1 else {"runs": data}, ())


def _nothing_named(env: str | None) -> errors.ConfigError:
    """What could have been meant by `dativo run` alone."""
    from dativo.config.project import Project

    project = Project.find(env=env)
    known = project.jobs()
    hint = f"jobs here: {', '.join(known)} · as in: dativo run {known[0]}" if known else f"as in: {project.row()}"
    return errors.ConfigError("usage", "nothing is named that could be run: a job, or a tap and a target", hint=hint)


def _of(words: tuple[str, ...], spec: JobSpec, specs: Sequence[JobSpec]) -> tuple[str, ...]:
    """Of the words about plugins, those about this job's; with one job all of them, so that it can refuse some."""
    if len(specs) == 1:
        return words
    return tuple(word for word in words if any(word.startswith((f"{one}.", f"{one}=")) for one in spec.steps))


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
