"""A second name for an installed environment, in the cache: when the first is gone, it is installed again by links.

cache_dir()/envs/DIGEST holds hard links to the very files of data_dir()/envs, so it costs no space while both are
there, and nothing is shared between two plugins. Who takes it back reads every file first: what is linked is what was
installed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from dativo.config.paths import cache_dir
from dativo.plugins import seal, work
from dativo.plugins.lockfile import LockedPlugin

KEPT = 64
"""So many twins are kept, the latest used ones."""


def take(plugin: LockedPlugin, made: Path, listing: str, own: tuple[str, ...]) -> bool:
    """Make an environment of its twin. False where there is none, or none that is whole."""
    twin = _place(plugin)
    try:
        recorded = json.loads((twin / listing).read_bytes())
        if seal.differences(recorded, seal.hashes(twin, own)):
            seal.clear(twin)
            return False
        seal.clone(twin, made, frozenset(own) - {listing})
        os.utime(twin)
    except (OSError, ValueError, AttributeError):
        seal.clear(made)
        return False
    return True


def keep(plugin: LockedPlugin, made: Path, own: tuple[str, ...], listing: str) -> None:
    """Link a finished environment into the cache. It is a convenience: nothing is said where it cannot be done."""
    twin = _place(plugin)
    with suppress(OSError):
        if twin.exists():
            return
        with work.folder("twin", twin.parent) as aside:
            seal.clone(made, aside / "env", frozenset(own) - {listing})
            (aside / "env").rename(twin)
        _thin_out(twin.parent)


def _place(plugin: LockedPlugin) -> Path:
    return cache_dir() / "envs" / plugin.digest.partition(":")[2][:40]


def _thin_out(folder: Path) -> None:
    twins = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in sorted(twins, key=lambda one: one.stat().st_mtime, reverse=True)[KEPT:]:
        seal.clear(path)
