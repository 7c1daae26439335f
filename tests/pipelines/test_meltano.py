"""Our plugins are ordinary Singer plugins: the real Meltano runs them as they are, and its second run resumes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.pipelines import rows
from tests.workspace import PROGRAMS, Workspace

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(1_200)]

MELTANO = "meltano==4.4.1"


@pytest.fixture(scope="module")
def meltano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Meltano in an environment of its own."""
    place = tmp_path_factory.mktemp("meltano") / "env"
    subprocess.run([PROGRAMS / "uv", "venv", "--quiet", place], check=True)
    environment = {**os.environ, "VIRTUAL_ENV": str(place)}
    subprocess.run([PROGRAMS / "uv", "pip", "install", "--quiet", MELTANO], check=True, env=environment)
    return place / "bin" / "meltano"


def test_meltano_runs_our_tap_and_target(
    meltano: Path, our_plugins: Workspace, flights_csv: Path, tmp_path: Path
) -> None:
    database = tmp_path / "out.duckdb"
    tap = {
        "name": "tap-csv",
        "namespace": "tap_csv",
        "executable": str(our_plugins.executable("tap-csv")),
        "capabilities": ["catalog", "discover", "state"],
        "settings": [{"name": "files"}],
        "config": {"files": f"{flights_csv}/air*.csv"},
    }
    target = {
        "name": "target-duckdb",
        "namespace": "target_duckdb",
        "executable": str(our_plugins.executable("target-duckdb")),
        "settings": [{"name": "path"}],
        "config": {"path": str(database)},
    }
    project = {
        "version": 1,
        "default_environment": "dev",
        "environments": [{"name": "dev"}],
        "send_anonymous_usage_stats": False,
        "plugins": {"extractors": [tap], "loaders": [target]},
    }
    (tmp_path / "meltano.yml").write_text(json.dumps(project), "utf-8")  # JSON is YAML
    line = [meltano, "run", "tap-csv", "target-duckdb"]

    for committed in ("committed 1,474 rows", "committed 0 rows"):
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert committed in done.stderr, done.stderr
        with duckdb.connect(str(database), read_only=True) as connection:
            counts = {name: len(connection.table(name).fetchall()) for name in ("airlines", "airports")}
        assert counts == {name: rows.SIZES[name] for name in counts}
