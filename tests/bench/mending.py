"""What it costs when the target of a long job from a slow source is killed at 80 % of it: time, and rows read again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests import processes
from tests.bench.figures import Figure
from tests.bench.measure import Pair
from tests.workspace import ROOT, unique

ROWS = int(os.environ.get("DATIVO_BENCH_ROWS") or 1_000_000)
STATES = 100
SECONDS = 25.0
"""How long the source takes at least."""
PLUGINS = ("tests/fixtures/tap-poison", "targets/target-duckdb")


def kill_target(job: str, at: float) -> None:
    """SIGKILL the target so many seconds after the tap was first seen."""
    seen: float | None = None
    while True:
        found = processes.of_job(job)
        if seen is None and any(one.role == "tap" for one in found):
            seen = time.monotonic()
        victim = next((one for one in found if one.role == "target" and "--bookmark" not in one.command), None)
        if seen is not None and victim is not None and time.monotonic() - seen >= at:
            victim.kill()
            return
        time.sleep(0.01)


def figures(scratch: Path, rounds: int) -> list[Figure]:
    """The job with a kill against the same without."""
    folder = scratch / "mending"
    folder.mkdir()
    dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
    env = {**os.environ, "DATIVO_HOME": str(scratch / "home")}
    env.pop("DATIVO_RETRIES", None)
    tap = {"rows": ROWS, "every": ROWS // STATES, "pause": SECONDS / STATES}
    (folder / "dativo.yml").write_text("{}")
    subprocess.run(
        [dativo, "add", *(str(ROOT / one) for one in PLUGINS)], env=env, cwd=folder, check=True, capture_output=True
    )
    last: dict[str, Any] = {}

    def run(kill: bool) -> None:
        job = unique("mending")
        project = {"plugins": {"tap-poison": {"config": tap}, "target-duckdb": {"config": {"path": f"{job}.duckdb"}}}}
        (folder / "dativo.yml").write_text(json.dumps(project))
        if kill:
            threading.Thread(target=kill_target, args=(job, SECONDS * 0.8), daemon=True).start()
        words = [dativo, "run", "tap-poison", "target-duckdb", "--job", job, "--json"]
        done = subprocess.run(
            words, env={**env, "DATIVO_JOB": job}, cwd=folder, check=True, capture_output=True, text=True
        )
        answer = json.loads(done.stdout)
        assert answer["records"] == ROWS, answer  # read once: nothing was read again from the source
        if kill:
            last.update(answer)
            assert any("was started again in place" in note for note in answer["notes"]), answer["notes"]
        (folder / f"{job}.duckdb").unlink()

    pair = Pair("a target killed at 80 % of a slow job, to the job", 1.15)
    pair.run(lambda: run(True), lambda: run(False), rounds)
    mended = next(note for note in last["notes"] if "started again in place" in note)
    return [pair.figure(f"{ROWS:,} rows in {SECONDS:.0f} s or more, 0 read again from the source; {mended}")]
