"""`--parallel 2` against one tap: four equal streams of a tap whose rows cost processor time, into a file.

The rows and the bookmark at the end must be what the run with one tap leaves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench import ours
from tests.bench.arena import Arena
from tests.bench.contest import Contest, Wanted
from tests.bench.ours import End
from tests.bench.trees import Failed

STREAMS = 4
BURN = 50_000
"""Turns of a loop for each row, over half a millisecond: with less, it is the one target that has no processor left."""
SPEED = 1.7


def contest(arena: Arena) -> Contest:
    """Two taps to one."""
    rows = max(20, arena.few // (6 * STREAMS))
    tap = End("tap-busy", "tests/fixtures/tap-busy", {"rows": rows, "every": rows // 5, "burn": BURN})
    states: list[Any] = []

    def arrived(file: Path) -> int:
        kept = json.loads(file.read_text("utf-8"))
        states.extend(kept["bookmarks"].values())
        if any(one != states[0] for one in states):
            raise Failed("the bookmark at the end is not that of the other runs")
        return len(kept["rows"])

    sides = []
    for taps in (2, 1):
        folder = arena.out(f"parallel-{taps}")
        file = folder / "ledger.json"
        target = End("target-ledger", "tests/fixtures/target-ledger", {"path": str(file)})
        sides.append(
            ours.run(
                arena,
                rows * STREAMS,
                tap,
                target,
                ["--parallel", str(taps)],
                prepare=arena.emptied(folder),
                count=lambda file=file: arrived(file),
            )
        )
    two, one = sides
    return Contest(f"{STREAMS} streams of a busy tap, two taps at once", two, [one], (Wanted(one.name, SPEED),))
