"""The long table: stopped in the middle it is "interrupted" whatever the exit codes say, and no row is lost by it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests import processes
from tests.pipelines import third_party
from tests.pipelines.third_party import Pipeline
from tests.servers.postgres import Postgres
from tests.workspace import Workspace

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]

FLIGHTS = 336_776
IN_THE_MIDDLE = 30_000_000
"""Bytes that the tap has written when it is stopped; all flights are four times as many."""
SUM = """
    select count(*), count(distinct id),
      md5(string_agg(concat_ws('|', id, year, month, day, dep_time, carrier, flight, tailnum, origin, dest, air_time,
        extract(epoch from time_hour::timestamptz)::bigint, extract(epoch from updated_at::timestamptz)::bigint),
        ',' order by id))
    from flights
"""


def test_a_terminated_tap_is_an_interruption_and_the_next_run_completes_it(
    meltanolabs: Workspace, source: Postgres, tmp_path: Path
) -> None:
    """Meltano SDK taps exit 0 on SIGTERM: SINGER.md's fact 1."""
    destination = third_party.tables(tmp_path / "rows", source)
    destination.config["validate_records"] = False  # three times faster; what is tested is who stopped whom
    pipeline = Pipeline(
        meltanolabs.branch(tmp_path / "project"), third_party.meltanolabs_tap(source), destination, "run"
    )
    pipeline.configure({"select": ["public-flights.*"], "metadata": {"public-flights": third_party.BY_CHANGE}})

    running = pipeline.workspace.start(pipeline.command, job=pipeline.job)
    terminate_tap(pipeline.job)
    _, said = running.communicate()
    assert running.returncode == 1, said
    assert "error[plugin.stopped]" in said, said
    (last,) = pipeline.workspace.dativo("state", "log", pipeline.job, "--limit", "1", "--json").expect().json
    assert last["verdict"] == "interrupted"
    assert processes.left_over(pipeline.job) == []

    pipeline.workspace.shell(pipeline.command).expect()
    assert source.sql(SUM, database=destination.config["database"]) == source.sql(SUM)
    assert source.sql(SUM).startswith(f"{FLIGHTS}|{FLIGHTS}|")

    again = pipeline.workspace.dativo("run", "tap-postgres", "target-postgres", "--json").expect().json
    assert again["streams"]["public-flights"]["records"] == 1
    assert source.sql(SUM, database=destination.config["database"]) == source.sql(SUM)


def terminate_tap(job: str) -> None:
    """Wait until the tap has written enough, then SIGTERM it."""
    while True:
        for found in processes.of_job(job):
            if found.role == "tap" and (found.bytes_written() or 0) > IN_THE_MIDDLE:
                assert found.kill(signal.SIGTERM)
                return
        time.sleep(0.02)
