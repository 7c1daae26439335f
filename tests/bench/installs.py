"""What installs cost: ten plugins of PyPI from a warm cache, and the look at an installed plugin before it starts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from dativo.config.project import Project
from dativo.plugins import environment, lockfile, seal
from tests.bench.figures import Figure
from tests.workspace import Workspace

PLUGINS = (
    "target-jsonl",
    "meltanolabs-tap-postgres",
    "meltanolabs-target-csv",
    "pipelinewise-target-postgres",
    "meltano-map-transform",
    "tap-dbt",
    "tap-csv-folder",
    "tap-rest-api-msdk",
    "pipelinewise-tap-mysql",
    "pipelinewise-transform-field",
)
INSTALL_SECONDS = 3.0
LOOK_MILLISECONDS = 20.0


def figures(scratch: Path, rounds: int) -> list[Figure]:
    """Both, on the same ten plugins."""
    workspace = Workspace(scratch / "installs", scratch / "installs-home")
    workspace.dativo("add", *PLUGINS).expect()
    project = Project.find(workspace.folder)
    plugins = list(lockfile.read(project.lock_file).plugins.values())
    folders = [workspace.home / "data" / "envs" / plugin.environment for plugin in plugins]
    files = [sum(1 for one in folder.rglob("*") if one.is_file()) for folder in folders]
    looks = [_milliseconds(lambda folder=folder: seal.fingerprint(folder, environment.OWN)) for folder in folders]
    note = f"{min(files):,} to {max(files):,} files each"
    seconds = []
    for _ in range(rounds):
        for folder in folders:
            seal.clear(folder)
        begun = time.monotonic()
        workspace.dativo("sync", "--frozen").expect()
        seconds.append(time.monotonic() - begun)
    return [
        Figure.of("ten plugins installed from a warm cache", "s", seconds, INSTALL_SECONDS),
        Figure.of("the look at an installed plugin before it starts", "ms", looks, LOOK_MILLISECONDS, note=note),
    ]


def _milliseconds(look: Callable[[], object]) -> float:
    """The median of ten."""
    found = []
    for _ in range(10):
        begun = time.perf_counter()
        look()
        found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(found)
