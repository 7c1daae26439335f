"""`python -m tests.bench [--json] [--megabytes N] [--rounds N]`: prints each figure beside its limit."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import confinement, mending, validation
from tests.bench.cats import through_bus, through_three
from tests.bench.measure import Pair
from tests.bench.workload import write_singer_file


def pass_through(file: Path, scratch: Path, check: str, rounds: int, limit: float) -> dict[str, object]:
    """The bus between two cats, against three cats."""
    last: dict[str, Any] = {}
    pair = Pair(f"pass-through, check {check}, to cat | cat | cat", limit)
    pair.run(lambda: through_bus(file, scratch, {"check": check}, last), lambda: through_three(file), rounds)
    usage = last["bus"]
    megabytes = file.stat().st_size / 1e6
    result = pair.as_dict()
    result["bus_max_rss_mb"] = usage["max_rss_kb"] / 1024
    result["note"] = (
        f"{megabytes / sorted(pair.a)[len(pair.a) // 2]:,.0f} MB/s, "
        f"bus {usage['user_s'] + usage['sys_s']:.2f} CPU s, {usage['max_rss_kb'] / 1024:.1f} MB"
    )
    return result


def version_start(rounds: int) -> dict[str, object]:
    """`dativo --version` against the interpreter doing nothing."""
    dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    return (
        Pair("dativo --version, to python -c pass", 3.0)
        .run(
            lambda: subprocess.run([dativo, "--version"], **quiet),
            lambda: subprocess.run([sys.executable, "-c", "pass"], **quiet),
            rounds * 4,
        )
        .as_dict()
    )


def one_record_job(scratch: Path, rounds: int) -> dict[str, object]:
    """A whole `dativo run` of one record, against the same two programs in a bare pipe."""
    tap, target = scratch / "tap-one", scratch / "target-one"
    schema = '{"type":"SCHEMA","stream":"t","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}'
    record, state = '{"type":"RECORD","stream":"t","record":{"id":1}}', '{"bookmarks":{"t":{"id":1}}}'
    lines = "\n".join((schema, record, f'{{"type":"STATE","value":{state}}}'))
    tap.write_text(f"#!/bin/sh\ncase \"$*\" in *--about*|*--help*) exit 2;; esac\ncat <<'E'\n{lines}\nE\n")
    target.write_text(
        f"#!/bin/sh\ncase \"$*\" in *--about*|*--help*) exit 2;; esac\ncat >/dev/null\ncat <<'E'\n{state}\nE\n"
    )
    for script in (tap, target):
        script.chmod(0o755)
    env = {**os.environ, "DATIVO_HOME": str(scratch / "home")}
    dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
    run = {"env": env, "cwd": scratch, "check": True, "capture_output": True}
    subprocess.run([dativo, "add", str(tap), str(target)], **run)
    return (
        Pair("dativo run of one record, beyond its plugins", 0.5, unit="s")
        .run(
            lambda: subprocess.run([dativo, "run", "tap-one", "target-one"], **run),
            lambda: subprocess.run(["/bin/sh", "-c", f"{tap} | {target}"], **run),
            rounds,
        )
        .as_dict()
    )


def main() -> int:
    """Measure all, print, and exit 1 when a figure is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dativo-bench-") as name:
        scratch = Path(name)
        file = scratch / "orders.singer.jsonl"
        rows = write_singer_file(file, args.megabytes)
        results = [
            pass_through(file, scratch, "envelope", args.rounds, 1.25),
            pass_through(file, scratch, "json", args.rounds, 5.0),
            *validation.figures(file, scratch, args.rounds),
            version_start(args.rounds),
            one_record_job(scratch, args.rounds),
            *confinement.figures(scratch, args.rounds),
            *mending.figures(scratch, min(args.rounds, 3)),
        ]
        memory = max(float(str(r["bus_max_rss_mb"])) for r in results if "bus_max_rss_mb" in r)
        results.append({"name": "memory of dativo-bus", "unit": "MB", "median": memory, "limit": 32.0})
    if args.json:
        print(json.dumps({"rows": rows, "megabytes": args.megabytes, "figures": results}, indent=2))
    else:
        print(f"{rows:,} records, {args.megabytes} MB; medians of {args.rounds} pairs, run in turn")
        for r in results:
            spread = f"({r['min']:.2f} to {r['max']:.2f})" if "min" in r else ""
            print(f"  {r['name']:<48} {r['median']:7.2f} {r['unit']:<4} {spread:<18} limit {r['limit']}")
            if r.get("note"):
                print(f"  {'':<48} {r['note']}")
    return 0 if all(float(str(r["median"])) <= float(str(r["limit"])) for r in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
