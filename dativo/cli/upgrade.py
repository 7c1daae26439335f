"""`dativo upgrade`: newer versions, after what they change has been shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.plugins.upgrade import Upgrade

SHOWN = 12
"""Packages that are named; the rest is counted."""


@click.command(
    name="upgrade",
    help="""\b
  dativo upgrade                 (all plugins)
  dativo upgrade tap-github
  dativo upgrade --dry-run

Install what is newest for each plugin's requirement, and lock it. The differences in settings and permissions are shown
first; a plugin that asks for more than was approved stops all, until --approve.
""",
    epilog="docs/guides/installs.md",
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@options.approve_option
@options.dry_run_option
@options.json_option
@options.verbosity_options
def command(*, names: tuple[str, ...], approve: bool, dry_run: bool) -> None:
    """Resolve, show, install, lock."""
    from dativo.cli.add import lock_name
    from dativo.cli.prober import prober
    from dativo.config.project import Project
    from dativo.plugins.upgrade import looked_at, upgrade

    project = Project.find()
    shown = report.OUTPUT.json or dry_run

    def show(found: list[Upgrade]) -> None:
        for line in [] if shown else _lines(found):
            print(line, flush=True)

    with prober() as probe:
        if dry_run:
            found = looked_at(project, names, probe=probe, say=report.note)
        else:
            found = upgrade(project, names, probe=probe, say=report.note, approve=approve, shown=show)
    changed = [one for one in found if one.differs]
    report.result(
        {
            "upgrades": [_data(one) for one in changed],
            "unchanged": [one.before.name for one in found if not one.differs],
        },
        lambda: [
            *(_lines(found) if dry_run else ()),
            f"  {len(changed)} of {len(found)} plugins {'would change' if dry_run else 'changed'}"
            + ("" if dry_run or not changed else f" · locked in {lock_name(project)}"),
        ],
    )


def _lines(found: list[Upgrade]) -> list[str]:
    lines = []
    for one in found:
        if not one.differs:
            continue
        to = f" → {one.after.version}" if one.after.version != one.before.version else " with other packages"
        lines.append(f"  {one.before.name} {one.before.version}{to}")
        others = [part for part in one.packages if part[0] != one.after.distribution]
        lines += [f"    package     {name} {old or '(new)'} → {new or '(gone)'}" for name, old, new in others[:SHOWN]]
        lines += [f"    package     and {len(others) - SHOWN} more"] if len(others) > SHOWN else []
        for word, some in (
            ("setting", one.settings), ("capability", one.capabilities), ("permission", one.permissions),
        ):  # fmt: skip
            lines += [f"    {word:<11} {line}" for line in some]
        if not (one.settings or one.permissions):
            lines.append("    settings and permissions are the same")
    return lines


def _data(one: Upgrade) -> dict[str, object]:
    return {
        "name": one.before.name,
        "from": one.before.version,
        "to": one.after.version,
        "digest": one.after.digest,
        "packages": [{"name": name, "from": old, "to": new} for name, old, new in one.packages],
        "settings": list(one.settings),
        "capabilities": list(one.capabilities),
        "permissions": list(one.permissions),
    }
