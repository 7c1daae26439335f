"""Plugins from PyPI, as they are, on a real PostgreSQL: every row arrives, and the second run goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines import rows, third_party
from tests.pipelines.third_party import Pipeline
from tests.servers.postgres import Postgres
from tests.workspace import Workspace

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]

CONFIRMING = [
    pytest.param("meltanolabs", third_party.tables, id="meltanolabs-to-target-postgres"),
    pytest.param("meltanolabs", third_party.csv, id="meltanolabs-to-target-csv"),
    pytest.param("pipelinewise", third_party.jsonl, id="pipelinewise-to-target-jsonl"),
]
LINES = pytest.mark.parametrize("line", ["pipe", "run"])


def pipeline_of(
    kind: str, place: third_party.Place, line: str, request: pytest.FixtureRequest, folder: Path
) -> Pipeline:
    """A pair in a folder of its own; the variant's plugins are installed on first use."""
    installed: Workspace = request.getfixturevalue(kind)
    source: Postgres = request.getfixturevalue("source")
    tap = third_party.meltanolabs_tap if kind == "meltanolabs" else third_party.pipelinewise_tap
    made = Pipeline(installed.branch(folder / "project"), tap(source), place(folder / "rows", source), line)
    made.configure()
    return made


@LINES
@pytest.mark.parametrize(("kind", "place"), CONFIRMING)
def test_every_row_arrives_and_the_second_run_resumes(
    kind: str,
    place: third_party.Place,
    line: str,
    source_tables: dict[str, rows.Table],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    pipeline = pipeline_of(kind, place, line, request, tmp_path)
    pipeline.workspace.shell(pipeline.command).expect()
    for name, table in source_tables.items():
        pipeline.destination.take(name).must_equal(table)
    first = pipeline.bookmark()
    assert first["bookmarks"]["public-planes"]["replication_key_value"].startswith("2014-01-01T00:55:22")

    pipeline.workspace.shell(pipeline.command).expect()
    planes = pipeline.destination.take("planes")
    assert len(planes) == 1, "a tap reads `>=` its bookmark: the last row comes again, nothing else"
    assert not planes.rows - source_tables["planes"].rows
    for name in ("airlines", "airports", "weather"):
        pipeline.destination.take(name).must_equal(source_tables[name])
    assert pipeline.bookmark()["bookmarks"]["public-planes"] == first["bookmarks"]["public-planes"]


@LINES
def test_a_target_that_prints_no_state_leaves_the_old_bookmark(
    line: str, source_tables: dict[str, rows.Table], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """target-jsonl forgets a STATE when a RECORD follows it, and MeltanoLabs' tap ends in records."""
    pipeline = pipeline_of("meltanolabs", third_party.jsonl, line, request, tmp_path)
    first = pipeline.workspace.shell(pipeline.command).expect()
    for name, table in source_tables.items():
        pipeline.destination.take(name).must_equal(table)
    assert "the target printed no STATE: the old bookmark stays" in first.stderr
    assert pipeline.bookmark() is None

    half_way = {"replication_key": "updated_at", "replication_key_value": "2014-01-01T00:30:00+00:00"}
    old = {"bookmarks": {"public-planes": half_way}}
    pipeline.set_bookmark(old)
    second = pipeline.workspace.shell(pipeline.command).expect()
    assert len(pipeline.destination.take("planes")) == rows.SIZES["planes"] - 1_800 + 1
    assert "the target printed no STATE: the old bookmark stays" in second.stderr
    assert pipeline.bookmark() == old


def test_a_mapper_from_the_index_stands_between(
    source_tables: dict[str, rows.Table], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """meltano-map-transform drops a column and adds one; the rows of the other streams pass as they are."""
    pipeline = pipeline_of("meltanolabs", third_party.jsonl, "run", request, tmp_path)
    maps = {"public-airlines": {"carrier": "carrier", "name": "name.upper()", "__else__": None}}
    pipeline.configure(mapper={"config": {"stream_maps": maps}})
    pipeline.workspace.dativo("run", "tap-postgres", "meltano-map-transform", "target-jsonl").expect()
    for name in ("airports", "planes", "weather"):
        pipeline.destination.take(name).must_equal(source_tables[name])
    shouted = {(code, str(name).upper()): times for (code, name), times in source_tables["airlines"].rows.items()}
    assert pipeline.destination.take("airlines").rows == shouted
