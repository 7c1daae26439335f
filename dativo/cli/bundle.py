"""`dativo bundle`: one file with all that is locked, for machines without a network."""

from __future__ import annotations

from pathlib import Path

import click

from dativo.cli import options, report


@click.command(
    name="bundle",
    help="""\b
  dativo bundle shop.bundle
  dativo sync --bundle shop.bundle      (there, without a network)

Put dativo.lock and every wheel that it names into one file. It fits machines of the same platform and Pythons.
""",
    epilog="docs/guides/installs.md",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.json_option
@options.verbosity_options
def command(file: Path) -> None:
    """Fetch and pack."""
    from dativo.cli.add import counted
    from dativo.cli.prober import prober
    from dativo.config.project import Project
    from dativo.plugins.bundle import make

    with prober() as probe:
        head = make(Project.find(), file, probe=probe, say=report.note)
    size = file.stat().st_size
    report.result(
        {
            "file": str(file),
            "bytes": size,
            "platform": head["platform"],
            "plugins": {name: one["digest"] for name, one in head["plugins"].items()},
            "wheels": len(head["wheels"]),
        },
        [
            f"  {counted(len(head['plugins']))}, {len(head['wheels'])} wheels in {file} · {size / 1e6:,.1f} MB · "
            f"for {head['platform']}"
        ],
    )
