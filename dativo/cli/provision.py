"""What a run in a Meltano project needs is installed and locked before it, as `meltano run` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dativo.cli import report

if TYPE_CHECKING:
    from dativo.config.meltano.project import MeltanoProject
    from dativo.config.project import Project


def provide(project: Project, names: Sequence[str]) -> None:
    """Install those of the plugins that dativo.lock does not hold as meltano.yml wants them."""
    from dativo.config.meltano.project import MeltanoProject
    from dativo.plugins import lockfile
    from dativo.plugins.sync import lacking

    assert isinstance(project, MeltanoProject)
    _warn(project)
    stale = lacking(project, lockfile.headers(project.lock_file), names)
    if not stale:
        return
    from dativo.cli.prober import prober
    from dativo.plugins.sync import bring

    report.note(f"installing {', '.join(stale)} …")
    with prober() as probe:
        bring(project, stale, probe=probe, say=report.note)
    for name in stale:
        for note in project.notes.get(name, ()):
            report.note(f"{name}: {note}")


def _warn(project: MeltanoProject) -> None:
    from dativo.config.meltano.unknown import unknown

    for line in unknown(project.files):
        report.warn(line)
