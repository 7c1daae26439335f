"""`dativo sync`: install exactly what dativo.lock says."""

from __future__ import annotations

import time
from pathlib import Path

import click

from dativo.cli import options, report


@click.command(
    name="sync",
    help="""\b
  dativo sync
  dativo sync --frozen                (in CI: refuse any difference)
  dativo sync --bundle shop.bundle    (without a network)

Install what dativo.lock says. Without --frozen, dativo.yml is followed first and the lock is brought up to date.
""",
    epilog="docs/guides/installs.md",
)
@click.option("--frozen", is_flag=True, help="Refuse when dativo.yml, dativo.lock and the installed files differ.")
@click.option("--verify", is_flag=True, help="Read every installed file, whatever its times say.")
@click.option(
    "--bundle",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take lock and packages from what `dativo bundle` made.",
)
@options.trust_build_option
@options.approve_option
@options.offline_option
@options.json_option
@options.verbosity_options
def command(
    *, frozen: bool, verify: bool, bundle: Path | None, trust_build: bool, approve: bool, offline: bool
) -> None:
    """Make installed and locked the same."""
    from dativo.cli.add import counted, lock_name, shown
    from dativo.cli.prober import prober
    from dativo.config.project import Project
    from dativo.plugins.bundle import install
    from dativo.plugins.sync import sync

    project = Project.find()
    begun = time.monotonic()
    with prober() as probe:
        if bundle is not None:
            changes = install(project, bundle, probe=probe, say=report.note, approve=approve)
        else:
            changes = sync(
                project, probe=probe, frozen=frozen, offline=offline, say=report.note, approve=approve,
                trusting=trust_build, verify=verify,
            )  # fmt: skip
    fresh = [change.plugin.name for change in changes if change.fresh]
    seconds = time.monotonic() - begun
    what = f"installed {', '.join(fresh)}" if fresh else "nothing to install"
    report.result(
        {"plugins": [shown(change) for change in changes], "installed": fresh, "seconds": round(seconds, 3)},
        [f"  {counted(len(changes))} match {lock_name(project)} · {what} · {seconds:.1f} s"],
    )
