"""One side of the shell pipe is not Dativo: the other side does its part, and is quiet when all is well."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.pipelines import rows, third_party
from tests.servers.postgres import Postgres
from tests.workspace import Workspace

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]


@pytest.fixture
def ours(our_plugins: Workspace, tmp_path: Path) -> Workspace:
    """A fresh project with our plugins."""
    return our_plugins.branch(tmp_path / "project")


def test_our_tap_into_a_bare_target(ours: Workspace, meltanolabs: Workspace, flights_csv: Path, tmp_path: Path) -> None:
    destination = third_party.jsonl(tmp_path / "rows", None)
    (tmp_path / "target.json").write_text(json.dumps(destination.config), "utf-8")
    for name in ("airlines", "airports"):
        (tmp_path / f"public-{name}.csv").symlink_to(flights_csv / f"{name}.csv")
    bare = meltanolabs.executable("target-jsonl")
    for _ in range(2):  # nothing is kept beside a foreign target, so the second run reads everything again
        answer = ours.shell(
            f"dativo tap-csv --files '{tmp_path}/public-*.csv' | {bare} --config {tmp_path}/target.json"
        )
        answer.expect()
        for name in ("airlines", "airports"):
            destination.take(name).must_equal(rows.of_csv(name, flights_csv / f"{name}.csv", null="NA"))


def test_a_bare_tap_into_our_target(
    ours: Workspace, meltanolabs: Workspace, source: Postgres, tmp_path: Path, source_tables: dict[str, rows.Table]
) -> None:
    config, catalog = tmp_path / "tap.json", tmp_path / "catalog.json"
    config.write_text(json.dumps(third_party.meltanolabs_tap(source)), "utf-8")
    bare = meltanolabs.executable("tap-postgres")
    found = json.loads(ours.shell(f"{bare} --config {config} --discover").expect().stdout)
    for stream in found["streams"]:
        wanted = stream["tap_stream_id"] in third_party.STREAMS
        stream["metadata"].append({"breadcrumb": [], "metadata": {"selected": wanted, **third_party.FULL}})
        stream["replication_method"] = "FULL_TABLE"
    catalog.write_text(json.dumps(found), "utf-8")
    line = f"{bare} --config {config} --catalog {catalog} | dativo target-duckdb --path {tmp_path}/nyc.duckdb"
    ours.shell(line).expect()
    with duckdb.connect(str(tmp_path / "nyc.duckdb"), read_only=True) as connection:
        for name, table in source_tables.items():
            listing = connection.sql(f'select to_json(line) from "public-{name}" as line').fetchall()
            rows.Table(name, (json.loads(row, parse_float=Decimal) for (row,) in listing)).must_equal(table)


def test_into_head_is_quiet(ours: Workspace, flights_csv: Path) -> None:
    answer = ours.shell(f"set -o pipefail; dativo tap-csv --files '{flights_csv}/planes.csv' | head -3")
    lines = answer.stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["SCHEMA", "RECORD", "RECORD"]
    assert "error" not in answer.stderr and "Traceback" not in answer.stderr, answer.stderr
