"""A Singer file through the data plane between two cats, and through three cats without it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from dativo.native import find_bus

ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def through_bus(file: Path, scratch: Path, policy: dict[str, Any], last: dict[str, Any]) -> None:
    """cat, the bus, cat; `last` is filled with its verdict, which must be done."""
    children = [
        {
            "name": "tap-cat",
            "role": "tap",
            "argv": ["/bin/cat", str(file)],
            "env": ENV,
            "sandbox": {"read": [str(file)]},
        },
        {"name": "target-cat", "role": "target", "argv": ["/bin/sh", "-c", "exec cat >/dev/null"], "env": ENV},
    ]
    plan = {
        "plan": 1,
        "run": "bench",
        "job": "bench",
        "run_dir": str(scratch / "run"),
        "children": children,
        "policy": {"confirm": "never", **policy},
        "dead_letters": {"path": str(scratch / "letters.jsonl")},
    }
    done = subprocess.run([str(find_bus())], input=json.dumps(plan).encode(), stdout=subprocess.PIPE, check=True)
    last.update(json.loads(done.stdout.splitlines()[-1]))
    assert last["verdict"] == "done", last


def through_three(file: Path) -> None:
    """The limit: three cats in a row."""
    subprocess.run(["/bin/sh", "-c", 'cat "$1" | cat | cat >/dev/null', "sh", str(file)], check=True)
