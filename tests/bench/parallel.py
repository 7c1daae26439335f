"""`--parallel 2` against one tap: four equal streams of a tap whose rows cost CPU time, into files.

    python -m tests.bench.parallel [--rows N] [--rounds N]

Wall time needs two cores that nobody else uses; the CPU time of both is printed as well, and tells what dividing costs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Pair
from tests.workspace import ROOT, unique

LIMIT = 1 / 1.7
STREAMS = 4
BURN = 10_000
"""Turns of a loop for each row: what a slow API or a row built in Python costs."""


def spent() -> float:
    """CPU seconds of every process that has ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def figures(scratch: Path, rounds: int, rows: int = 20_000) -> list[dict[str, object]]:
    """Two taps to one."""
    folder = scratch / "parallel"
    folder.mkdir()
    dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
    env = {**os.environ, "DATIVO_HOME": str(scratch / "home")}
    (folder / "dativo.yml").write_text("{}")
    run = {"env": env, "cwd": folder, "check": True, "capture_output": True}
    fixtures = ROOT / "tests/fixtures"
    subprocess.run([dativo, "add", str(fixtures / "tap-busy"), str(fixtures / "target-ledger")], **run)
    config = {"rows": rows, "every": max(rows // 20, 1), "burn": BURN}
    states, cpu = [], {1: [0.0], 2: [0.0]}

    def job(taps: int) -> None:
        name, before = unique("parallel"), spent()
        sets = [f"tap-busy.{key}={value}" for key, value in config.items()] + [f"target-ledger.path={name}.json"]
        words = [word for one in sets for word in ("--set", one)]
        subprocess.run(
            [dativo, "run", "tap-busy", "target-ledger", "--job", name, "--parallel", str(taps), *words], **run
        )
        cpu[taps].append(spent() - before)
        kept = json.loads((folder / f"{name}.json").read_text())
        assert len(kept["rows"]) == rows * STREAMS
        states.append(kept["bookmarks"][name])

    pair = Pair("--parallel 2, to one tap", LIMIT).run(lambda: job(2), lambda: job(1), rounds)
    assert all(one == states[0] for one in states), "the final states differ"
    used = {taps: statistics.median(seconds[2:]) for taps, seconds in cpu.items()}
    pair.note = f"CPU seconds {used[2]:.1f} to {used[1]:.1f}; {1 / statistics.median(pair.figures):.2f} times as fast"
    return [pair.as_dict()]


def main() -> int:
    """Measure, print, and exit 1 when the figure is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.parallel", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dativo-bench-") as name:
        [figure] = figures(Path(name), args.rounds, args.rows)
    print(json.dumps(figure, indent=2))
    return 0 if figure["within"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
