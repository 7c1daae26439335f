"""`dativo import shell`: a script of `tap | target` lines."""

from __future__ import annotations

from pathlib import Path

import click

from dativo.cli import options
from dativo.cli.import_ import finish

_PATH = click.Path(path_type=Path)


@click.command(
    name="shell",
    help="""\b
  dativo import shell sync.sh --dry-run
  dativo import shell cron/sync.sh --cwd /srv/sync --into shop

Turn a script of `tap | target > state` lines into a dativo.yml: settings from its config files, selection from its
catalogs, bookmarks from its state files. Nothing of the script is run; what is not understood is in the report.
""",
    epilog="docs/guides/moving-over.md",
)
@click.argument("script", type=_PATH, metavar="SCRIPT")
@click.option("--cwd", "folder", type=_PATH, metavar="DIR", help="Where the script is started (its own folder).")
@click.option("--into", type=_PATH, default=Path(), metavar="DIR", help="Where to write (this folder).")
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(*, script: Path, folder: Path | None, into: Path, dry_run: bool) -> None:
    """Import."""
    from dativo.migrate.shell.project import draft

    finish(draft(script, folder, into), into, str(script), dry_run=dry_run)
