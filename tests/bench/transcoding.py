"""Records to Arrow and back, on one core, against pyarrow's JSON reader and orjson over the same rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.figures import Figure, Row, Section
from tests.bench.instructions import built
from tests.bench.tables import ORDERS, Files, made

ROWS = 100_000
TO_COLUMNS, FROM_COLUMNS = 3.0, 5.0
SCRIPT = Path(__file__).with_name("scripts") / "pyarrow_job.py"


def section(cache: Path, rounds: int) -> Section:
    """Both ways, in turn with the other's."""
    files = made(ORDERS, ROWS, cache / "workloads")
    plain = _plain(files)
    program = built() / "examples" / "hot_loop"
    spent: dict[str, list[float]] = {name: [] for name in ("to-columns", "reader", "from-columns", "orjson")}
    for _ in range(rounds):
        for loop, other in (("to-columns", "reader"), ("from-columns", "orjson")):
            told = _said([program, loop, files.singer, "3"])
            spent[loop].append(told["ns_per_pass"] / 1e9)
            spent[other].append(_said([sys.executable, SCRIPT, other, plain])["seconds"])
    names = {
        "to-columns": ("records to Arrow", "dativo"),
        "reader": ("pyarrow's JSON reader, one thread", "peer"),
        "from-columns": ("Arrow to records", "dativo"),
        "orjson": ("orjson over to_pylist", "peer"),
    }
    rows = []
    for key, (name, role) in names.items():
        best = sorted(spent[key])[len(spent[key]) // 2]
        rows.append(Row(name, role, ROWS, ROWS / best, best / ROWS * 1e6))
    figures = []
    for ours, theirs, bound in (("to-columns", "reader", TO_COLUMNS), ("from-columns", "orjson", FROM_COLUMNS)):
        values = [b / a for a, b in zip(spent[ours], spent[theirs], strict=True)]
        name = f"{names[ours][0]}, to {names[theirs][0]}"
        figures.append(Figure.of(name, "x", values, bound, at_least=True))
    return Section("Transcoding alone, on one core", tuple(rows), tuple(figures))


def _plain(files: Files) -> Path:
    """The records without their envelopes, as pyarrow's reader wants them."""
    plain = files.singer.with_suffix(".plain.jsonl")
    if not plain.exists():
        with files.singer.open("rb") as lines, plain.open("wb") as out:
            for line in lines:
                if line.startswith(b'{"type":"RECORD"'):
                    start, end = line.index(b'"record":') + 9, line.rindex(b',"time_extracted"')
                    out.write(line[start:end] + b"\n")
    return plain


def _said(command: list[str | Path]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.decode(errors='replace')[-1000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found
