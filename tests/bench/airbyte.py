"""An Airbyte source from PyPI through Dativo into /dev/null, beside the same connector alone writing there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.measure import Pair

ROWS = int(os.environ.get("DATIVO_BENCH_AIRBYTE_ROWS") or 100_000)
SOURCE = "airbyte:source-faker==7.2.1"
CONFIG = {"count": ROWS, "seed": 7, "always_updated": False, "records_per_slice": 1000, "parallelism": 1}


def figures(scratch: Path, rounds: int) -> list[Figure]:
    """The users of source-faker; both sides are given the catalog, so neither discovers."""
    folder = scratch / "airbyte"
    folder.mkdir()
    dativo = shutil.which("dativo") or str(Path(sys.executable).with_name("dativo"))
    env = {**os.environ, "DATIVO_HOME": str(scratch / "home")}
    (folder / "dativo.yml").write_text(json.dumps({"plugins": {"source-faker": {"config": CONFIG}}}))

    def run(*words: str) -> str:
        done = subprocess.run(words, env=env, cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout

    run(dativo, "add", SOURCE)
    run(dativo, "discover", "source-faker", "--stream", "users", "-o", "catalog.json")
    (listed,) = json.loads(run(dativo, "list", "--json"))
    (stream,) = json.loads((folder / "catalog.json").read_text())["streams"]
    configured = {
        "stream": {**stream["airbyte_stream"], "json_schema": stream["schema"]},
        "sync_mode": "incremental",
        "cursor_field": ["updated_at"],
        "destination_sync_mode": "append",
    }
    (folder / "configured.json").write_text(json.dumps({"streams": [configured]}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    alone = [listed["executable"], "read", "--config", "config.json", "--catalog", "configured.json"]
    through = [dativo, SOURCE.partition("==")[0], "--catalog", "catalog.json"]

    def into_nothing(command: list[str]) -> None:
        with Path(os.devnull).open("wb") as nothing:
            subprocess.run(command, env=env, cwd=folder, check=True, stdout=nothing, stderr=subprocess.DEVNULL)

    pair = Pair("an Airbyte source through Dativo, to the connector alone into /dev/null", 1.1)
    pair.run(lambda: into_nothing(through), lambda: into_nothing(alone), rounds)
    return [pair.figure(f"source-faker, {ROWS:,} users")]
