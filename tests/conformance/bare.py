"""The same pair without Dativo: `tap | target` in a shell, with the same settings and the same selection."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from dativo_protocol.catalog import apply_selection
from tests.conformance import found, pair
from tests.conformance.plugin import Tap, Target
from tests.conformance.world import World
from tests.workspace import Workspace

LONGEST = 300
"""Seconds."""


def tried(installed: Workspace, tap: Tap, target: Target, world: World, folder: Path) -> str:
    """`ok` when both programs exit 0 and every row has arrived, else why not."""
    folder.mkdir(parents=True)
    reading, destination = tap.setup(world, folder / "source"), target.setup(world, folder / "rows")
    settings, catalog, theirs = (folder / name for name in ("tap.json", "catalog.json", "target.json"))
    settings.write_text(json.dumps(reading.section["config"]), "utf-8")
    theirs.write_text(json.dumps(destination.section["config"]), "utf-8")
    program, other = (installed.executable(one.plugin.name) for one in (tap, target))
    known = subprocess.run(
        [program, "--config", settings, "--discover"], capture_output=True, check=True, timeout=LONGEST
    )
    chosen = apply_selection(json.loads(known.stdout), reading.section["select"], reading.section["metadata"])
    catalog.write_text(json.dumps(chosen), "utf-8")
    line = 'set -o pipefail; "$0" --config "$1" --catalog "$2" | "$3" --config "$4"'
    words = ["bash", "-c", line, program, settings, catalog, other, theirs]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False
    )
    if done.returncode != 0:
        said = [
            one for one in done.stderr.splitlines() if one.strip() and "BrokenPipe" not in one and "METRIC" not in one
        ]
        return pair.short(f"exit {done.returncode}: {said[-1] if said else ''}")
    return pair.missing(found.tables(reading.tables, destination.place), reading.tables) or "ok"
