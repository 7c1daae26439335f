"""A database that crashes and comes back in the middle of a run: unmodified plugins, one `dativo run`, every row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import processes
from tests.fixtures.faulty import until
from tests.pipelines import third_party
from tests.pipelines.third_party import BY_CHANGE, Pipeline
from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import Workspace

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]

ROWS = 2_000
TABLE = """
    create table {name} as select id, timestamptz '2026-01-01' + id * interval '1 second' as updated_at
      from generate_series(1, {rows}) as id;
    alter table {name} add primary key (id)
"""
LOCK = "begin; lock table orders in access exclusive mode; select pg_sleep(3600)"
WAITING = "select pid from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%orders%'"


@contextmanager
def locked(server: Postgres) -> Iterator[None]:
    """While this lasts, or until the server crashes, nobody can read the table."""
    command = [postgres.programs() / "psql", "-XAtq", "-c", LOCK]
    environment = {"PATH": "/usr/bin:/bin", **server.environment()}
    session = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        granted = "select count(*) from pg_locks where relation = 'orders'::regclass and mode = 'AccessExclusiveLock'"
        until(lambda: server.sql(granted).strip() == "1", "the lock")
        yield
    finally:
        session.kill()
        session.wait()


def test_a_database_that_restarts_costs_a_retry_and_no_row(meltanolabs: Workspace, tmp_path: Path) -> None:
    with postgres.cluster() as server:
        for name in ("customers", "orders"):
            server.sql(TABLE.format(name=name, rows=ROWS))
        pipeline = Pipeline(
            meltanolabs.branch(tmp_path / "project"),
            third_party.meltanolabs_tap(server),
            third_party.jsonl(tmp_path / "rows", None),
            "run",
        )
        streams = ("public-customers", "public-orders")
        pipeline.configure({"select": [f"{one}.*" for one in streams], "metadata": dict.fromkeys(streams, BY_CHANGE)})
        line = f"{pipeline.command} --retries 8 --json"
        with locked(server):
            running = pipeline.workspace.start(line, job=pipeline.job)
            until(lambda: server.sql(WAITING).strip() or running.poll() is not None, "the tap waits for the lock")
            assert running.poll() is None, running.communicate()
            # A backend that dies by SIGKILL makes the server end all others and recover: a restart, as after a crash.
            os.kill(int(server.sql(WAITING)), signal.SIGKILL)
            stdout, stderr = running.communicate()
        assert running.returncode == 0, stderr
        summary = json.loads(stdout)
        assert "failed: tap-postgres exited with 1" in stderr
        assert {one["cause"] for one in summary["attempts"][:-1]} == {"transient"}
        assert summary["attempts"][-1]["verdict"] == "done"
        for stream in streams:
            files = sorted((tmp_path / "rows").glob(f"{stream}*.jsonl"))
            ids = {json.loads(row)["id"] for file in files for row in file.read_text("utf-8").splitlines()}
            assert ids == set(range(1, ROWS + 1)), stream
        assert processes.left_over(pipeline.job) == []
