"""`dativo import meltano`: a Meltano project becomes a dativo.yml."""

from __future__ import annotations

from pathlib import Path

import click

from dativo.cli import options


@click.command(
    "meltano",
    short_help="A Meltano project.",
    help="""\b
  dativo import meltano --dry-run
  dativo import meltano ../shop --into .

Turn a Meltano project into a dativo.yml beside its meltano.yml, or in another folder. Its environments, inheritance,
selection, jobs, schedules and states are taken over; secrets go to .env. The report names what has no counterpart.
""",
    epilog="docs/guides/meltano.md",
)
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option("--into", type=click.Path(path_type=Path), metavar="FOLDER", help="Write there instead of into PATH.")
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(path: Path, *, into: Path | None, dry_run: bool) -> None:
    """Import it."""
    from dativo.cli.import_ import finish
    from dativo.migrate.meltano import convert

    root = (path.parent if path.name == "meltano.yml" else path).absolute()
    folder = (into or root).absolute()
    finish(convert(root, folder), folder, "Meltano", dry_run=dry_run)
