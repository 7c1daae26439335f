"""Where the compiled part of Dativo is, the executable `dativo-bus`. The error lists every place that was looked at.

Imports nothing of Dativo but `errors` and `children`; anyone may import it. Runs are started by `dativo.bus` alone:
others ask questions that need no plan.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from dativo import children, errors

NAME = "dativo-bus"


def find_bus() -> Path:
    """The path of `dativo-bus`: DATIVO_BUS, beside this Python, the user scheme, the checkout's build."""
    tried: list[str] = []
    with children.SEARCH:
        places = list(_places())
    for place, path in places:
        if path.is_file() and os.access(path, os.X_OK):
            return path
        tried.append(f"{path}  ({place})")
        if place == "DATIVO_BUS":  # what was asked for by name is not replaced in silence
            break
    raise errors.EnvironmentFault("bus.missing", f"{NAME} was not found", details=tuple(tried))


def _places() -> Iterator[tuple[str, Path]]:
    asked = os.environ.get("DATIVO_BUS")
    if asked:
        yield "DATIVO_BUS", Path(asked)
    seen: set[Path] = set()
    for place, folder in (
        ("beside this Python", Path(sys.executable).parent),
        ("scripts of this environment", Path(sysconfig.get_path("scripts"))),
        ("scripts of the user", Path(sysconfig.get_path("scripts", f"{os.name}_user"))),
    ):
        if folder not in seen:
            seen.add(folder)
            yield place, folder / NAME
    native = Path(__file__).resolve().parent.parent / "native"
    if (native / "Cargo.toml").is_file():
        built = os.environ.get("CARGO_TARGET_DIR")
        folder = Path(built) if built else native / "target"
        yield "the checkout's release build", folder / "release" / NAME
        yield "the checkout's debug build", folder / "debug" / NAME
