"""What a job of dativo.yml promises is kept or refused."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fixtures.faulty import Faulty, fault_plugins, faulty

__all__ = ["fault_plugins", "faulty"]


def test_a_jobs_limits_reach_every_plugin(faulty: Faulty, tmp_path: Path):
    file = faulty.folder / "nightly.yml"
    file.write_text(
        "steps: [tap-fault, target-fault]\n"
        "limits: {memory: 1G, max_line: 2M, wall: 1h, files: 64}\n"
        "plugins:\n"
        "  tap-fault: {limits: {files: 32, memory: 8G}}\n"
        f"  target-fault: {{config: {{path: {tmp_path / 'out.jsonl'}}}}}\n",
        encoding="utf-8",
    )
    answer = faulty.dativo("run", str(file), "--dry-run", "--json").expect()
    plan = json.loads(answer.stdout)
    limits = {child["name"]: child["rlimits"] for child in plan["children"]}
    assert limits["tap-fault"] == {"core": 0, "data": 1 << 30, "nofile": 32}
    assert limits["target-fault"] == {"core": 0, "data": 1 << 30, "nofile": 64}
    trees = [child["limits"] for child in plan["children"]]
    assert trees == [{"memory": 1 << 30, "processes": 64, "wall": 3600.0, "nice": 0}] * 2
    assert plan["limits"]["max_line"] == 2 << 20
