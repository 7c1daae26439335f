"""Instructions per row of the hot loops, counted by callgrind: a regression shows without a clock.

    python -m tests.bench.instructions            # count and compare with instructions.json
    python -m tests.bench.instructions --write    # count and replace it

Each loop runs over a fixed input and over the same input twice: the difference is what the rows take, whatever starting
costs. The counts belong to a compiler, which the file names; another compiler's are compared as ratios to a reference
loop (a hash over the same bytes) of the same build.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.tables import ORDERS, write
from tests.workspace import ROOT

COMMITTED = Path(__file__).with_name("instructions.json")
TOLERANCE = 1.03
OTHER_COMPILER = 1.15
"""Between compilers the ratios move a little too."""
ROWS = 1000
REFERENCE = "reference"
LOOPS = (REFERENCE, "relay", "validate", "to-columns", "from-columns")
"""Of native/bus/examples/hot_loop.rs."""


@dataclass(frozen=True)
class Counts:
    """Per row, of each loop."""

    rustc: str
    per_row: dict[str, float]

    def regressions(self, committed: Counts) -> dict[str, str]:
        """The loops that take more than they did, and how much more."""
        same = self.rustc == committed.rustc
        allowed = TOLERANCE if same else OTHER_COMPILER
        scale = 1.0 if same else committed.per_row[REFERENCE] / self.per_row[REFERENCE]
        ratios = {name: self.per_row[name] * scale / number for name, number in committed.per_row.items()}
        return {name: f"{ratio:.3f} of what is committed" for name, ratio in ratios.items() if ratio > allowed}

    @classmethod
    def read(cls) -> Counts:
        """What is committed."""
        found = json.loads(COMMITTED.read_text("utf-8"))
        return cls(found["rustc"], found["per_row"])

    def save(self) -> None:
        """Into the committed file."""
        told = {"rustc": self.rustc, "rows": ROWS, "per_row": {name: round(n) for name, n in self.per_row.items()}}
        COMMITTED.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def rustc() -> str:
    """The compiler's version."""
    return subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def built() -> Path:
    """The folder of the release programs, built if they are not: as .ci/run builds, without link-time optimisation."""
    environment = {**os.environ, "CARGO_PROFILE_RELEASE_LTO": "off"}
    command = ["cargo", "build", "--quiet", "--release", "--manifest-path", ROOT / "native" / "Cargo.toml"]
    subprocess.run([*command, "-p", "dativo-bus-engine", "--example", "hot_loop"], env=environment, check=True)
    subprocess.run([*command, "-p", "tap-csv", "-p", "target-jsonl"], env=environment, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "native" / "target") / "release"


def counted(command: list[str | Path], folder: Path, stdin: Path | None = None) -> int:
    """Instructions of one run, in all its threads."""
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind'}"]
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    with (stdin or Path(os.devnull)).open("rb") as given:
        done = subprocess.run(
            [*valgrind, *command], stdin=given, capture_output=True, text=True, env=env, cwd=folder, check=False
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return int(found[1])


def measure() -> Counts:
    """All loops."""
    release = built()
    with tempfile.TemporaryDirectory(prefix="dativo-instructions-") as name:
        folder = Path(name)
        once, twice = (_input(folder / str(times), times * ROWS) for times in (1, 2))
        per_row: dict[str, float] = {}
        for loop in LOOPS:
            program = [release / "examples" / "hot_loop", loop, once / "orders.singer.jsonl"]
            per_row[loop] = _per_row(lambda times, program=program: counted([*program, str(times)], folder))
        per_row["tap-csv"] = _per_row(
            lambda times: counted(
                [release / "tap-csv", "--config", (once, twice)[times - 1] / "tap-csv.json"],
                folder,
            )
        )
        per_row["target-jsonl"] = _per_row(
            lambda times: counted(
                [release / "target-jsonl", "--config", (once, twice)[times - 1] / "target-jsonl.json"],
                folder,
                (once, twice)[times - 1] / "orders.singer.jsonl",
            )
        )
    return Counts(rustc(), per_row)


def _per_row(count: Callable[[int], int]) -> float:
    return (count(2) - count(1)) / ROWS


def _input(folder: Path, rows: int) -> Path:
    """The rows as both kinds of file, and settings for the plugins that read them."""
    folder.mkdir()
    write(ORDERS, rows, folder / "orders.csv", folder / "orders.singer.jsonl")
    (folder / "tap-csv.json").write_text(json.dumps({"files": [str(folder / "orders.csv")]}), "utf-8")
    (folder / "target-jsonl.json").write_text(json.dumps({"path": str(folder / "out")}), "utf-8")
    return folder


def main() -> int:
    """The command line of the module docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    counts = measure()
    for name, number in counts.per_row.items():
        sys.stdout.write(f"{name:<14} {number:>10,.0f} instructions per row\n")
    if asked.write:
        counts.save()
        return 0
    worse = counts.regressions(Counts.read())
    for name, much in worse.items():
        sys.stdout.write(f"{name}: {much}\n")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
