"""`python -m tests.escape`: every attack, in every profile, as root and as an ordinary user; prints the matrix.

Exits 1 when more get through a profile than it allows, or when an attack does not get through without one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from dativo.native import find_bus
from tests.escape import cgroups, matrix, world
from tests.escape.columns import BY_NAME, COLUMNS, QUICK, Column


def main() -> int:
    """Parse, run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.escape", description=__doc__)
    parser.add_argument("--profile", action="append", choices=list(BY_NAME), help="only this column, and off")
    parser.add_argument("--user", choices=("root", "user"), help="only as this user")
    parser.add_argument("--attack", default="", help="only these, separated by commas")
    parser.add_argument(
        "--quick", action="store_true", help=f"only {', '.join(QUICK)}, without the attacks that take long"
    )
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="so many columns at a time [default: 1]")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the matrix of a good run in this page")
    options = parser.parse_args()
    wanted = set(options.profile or (QUICK if options.quick else BY_NAME)) | {"off"}
    users = [options.user] if options.user else ["root", "user"] if os.geteuid() == 0 else ["user"]
    if os.geteuid() and "root" in users:
        parser.error("only root can run the attacks as root")
    if os.geteuid():
        print("not root: the attacks of an ordinary user only", file=sys.stderr)
    began, quick = time.monotonic(), "quick" if options.quick else "whole"
    bus = str(find_bus())
    keys = [(user, column.name) for column in COLUMNS if column.name in wanted for user in users]
    with ThreadPoolExecutor(options.at_once) as pool:
        found = pool.map(lambda key: cell(BY_NAME[key[1]], key[0], [options.attack, quick], bus), keys)
        cells = dict(zip(keys, found, strict=True))
    whole = not (options.profile or options.quick or options.attack or options.user) and os.geteuid() == 0
    failures = matrix.failures(cells)
    if options.json:
        print(json.dumps({"cells": {"/".join(key): value for key, value in cells.items()}, "failures": failures}))
    else:
        print(matrix.report(cells))
        print(f"\n{time.monotonic() - began:.0f} s")
    for line in failures:
        print(f"FAILED {line}", file=sys.stderr)
    if options.write:
        if not whole:
            parser.error("--write needs a whole run as root")
        if not failures:
            matrix.write(options.write, cells)
    return 1 if failures else 0


def cell(column: Column, user: str, words: list[str], bus: str) -> matrix.Cell:
    """One column as one user: what its arena has to say, or why there is none."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        uid = os.geteuid()
        if user == "user" and uid == 0:
            uid = ordinary(61000 + 50 * COLUMNS.index(column))
        group = None
        if column.cgroup:
            if os.geteuid():
                return {"unavailable": "needs root, to make a control group"}
            try:
                group = stack.enter_context(cgroups.granted(uid))
            except OSError as problem:
                return {"unavailable": f"no control group can be made: {problem}"}
        found = inhabit(world.Settings(uid, bus, interpreter(), group), [column.name, *words])
    print(f"{user} {column.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return found


def ordinary(first: int) -> int:
    """The id of a user that nothing runs as, and no other column."""
    used = {
        os.stat(f"/proc/{pid}").st_uid for pid in os.listdir("/proc") if pid.isdigit() and Path("/proc", pid).exists()
    }
    return next(uid for uid in range(first, first + 50) if uid not in used)


def interpreter() -> str:
    """A Python that any user can run."""
    system = "/usr/bin/python3"
    return system if os.access(system, os.X_OK) else os.path.realpath(sys.executable)


def inhabit(settings: world.Settings, words: list[str]) -> matrix.Cell:
    """Run an arena in a world of its own."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "tests.escape.world", json.dumps(asdict(settings)), str(writer), *words]
    outer = subprocess.Popen(command, pass_fds=(writer,), cwd=world.ROOT, process_group=0)
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            text = pipe.read()
    finally:
        outer.wait()
    return json.loads(text) if text else {"problems": ["the arena ended before it could tell"]}


if __name__ == "__main__":
    sys.exit(main())
