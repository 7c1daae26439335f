"""What the sandbox costs: starting a plugin, what its processor time becomes, and the broker's throughput."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dativo.native import find_bus
from tests.bench.figures import Figure

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "native" / "Cargo.toml"
SPAWN_LIMITS = {"standard": 3.0, "strict": 10.0, "standard_floor": 3.0, "strict_one_host": 10.0}
"""Milliseconds over a bare fork and exec."""
BROKER_SECONDS = 2.0
"""Seconds for a gigabyte: 500 MB/s."""
ROWS = 400_000
TAP = """
import json, sys
print('{"type":"SCHEMA","stream":"t","schema":{"properties":{}},"key_properties":[]}')
for n in range(int(sys.argv[1])):
    print(json.dumps({"type": "RECORD", "stream": "t", "record": {"id": n, "name": "x" * 20, "price": n / 7}}))
"""


def figures(scratch: Path, rounds: int) -> list[Figure]:
    """All of them, as `tests.bench` prints figures."""
    return [*spawning(), *broker(), *processor_time(scratch, rounds)]


def spawning() -> list[Figure]:
    """Medians of 50 starts of /bin/true, in turn with a bare fork and exec of it."""
    found = _example("spawn_cost")
    over, bare = found["over_bare_ms"], found["bare_ms"]
    return [
        Figure(f"start in {name}, over a bare exec", "ms", over[name], limit, note=f"bare {bare:.2f} ms")
        for name, limit in SPAWN_LIMITS.items()
    ]


def broker() -> list[Figure]:
    """A gigabyte through the broker, and the same without it."""
    found = _example("broker_speed")
    direct, brokered = found["direct"], found["broker"]
    if brokered is None:
        return []
    made = []
    for way in ("from_host", "to_host"):
        speed, bare = brokered[f"{way}_mb_s"], direct[f"{way}_mb_s"]
        note = f"{speed:,.0f} MB/s, {speed / bare:.2f} of a direct connection"
        made.append(Figure(f"a gigabyte through the broker, {way}", "s", 1000 / speed, BROKER_SECONDS, note=note))
    return made


def processor_time(scratch: Path, rounds: int) -> list[Figure]:
    """The same tap in Python, confined and not: its own CPU seconds and the run's wall time, A B A B."""
    spent: dict[str, list[tuple[float, float]]] = {"standard": [], "off": []}
    for _ in range(rounds + 1):
        for profile, times in spent.items():
            times.append(_run(scratch, profile))
    made = []
    for index, what in enumerate(("CPU time of a tap", "wall time of its run")):
        ratios = [a[index] / b[index] for a, b in zip(spent["standard"][1:], spent["off"][1:], strict=True)]
        made.append(Figure.of(f"{what}, standard to off", "x", ratios, 1.1))
    return made


def _run(scratch: Path, profile: str) -> tuple[float, float]:
    base = Path(sys.base_prefix)
    plan = {
        "plan": 1,
        "run": "bench",
        "job": "bench",
        "run_dir": str(scratch / "confined"),
        "children": [
            {
                "name": "tap-rows",
                "role": "tap",
                "argv": [str(Path(sys.executable).resolve()), "-c", TAP, str(ROWS)],
                "env": {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
                "sandbox": {"profile": profile, "read": [str(base)]},
            },
            {
                "name": "target-cat",
                "role": "target",
                "argv": ["/bin/sh", "-c", "exec cat >/dev/null"],
                "env": {"PATH": "/usr/bin:/bin"},
                "sandbox": {"profile": profile},
            },
        ],
        "policy": {"confirm": "never"},
    }
    done = subprocess.run([find_bus()], input=json.dumps(plan).encode(), capture_output=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    tap = next(one for one in events if one["event"] == "exited" and one["child"] == "tap-rows")
    return tap["user_s"] + tap["sys_s"], events[-1]["wall_s"]


def _example(name: str) -> dict[str, dict[str, float]]:
    """Build and run an example of the sandbox's crate; each prints one JSON object."""
    command = ["cargo", "run", "--quiet", "--release", "--manifest-path", MANIFEST, "-p", "dativo-sandbox"]
    done = subprocess.run([*command, "--example", name], capture_output=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found
