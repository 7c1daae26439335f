"""`dativo import pipelinewise`: the YAML files of a PipelineWise project."""

from __future__ import annotations

from pathlib import Path

import click

from dativo.cli import options
from dativo.cli.import_ import finish

_FOLDER = click.Path(path_type=Path)


@click.command(
    name="pipelinewise",
    help="""\b
  dativo import pipelinewise pipelinewise-config --dry-run
  dativo import pipelinewise pipelinewise-config --config-dir ~/.pipelinewise --into shop

Turn the tap_*.yml and target_*.yml of a folder into a dativo.yml: a plugin for each tap and target, a job for
each tap. States become bookmarks. Values of ansible-vault stay secrets, for you to decrypt.
""",
    epilog="docs/guides/moving-over.md",
)
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option(
    "--config-dir", type=_FOLDER, metavar="DIR", help="PipelineWise's own, with the states (~/.pipelinewise)."
)
@click.option("--into", type=_FOLDER, default=Path(), metavar="DIR", help="Where to write (this folder).")
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(*, folder: Path, config_dir: Path | None, into: Path, dry_run: bool) -> None:
    """Import."""
    from dativo.migrate.pipelinewise.project import checked_folder, draft

    states = config_dir if config_dir is None else checked_folder(config_dir.expanduser())
    made = draft(checked_folder(folder), states, into)
    finish(made, into, str(folder), dry_run=dry_run)
