"""An unmodified target that checks records itself, in a bare pipe and under `dativo run`, which does that for it.

    python -m tests.bench.relief [--rows N] [--rounds N]

CPU seconds of all processes that the command started (the database is not one of them), A B A B.
"""

from __future__ import annotations

import argparse
import json
import os
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
TARGET = "meltanolabs-target-postgres==0.8.1"


def cost(run: Callable[[], object]) -> float:
    """CPU seconds of what it starts."""
    before = spent()
    run()
    return spent() - before


def figures(scratch: Path, rounds: int, rows: int = 50_000) -> list[dict[str, object]]:
    """CPU time under `dativo run` to that in a bare pipe."""
    folder = scratch / "relief"
    folder.mkdir()
    file = folder / "orders.singer.jsonl"
    write_singer_file(file, 1)
    size = file.stat().st_size
    write_singer_file(file, int(size * (rows / BLOCK_ROWS - 0.5) / 1e6))  # whole blocks of rows
    tap = folder / "tap-orders"
    tap.write_text(f'#!/bin/sh\ncase "$*" in *--about*|*--help*) exit 2;; esac\nexec cat {file}\n')
    tap.chmod(0o755)
    dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
    env = {**os.environ, "DATIVO_HOME": str(scratch / "home")}
    run = {"env": env, "cwd": folder, "check": True, "capture_output": True}
    (folder / "dativo.yml").write_text("{}")
    subprocess.run([dativo, "add", str(tap), TARGET], **run)
    listed = json.loads(subprocess.run([dativo, "list", "--json"], **run).stdout)
    program = next(one["executable"] for one in listed if one["name"] == "target-postgres")
    told: list[int] = []
    with postgres.cluster() as server:

        def config() -> dict[str, object]:
            database = server.create_database(unique("relief").replace("-", "_"))
            reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
            return {**reach, "database": database, "default_target_schema": "public"}

        def counted(database: object) -> None:
            told.append(int(server.sql("select count(*) from orders", database=str(database))))

        def bare() -> None:
            given = config()
            (folder / "config.json").write_text(json.dumps(given))
            subprocess.run(["/bin/sh", "-c", f"{tap} | {program} --config config.json"], **run)
            counted(given["database"])

        def under() -> None:
            given = config()
            project = {
                "plugins": {
                    "tap-orders": {"sandbox": {"read": [str(file)]}},
                    "target-postgres": {"config": given},
                }
            }
            (folder / "dativo.yml").write_text(json.dumps(project))
            words = ["run", "tap-orders", "target-postgres", "--job", unique("relief"), "--json"]
            summary = json.loads(subprocess.run([dativo, *words], **run).stdout)
            assert summary["relieved"] == ["target-postgres.validate_records"], summary
            counted(given["database"])

        costs = [(cost(under), cost(bare)) for _ in range(rounds)]
    assert len(set(told)) == 1, told
    ratios = [a / b for a, b in costs]
    million = [statistics.median(one) / told[0] * 1e6 for one in zip(*costs, strict=True)]
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
            "note": f"{million[0]:.0f} to {million[1]:.0f} CPU s per million rows, from {told[0]:,}",
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
