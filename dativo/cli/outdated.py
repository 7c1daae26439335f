"""`dativo outdated`: plugins that would be another version if they were installed today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.plugins.upgrade import Newer


@click.command(
    name="outdated",
    help="""\b
  dativo outdated

Resolve every plugin that comes from a package index again and show what `dativo upgrade` would change. Nothing is
installed.
""",
    epilog="docs/guides/installs.md",
)
@options.json_option
@options.verbosity_options
def command() -> None:
    """Compare the lock with the index."""
    from dativo.cli.prober import prober
    from dativo.config.project import Project
    from dativo.plugins.upgrade import outdated

    with prober() as probe:
        found = outdated(Project.find(), probe=probe, say=report.note)
    report.result(
        [
            {
                "name": one.plugin.name,
                "version": one.plugin.version,
                "newer": one.version if one.version != one.plugin.version else None,
                "latest": one.latest,
                "requirement": one.plugin.requirement,
                "packages": [{"name": name, "from": old, "to": new} for name, old, new in one.packages],
            }
            for one in found
        ],
        lambda: (
            [line for one in found if (line := _line(one))] or [f"  {len(found)} plugins from the index are up to date"]
        ),
    )


def _line(one: Newer) -> str | None:
    plugin = one.plugin
    held = f" · {one.latest} is on the index, held back by {plugin.requirement}" if _held(one) else ""
    if not one.differs:
        return f"  {plugin.name} {plugin.version}{held}" if held else None
    others = len([name for name, *_ in one.packages if name != plugin.distribution])
    to = f" → {one.version}" if one.version != plugin.version else ""
    more = f" · {others} other package{'' if others == 1 else 's'}" if others else ""
    return f"  {plugin.name} {plugin.version}{to}{more}{held}"


def _held(one: Newer) -> bool:
    from packaging.version import Version

    return one.latest is not None and Version(one.latest) > Version(one.version)
