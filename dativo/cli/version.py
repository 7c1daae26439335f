"""`dativo version`: the versions of all the parts, for bug reports."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Callable
from importlib import metadata

import click

from dativo import __version__, errors
from dativo.cli import options, report


@click.command(
    name="version",
    help="""\b
  dativo version
  dativo version --json

Print the versions of Dativo's parts. `dativo --version` prints the first line only.
""",
)
@options.json_option
def command() -> None:
    """Print all versions."""
    parts = {
        "dativo": __version__,
        "dativo-protocol": metadata.version("dativo-protocol"),
        "dativo-bus": _or_none(_bus),
        "python": platform.python_version(),
        "uv": _or_none(uv_version),
        "sqlite": sqlite3.sqlite_version,
        "click": metadata.version("click"),
        "platform": f"{sys.platform} {platform.release()} {platform.machine()}",
    }
    report.result(parts, lambda: report.columns([(name, found or "not found") for name, found in parts.items()]))


def _or_none(find: Callable[[], str]) -> str | None:
    try:
        return find()
    except errors.DativoError:
        return None


def _bus() -> str:
    from dativo.bus.about import bus_version
    from dativo.native import find_bus

    return bus_version(find_bus())


def uv_version() -> str:
    """What `uv --version` says, without the name."""
    from dativo.plugins import uv

    words = uv.run(["--version"], what="uv --version").split()
    return words[1] if len(words) > 1 else "unknown"
