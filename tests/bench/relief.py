"""An unmodified target that checks records itself, in a bare pipe and under `dativo run`, which does that for it.

    python -m tests.bench.relief [--rows N] [--rounds N]

CPU seconds of all processes that the command started (the database is not one of them), A B A B, each with few rows and
with so many more: what a row costs is the difference, in which no start counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.parallel import spent
from tests.bench.workload import BLOCK_ROWS, write_singer_file
from tests.servers import postgres
from tests.workspace import unique

LIMIT = 1 / 2.3
_ID = re.compile(r'"id":(\d+)')
TARGET = "meltanolabs-target-postgres==0.8.1"


def write(file: Path, blocks: int) -> None:
    """So many blocks of rows, each with ids of its own."""
    one = file.with_suffix(".one")
    write_singer_file(one, 1)
    schema, *rows, _state = one.read_text("utf-8").splitlines(keepends=True)
    with file.open("w", encoding="utf-8") as out:
        out.write(schema)
        for block in range(blocks):
            out.writelines(
                _ID.sub(lambda found, at=block: f'"id":{int(found[1]) + at * BLOCK_ROWS}', line, 1) for line in rows
            )
            value = {"bookmarks": {"public-orders": {"rows": (block + 1) * BLOCK_ROWS}}}
            out.write(json.dumps({"type": "STATE", "value": value}) + "\n")


class Bench:
    """A project with the target and a tap that prints a file."""

    def __init__(self, folder: Path, server: postgres.Postgres) -> None:
        self.folder, self.server = folder, server
        self.few, self.many = folder / "few.singer.jsonl", folder / "many.singer.jsonl"
        self.file = folder / "orders.singer.jsonl"
        self.dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
        env = {**os.environ, "DATIVO_HOME": str(folder.parent / "home")}
        self.run = {"env": env, "cwd": folder, "check": True, "capture_output": True}
        self.tap = folder / "tap-orders"
        self.tap.write_text(f'#!/bin/sh\ncase "$*" in *--about*|*--help*) exit 2;; esac\nexec cat {self.file}\n')
        self.tap.chmod(0o755)
        (folder / "dativo.yml").write_text("{}")
        subprocess.run([self.dativo, "add", str(self.tap), TARGET], **self.run)
        listed = json.loads(subprocess.run([self.dativo, "list", "--json"], **self.run).stdout)
        self.program = next(one["executable"] for one in listed if one["name"] == "target-postgres")

    def config(self) -> dict[str, object]:
        """The target's settings, with a database of its own."""
        database = self.server.create_database(unique("relief").replace("-", "_"))
        reach = {"host": self.server.host, "port": self.server.port, "user": self.server.user}
        return {**reach, "password": self.server.password, "database": database, "default_target_schema": "public"}

    def bare(self, config: dict[str, object]) -> None:
        """As anybody would."""
        (self.folder / "config.json").write_text(json.dumps(config))
        subprocess.run(["/bin/sh", "-c", f"{self.tap} | {self.program} --config config.json"], **self.run)

    def under(self, config: dict[str, object]) -> None:
        """With Dativo."""
        tap = {"sandbox": {"read": [str(self.file)]}}
        project = {"plugins": {"tap-orders": tap, "target-postgres": {"config": config}}}
        (self.folder / "dativo.yml").write_text(json.dumps(project))
        words = ["run", "tap-orders", "target-postgres", "--job", unique("relief"), "--json"]
        summary = json.loads(subprocess.run([self.dativo, *words], **self.run).stdout)
        assert summary["relieved"] == ["target-postgres.validate_records"], summary

    def cost(self, how: Callable[[dict[str, object]], None], rows: int) -> float:
        """CPU seconds of `rows` rows."""
        found = []
        for part, wanted in ((self.few, BLOCK_ROWS), (self.many, BLOCK_ROWS + rows)):
            self.file.unlink(missing_ok=True)
            self.file.hardlink_to(part)
            config = self.config()
            before = spent()
            how(config)
            found.append(spent() - before)
            there = int(self.server.sql("select count(*) from orders", database=str(config["database"])))
            assert there == wanted, f"{there:,} rows, not {wanted:,}"
        return found[1] - found[0]


def figures(scratch: Path, rounds: int, rows: int = 50_000) -> list[dict[str, object]]:
    """CPU time under `dativo run` to that in a bare pipe."""
    folder = scratch / "relief"
    folder.mkdir()
    with postgres.cluster() as server:
        bench = Bench(folder, server)
        write(bench.few, 1)
        write(bench.many, 1 + rows // BLOCK_ROWS)
        costs = [(bench.cost(bench.under, rows), bench.cost(bench.bare, rows)) for _ in range(rounds)]
    ratios = [a / b for a, b in costs]
    million = [statistics.median(one) / rows * 1e6 for one in zip(*costs, strict=True)]
    middle = statistics.median(ratios)
    return [
        {
            "name": "target-postgres under dativo run, to a bare pipe",
            "unit": "x",
            "median": middle,
            "min": min(ratios),
            "max": max(ratios),
            "limit": LIMIT,
            "within": middle <= LIMIT,
            "note": f"{million[0]:.0f} to {million[1]:.0f} CPU s per million rows, from {rows:,}",
        }
    ]


def main() -> int:
    """Measure, print, and exit 1 when the figure is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.relief", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dativo-bench-") as name:
        [figure] = figures(Path(name), args.rounds, args.rows)
    print(json.dumps(figure, indent=2))
    return 0 if figure["within"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
