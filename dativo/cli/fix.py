"""`dativo fix`: old spellings in dativo.yml and in job files, rewritten in place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.config.renewal import Renewal


@click.command(
    name="fix",
    help="""\b
  dativo fix --dry-run
  dativo fix
  dativo fix jobs/nightly.yml

Rewrite deprecated keys and values in dativo.yml and in the project's job files
(those beside it and in jobs/), or in the files named. Comments, order and
quotes stay. What is deprecated: docs/reference/deprecations.md.
""",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]…")
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(*, files: tuple[Path, ...], dry_run: bool) -> None:
    """Rewrite, or show the difference."""
    from dativo.config import renewal
    from dativo.config.project import FILE, Project

    if files:
        found = [(path, path.name != FILE) for path in files]
    else:
        project = Project.find()
        if not project.settings_file.is_file():
            raise errors.ConfigError(
                "project.missing", "there is no dativo.yml here", hint="name a file: dativo fix FILE"
            )
        found = [(project.settings_file, False)]
        found += [(path, True) for path in renewal.job_files(project.root)] if project.file else []
    # All are tried before any is written: a file that cannot be rewritten stops the command with nothing half done.
    done = [renewal.renew(path, job_file=job, write=False) for path, job in found]
    if not dry_run:
        done = [renewal.renew(one.path, job_file=job, write=True) for one, (_, job) in zip(done, found, strict=True)]
    changed = [one for one in done if one.changes]
    report.result(
        {"dry_run": dry_run, "read": [str(one.path) for one in done], "files": [_shown(one) for one in changed]},
        lambda: _lines(changed, dry_run=dry_run),
    )
    if not changed:
        report.note(f"nothing is deprecated in {', '.join(one.path.name for one in done)}")


def _shown(one: Renewal) -> dict[str, Any]:
    changes = [{"line": line, "old": old, "new": new} for line, old, new in one.changes]
    return {"file": str(one.path), "changes": changes, "diff": one.diff(one.path.name)}


def _lines(changed: list[Renewal], *, dry_run: bool) -> list[str]:
    if dry_run:
        return [report.clean(line) for one in changed for line in one.diff(one.path.name)]
    rows = [[f"{one.path.name}:{line}", old, "→", new] for one in changed for line, old, new in one.changes]
    return report.columns(rows) if rows else []
