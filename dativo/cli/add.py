"""`dativo add`: install plugins and pin them in dativo.lock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from dativo import errors
from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.plugins.approval import Change


@click.command(
    name="add",
    help="""\b
  dativo add tap-csv target-duckdb
  dativo add tap-github --variant meltanolabs
  dativo add tap-postgres --engine singer
  dativo add meltanolabs-tap-postgres==0.10.0
  dativo add ./my-tap
  dativo add git+https://host/team/tap-shop.git@v1.2
  dativo add /opt/taps/tap_shop.py --as tap-shop

Install plugins, each into an environment of its own, and pin every package with its hashes in dativo.lock.
What has no wheel is built in the sandbox.
""",
    epilog="docs/guides/installs.md",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--as", "as_name", metavar="NAME", help="Name to give it here (one plugin at a time).")
@click.option("--kind", metavar="KIND", help="tap, target or mapper, when the name does not tell.")
@click.option("--variant", metavar="NAME", help="Whose plugin, when several share the name.")
@click.option("--engine", metavar="ENGINE", help="native, singer or airbyte, when there are several.")
@click.option("--registry", metavar="NAME", help="Look names up in this registry only.")
@click.option("--python", metavar="VERSION", help="Python to install it with.")
@click.option(
    "--with", "with_", metavar="REQ", multiple=True, help="Extra requirement, as 'setuptools<80' (repeatable)."
)
@click.option("--executable", metavar="NAME", help="Its command, when the package has several.")
@options.trust_build_option
@options.approve_option
@options.offline_option
@options.json_option
@options.verbosity_options
def command(
    *,
    names: tuple[str, ...],
    as_name: str | None,
    kind: str | None,
    variant: str | None,
    engine: str | None,
    registry: str | None,
    python: str | None,
    with_: tuple[str, ...],
    executable: str | None,
    trust_build: bool,
    approve: bool,
    offline: bool,
) -> None:
    """Install and lock."""
    from dativo.cli.prober import prober
    from dativo.config.project import Project
    from dativo.plugins.install import add
    from dativo.plugins.registry.index import everything
    from dativo.plugins.requirement import Request

    if len(names) > 1 and (as_name or executable):
        raise errors.ConfigError("usage", "--as and --executable are for one plugin", hint="add them one by one")
    _check_requirements(with_)
    project = Project.find()
    begun = time.monotonic()
    requests = [
        Request(
            name,
            as_name=as_name,
            kind=kind,
            variant=variant,
            engine=engine,
            python=python,
            with_=tuple(with_),
            executable=executable,
        )
        for name in names
    ]
    if report.OUTPUT.verbosity >= 0 and not report.OUTPUT.json:
        report.note(f"installing {', '.join(names)} …")
    index = everything().only(registry) if registry else everything()
    with prober() as probe:
        changes = add(
            project,
            requests,
            probe=probe,
            offline=offline,
            say=report.note,
            approve=approve,
            trusting=trust_build,
            index=index,
        )
    seconds = time.monotonic() - begun
    report.result(
        {
            "plugins": [shown(change) for change in changes],
            "lock": str(project.lock_file),
            "seconds": round(seconds, 3),
        },
        lambda: [
            *report.columns([_row(change) for change in changes]),
            f"  {counted(len(changes))} installed in {seconds:.1f} s · locked in {lock_name(project)}",
        ],
    )


def shown(change: Change) -> dict[str, object]:
    """A plugin for --json."""
    plugin = change.plugin
    return {
        **plugin.shown(),
        "with": list(plugin.with_),
        "python": plugin.python,
        "executable": plugin.executable,
        "permissions": plugin.sandbox,
        "packages": len(plugin.packages),
        "fresh": change.fresh,
    }


def counted(number: int) -> str:
    """`1 plugin`, `2 plugins`."""
    return f"{number} plugin{'' if number == 1 else 's'}"


def lock_name(project: Project) -> str:
    """The lock file as a user would write it."""
    return project.lock_file.name if project.file else str(project.lock_file)


def _row(change: Change) -> list[str]:
    from dativo.plugins import approval

    plugin = change.plugin
    return [
        f"{plugin.name} {plugin.version}",
        plugin.kind,
        plugin.engine,
        plugin.variant or plugin.source,
        *approval.approved(plugin).words(),
    ]


def _check_requirements(given: tuple[str, ...]) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for text in given:
        try:
            bad = Requirement(text).url is not None
        except InvalidRequirement:
            bad = True
        if bad:
            raise errors.ConfigError("usage", f"--with {text!r} is no requirement", hint="as in --with 'setuptools<80'")
