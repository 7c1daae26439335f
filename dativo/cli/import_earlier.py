"""`dativo import earlier`: a folder of the earlier Dativo."""

from __future__ import annotations

from pathlib import Path

import click

from dativo.cli import options
from dativo.cli.import_ import finish

_FOLDER = click.Path(path_type=Path)


@click.command(
    name="earlier",
    help="""\b
  dativo import earlier dativo-ingest --dry-run
  dativo import earlier dativo-ingest --state-dir /var/state --into shop

Turn a folder of the earlier Dativo (jobs with tenant_id, connector recipes, data contracts as assets) into a
dativo.yml. A custom_reader or custom_writer, in Python or a shared library, becomes a plugin below plugins/ that
runs as a process of its own; `dativo sync` installs it.
""",
    epilog="docs/guides/moving-over.md",
)
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option("--state-dir", type=_FOLDER, metavar="DIR", help="Where its states are (DIR/.local/state).")
@click.option("--into", type=_FOLDER, default=Path(), metavar="DIR", help="Where to write (this folder).")
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(*, folder: Path, state_dir: Path | None, into: Path, dry_run: bool) -> None:
    """Import."""
    from dativo.migrate.earlier.project import draft

    finish(draft(folder, into, state_dir), into, str(folder), dry_run=dry_run)
