"""`dativo allow`: grant a plugin more than its manifest asks for, take that back, or approve what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.config.policy import inside

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.plugins.installed import Installed

LISTS = ("network", "read", "write", "unix", "env")


@click.command(
    name="allow",
    help="""\b
  dativo allow tap-postgres --network db2.internal:5432
  dativo allow target-csv --write ./out
  dativo allow target-csv --write '{config:output_path}'
  dativo allow tap-postgres --network db2.internal:5432 --revoke
  dativo allow tap-postgres --approve

Grant a plugin what it may read, write and reach beyond its manifest; dativo.yml keeps it. --approve agrees to what its
manifest asks for now, or to the upgrade that was stopped.
""",
)
@click.argument("plugin")
@click.option("--network", multiple=True, metavar="HOST:PORT", help="A host; *.DOMAIN:PORT; or any.")
@click.option("--read", multiple=True, metavar="PATH", help="A file or folder to read.")
@click.option("--write", multiple=True, metavar="PATH", help="A folder to change.")
@click.option("--unix", multiple=True, metavar="PATH", help="A socket, or a folder of sockets.")
@click.option("--pass-env", "env", multiple=True, metavar="NAME", help="Give it this variable (repeatable).")
@click.option("--profile", type=click.Choice(["standard", "strict"]), help="How strictly to confine it.")
@click.option("--approve", is_flag=True, help="Agree to what its manifest asks for.")
@click.option("--revoke", is_flag=True, help="Take these grants back; without any, all of them.")
@options.json_option
@options.verbosity_options
def command(*, plugin: str, profile: str | None, approve: bool, revoke: bool, **lists: tuple[str, ...]) -> None:
    """Grant, revoke, approve; then show what it may do."""
    from dativo.cli.inspect_ import grants_of, words
    from dativo.config.project import Project
    from dativo.plugins.installed import installed

    project = Project.find()
    found = installed(project, plugin)
    if not (approve or revoke or profile or any(lists.values())):
        raise errors.ConfigError("usage", "nothing to allow", hint=f"see dativo inspect {plugin} and --help")
    agreed = _approve(project, found) if approve else []
    before = dict(project.declared(plugin).get("sandbox") or {})
    after = changed(project, before, lists, profile, revoke=revoke)
    if after != before:
        keep(project, found, after, before)
    found = installed(project, plugin)
    grants = grants_of(project, found)
    report.result(
        {"plugin": plugin, "sandbox": after, "approved": agreed, "file": str(project.settings_file)},
        lambda: [*(f"  approved  {line}" for line in agreed), f"  {plugin}", *words(found, grants)],
    )


def _approve(project: Project, plugin: Installed) -> list[str]:
    from dativo.plugins import approval

    lines = approval.approve(project, plugin)
    if approval.waits(project, plugin.name):
        report.note("agreed: run the `dativo add` or `dativo sync` that was stopped again")
    elif not lines:
        report.note(f"{plugin.name} asks for nothing that was not approved")
    return lines


def changed(
    project: Project, before: dict[str, Any], lists: dict[str, tuple[str, ...]], profile: str | None, *, revoke: bool
) -> dict[str, Any]:
    """The plugin's `sandbox:` section as it is to be."""
    if revoke and not profile and not any(lists.values()):
        return {}
    after = dict(before)
    for key in LISTS:
        given = [entry(project, key, text) for text in lists[key]]
        held = before.get(key) or []
        if not given:
            continue
        words = [str(held)] if isinstance(held, str | bool) else list(held)
        if revoke:
            words = [word for word in words if word not in given]
        else:
            words = [word for word in dict.fromkeys([*words, *given]) if word not in ("none", "False")]
        after[key] = "any" if "any" in words or "True" in words else words
        if not words:
            del after[key]
    if profile and revoke:
        after.pop("profile", None)
    elif profile:
        after["profile"] = profile
    return after


def entry(project: Project, key: str, text: str) -> str:
    """An entry as dativo.yml keeps it: paths relative to the project, hosts checked, variables by name."""
    from pathlib import Path

    from dativo.plugins.permissions import TEMPLATE
    from dativo.run import inference

    if key in ("read", "write", "unix"):
        if TEMPLATE.search(text):
            return text
        path = str(Path(text).expanduser().absolute())
        here = str(project.root)
        return project.shown_path(Path(path)) if inside(path, here) else path
    if key == "network" and text != "any" and not TEMPLATE.search(text):
        whole = inference.address(text, 0)
        if whole is None:
            raise errors.ConfigError(
                "permissions.invalid", f"--network {text}: HOST:PORT is expected", hint="as in db.internal:5432 or any"
            )
        return whole
    if key == "env" and not text.isidentifier():
        raise errors.ConfigError("usage", f"--pass-env {text.partition('=')[0]}: only the variable's name is expected")
    return text


def keep(project: Project, plugin: Installed, after: dict[str, Any], before: dict[str, Any]) -> None:
    """Write dativo.yml, and take it back when what it says cannot be granted."""
    from dativo.cli.inspect_ import grants_of

    project.set_sandbox(plugin.name, after)
    try:
        grants_of(project, plugin)
    except errors.DativoError:
        project.set_sandbox(plugin.name, before)
        raise
