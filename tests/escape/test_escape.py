"""The quicker form of `make escape`: off, the floor and strict, as each user that we can be."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.escape.world import ROOT


def test_no_more_attacks_get_through_than_may() -> None:
    command = [sys.executable, "-m", "tests.escape", "--quick", "--at-once", "2", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    told = json.loads(done.stdout)
    for name, cell in told["cells"].items():
        results = [one["result"] for one in cell.get("results", {}).values()]
        print(f"{name}: {cell.get('unavailable') or {one: results.count(one) for one in sorted(set(results))}}")
    assert told["failures"] == []
    assert done.returncode == 0
