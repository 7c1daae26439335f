"""`dativo list`: the plugins of this project, and which of them need `dativo sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.plugins.lockfile import LockedPlugin


@click.command(
    name="list",
    help="""\b
  dativo list
  dativo list --json

Show the plugins that dativo.lock pins here.
""",
)
@options.json_option
@options.verbosity_options
def command() -> None:
    """Print the table."""
    from dativo.config.project import Project
    from dativo.plugins import lockfile

    project = Project.find()
    locked = lockfile.headers(project.lock_file).plugins
    rows = [_row(project, plugin) for _, plugin in sorted(locked.items())]
    report.result(rows, lambda: _lines(rows))


def _row(project: Project, plugin: LockedPlugin) -> dict[str, Any]:
    from dativo import errors
    from dativo.plugins.installed import installed

    state, path = "ready", None
    try:
        path = str(installed(project, plugin.name).executable)
    except errors.EnvironmentFault as problem:
        state = "not installed" if problem.code == "plugin.not_installed" else "changed"
    return {
        **plugin.shown(),
        "state": state,
        "executable": path,
    }


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["  no plugins yet · dativo add tap-csv target-duckdb"]
    return report.columns(
        [
            [
                row["name"],
                row["version"],
                row["kind"],
                row["engine"],
                row["variant"] or row["source"],
                _state(row),
            ]
            for row in rows
        ]
    )


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "ready":
        return ""
    return "changed since it was locked" if row["source"] == "script" else f"{row['state']}: dativo sync"
