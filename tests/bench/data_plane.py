"""The bus alone: bytes passed through between two cats, the start of `dativo`, and a job of one record."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.cats import through_bus, through_three
from tests.bench.figures import Figure
from tests.bench.measure import Pair

MEMORY_MB = 32


def figures(file: Path, scratch: Path, rounds: int) -> list[Figure]:
    """All of them."""
    return [
        *pass_through(file, scratch, "envelope", rounds, 1.25),
        *pass_through(file, scratch, "json", rounds, 5.0),
        version_start(rounds),
        one_record_job(scratch, rounds),
    ]


def memory(usage: dict[str, Any], doing: str) -> Figure:
    """The most that the bus held, as the kernel counted it."""
    return Figure(f"memory of dativo-bus, {doing}", "MB", usage["max_rss_kb"] / 1024, MEMORY_MB)


def pass_through(file: Path, scratch: Path, check: str, rounds: int, limit: float) -> list[Figure]:
    """The bus between two cats, against three cats."""
    last: dict[str, Any] = {}
    pair = Pair(f"pass-through, check {check}, to cat | cat | cat", limit)
    pair.run(lambda: through_bus(file, scratch, {"check": check}, last), lambda: through_three(file), rounds)
    usage = last["bus"]
    speed = file.stat().st_size / 1e6 / sorted(pair.a)[len(pair.a) // 2]
    note = f"{speed:,.0f} MB/s, bus {usage['user_s'] + usage['sys_s']:.2f} CPU s"
    return [pair.figure(note), memory(usage, f"check {check}")]


def version_start(rounds: int) -> Figure:
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
        .figure()
    )


def one_record_job(scratch: Path, rounds: int) -> Figure:
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
        .figure()
    )
