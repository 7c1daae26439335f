"""A tap or target that is killed under a living other one: `dativo run` goes on, and nothing is lost or read twice."""

from __future__ import annotations

import csv
import threading
import time
from pathlib import Path

import duckdb
import pytest

from tests import processes
from tests.workspace import Workspace, unique

ROWS = 60_000


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mending") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("id", "text"))
        writer.writerows((number, f"row {number} " + "x" * 300) for number in range(ROWS))
    return path


def configured(workspace: Workspace, rows_file: Path, target: str, *, keyed: bool) -> None:
    tap = {"files": str(rows_file), **({"key_properties": {"rows": ["id"]}} if keyed else {})}
    out = workspace.folder / ("out.duckdb" if target == "target-duckdb" else "out")
    config = {"path": str(out), **({"batch_rows": 5000} if target == "target-duckdb" else {})}
    workspace.configure({"tap-csv": {"config": tap}, target: {"config": config}})


def arrived(workspace: Workspace, target: str) -> tuple[int, int]:
    query = "select count(*), count(distinct id) from {}"
    if target == "target-jsonl":
        with duckdb.connect() as connection:
            return connection.execute(query.format(f"read_ndjson('{workspace.folder}/out/rows.jsonl')")).fetchone()
    with duckdb.connect(str(workspace.folder / "out.duckdb"), read_only=True) as connection:
        return connection.execute(query.format("rows")).fetchone()


def kill_when_busy(job: str, role: str, stop: threading.Event) -> None:
    """SIGKILL the process of that role once the tap has written some megabytes; it must still have work to do."""
    while not stop.is_set():
        found = processes.of_job(job)
        tap = next((one.bytes_written() for one in found if one.role == "tap"), None)
        victim = next((one for one in found if one.role == role and "--bookmark" not in one.command), None)
        if victim is not None and tap is not None and tap > 4_000_000:
            victim.kill()
            return
        time.sleep(0.002)


@pytest.mark.parametrize("role", ["tap", "target"])
@pytest.mark.parametrize(
    ("target", "keyed"), [("target-duckdb", True), ("target-duckdb", False), ("target-jsonl", False)]
)
def test_a_killed_plugin_is_started_again(
    role: str, target: str, keyed: bool, our_plugins: Workspace, rows_file: Path, tmp_path: Path
) -> None:
    workspace = our_plugins.branch(tmp_path / "project")
    configured(workspace, rows_file, target, keyed=keyed)
    job, stop = unique("mending"), threading.Event()
    killer = threading.Thread(target=kill_when_busy, args=(job, role, stop))
    killer.start()
    try:
        answer = workspace.shell(f"dativo run tap-csv {target} --retries 2", job=job).expect()
    finally:
        stop.set()
        killer.join()
    assert arrived(workspace, target) == (ROWS, ROWS), answer.stderr
    assert "was killed by signal 9" in answer.stderr
    if role == "target" or keyed:
        assert "started again in place" in answer.stderr
    assert processes.left_over(job) == []
    assert list((workspace.folder / ".dativo").glob("spill/*")) == []
