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

Show the plugins of the project: those that dativo.lock pins, and those that only its file names yet.
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
    rows += [_declared(project, name) for name in sorted({*project.plugins()} - {*locked})]
    report.result(rows, lambda: _lines(rows))


def _declared(project: Project, name: str) -> dict[str, Any]:
    """A plugin of the project's file that dativo.lock does not have yet."""
    from dativo import errors

    row: dict[str, Any] = {"name": name, "version": None, "kind": None, "engine": None, "variant": None}
    row |= {"source": None, "state": "not installed", "executable": None}
    try:
        said = project.declared(name)
    except errors.ConfigError as problem:
        return {**row, "state": "broken", "problem": problem.message}
    return {**row, "kind": said.get("kind"), "source": said.get("source"), "variant": said.get("variant")}


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
                row["version"] or "-",
                row["kind"] or "-",
                row["engine"] or "-",
                row["variant"] or row["source"] or "-",
                _state(row),
            ]
            for row in rows
        ]
    )


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "ready":
        return ""
    if row["state"] == "broken":
        return report.clean(row["problem"])
    return "changed since it was locked" if row["source"] == "script" else f"{row['state']}: dativo sync"
