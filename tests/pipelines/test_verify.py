"""`verify: after` and `dativo verify` with real plugins, ours and others', and real databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.fixtures.faulty import Faulty, errors_in
from tests.pipelines import third_party
from tests.pipelines.third_party import Place
from tests.servers.postgres import Postgres
from tests.workspace import Answer, Workspace

KEYS = {"airlines": ["carrier"], "airports": ["faa"]}


@pytest.fixture(params=["target-duckdb", "target-jsonl"])
def ours(request: pytest.FixtureRequest, our_plugins: Workspace, flights_csv: Path, tmp_path: Path) -> Workspace:
    """A project with one of our targets behind our tap: job `air`."""
    workspace = our_plugins.branch(tmp_path / "project")
    return with_job(workspace, request.param, flights_csv, {"path": str(workspace.folder / "out.duckdb")})


def with_job(
    workspace: Workspace, target: str, csv: Path, config: dict[str, Any], *, files: str = "air*.csv", **more: Any
) -> Workspace:
    workspace.configure({"tap-csv": {"config": {"files": [f"{csv}/{files}"], "key_properties": KEYS}}})
    workspace.configure({target: {"config": config, **more}})
    file = workspace.folder / "dativo.yml"
    project = json.loads(file.read_text("utf-8"))
    project["jobs"] = {"air": {"steps": ["tap-csv", target], "verify": "after"}}
    file.write_text(json.dumps(project), "utf-8")
    return workspace


def left_behind(workspace: Workspace) -> list[Path]:
    return list((workspace.folder / ".dativo").glob("verify*"))


@pytest.mark.timeout(900)
def test_a_run_that_is_read_back(ours: Workspace) -> None:
    first = ours.dativo("run", "air").expect()
    assert "read back: 1,474 rows of 2 streams equal" in first.stderr
    assert ours.bookmark("air") is not None
    assert left_behind(ours) == []
    again = ours.dativo("run", "air").expect()
    assert "nothing new since" in again.stderr
    answer = ours.dativo("run", "air", "--full-refresh", "--json").expect()
    assert {one["stream"]: (one["equal"], one["rows"]) for one in answer.json["verify"]} == {
        "airlines": (True, 16),
        "airports": (True, 1458),
    }
    assert ours.dativo("run", "air", "--verify", "never", "--full-refresh", "--json").expect().json["verify"] == []


@pytest.mark.timeout(900)
def test_a_source_and_a_destination_that_are_equal(ours: Workspace) -> None:
    ours.dativo("run", "air").expect()
    answer = ours.dativo("verify", "air").expect()
    assert answer.stdout.splitlines()[-1] == "equal: 1,474 rows of 2 streams · job air"
    assert "airports: 1,458 rows equal" in answer.stderr
    one = ours.dativo("verify", "air", "--stream", "airlines", "--json").expect().json
    assert (one["equal"], [stream["stream"] for stream in one["streams"]]) == (True, ["airlines"])
    assert left_behind(ours) == []


@pytest.mark.timeout(900)
def test_streams_that_have_other_names_at_the_target(our_plugins: Workspace, flights_csv: Path, tmp_path: Path) -> None:
    path = tmp_path / "air.duckdb"
    ours = with_job(our_plugins.branch(tmp_path / "project"), "target-duckdb", flights_csv, {"path": str(path)})
    named = ("--stream-name", "raw_{name}")
    answer = ours.dativo("run", "air", "--json", "--encoding", "arrow", "--verify", "never", *named).expect().json
    assert answer["renamed"] == {"airlines": "raw_airlines", "airports": "raw_airports"}
    again = ours.dativo("run", "air", "--json", "--full-refresh", *named).expect().json
    assert {one["stream"]: (one["equal"], one["rows"]) for one in again["verify"]} == {
        "raw_airlines": (True, 16),
        "raw_airports": (True, 1458),
    }
    assert "equal: 1,474 rows of 2 streams" in ours.dativo("verify", "air", *named).expect().stdout
    assert ours.dativo("verify", "air").code == 1


@pytest.mark.timeout(900)
def test_what_somebody_changed_in_the_destination(our_plugins: Workspace, flights_csv: Path, tmp_path: Path) -> None:
    path = tmp_path / "air.duckdb"
    ours = with_job(our_plugins.branch(tmp_path / "project"), "target-duckdb", flights_csv, {"path": str(path)})
    ours.dativo("run", "air").expect()
    with duckdb.connect(str(path)) as database:
        database.execute("DELETE FROM airlines WHERE carrier = 'UA'")
        database.execute("UPDATE airports SET name = 'Somewhere', alt = alt + 1 WHERE faa = 'JFK'")
        database.execute("INSERT INTO airports (faa, name) VALUES ('ZZZ', 'Nowhere')")
    answer = ours.dativo("verify", "air").expect(1)
    assert errors_in(answer) == ["verify.mismatch"]
    assert "1 row missing, 1 row extra, 1 row different of airlines, airports" in answer.stderr
    assert "airlines: 1 row missing (carrier=UA)" in answer.stderr
    assert "airports: 1 row extra (faa=ZZZ), 1 row different (faa=JFK: name, alt)" in answer.stderr
    told = ours.dativo("verify", "air", "--json").expect(1).json
    assert (told["code"], told["verify"][0]["examples"]) == ("verify.mismatch", {"missing": ["carrier=UA"]})


@pytest.mark.servers
@pytest.mark.plugins
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    "place", [third_party.tables, third_party.csv, third_party.jsonl], ids=["postgres", "csv", "jsonl"]
)
def test_targets_of_others_are_read_back(
    meltanolabs: Workspace, source: Postgres, tmp_path: Path, place: Place
) -> None:
    destination = place(tmp_path / "rows", source)
    workspace = meltanolabs.branch(tmp_path / "project")
    pipeline = third_party.Pipeline(workspace, third_party.meltanolabs_tap(source), destination, "run")
    chosen = ["public-airlines", "public-planes"]
    pipeline.configure({**third_party.SELECTION, "select": [f"{stream}.*" for stream in chosen]})
    words = ("tap-postgres", destination.target)
    answer = workspace.dativo("run", *words, "--verify", "after").expect()
    assert "read back: 3,338 rows of 2 streams equal" in answer.stderr
    assert "equal: 3,338 rows of 2 streams" in workspace.dativo("verify", *words).expect().stdout
    if destination.target == "target-postgres":
        database = destination.config["database"]
        source.sql("delete from planes where tailnum = 'N10156'", database=database)
        source.sql("update planes set seats = 1 where tailnum = 'N102UW'", database=database)
        changed = workspace.dativo("verify", *words).expect(1)
        assert "public-planes: 1 row missing (tailnum=N10156), 1 row different (tailnum=N102UW: seats)" in (
            changed.stderr
        )
        hurried = {"replication_key": "updated_at", "replication_key_value": "2000-01-01T00:00:00+00:00"}
        mark = json.dumps({"bookmarks": {"public-planes": hurried}})
        workspace.dativo("state", "set", pipeline.job, mark, "--yes").expect()
        assert "3,322 newer than the bookmark" in workspace.dativo("verify", *words).expect().stderr


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory, our_plugins: Workspace) -> Workspace:
    """Our tap, and jwills' target-duckdb with the newest DuckDB, which loses the first row of some batches."""
    workspace = our_plugins.branch(tmp_path_factory.mktemp("lossy") / "project")
    workspace.dativo(
        "add", "target-duckdb==0.8.0", "--variant", "jwills", "--with", "duckdb>=2", "--as", "target-lossy"
    ).expect()
    return workspace


def lost(lossy: Workspace, csv: Path, folder: Path, *words: str) -> Answer:
    config = {"path": str(folder / "lossy.duckdb"), "default_target_schema": "main", "primary_key_required": False}
    grant = {"write": ["{config:path}/.."]}
    workspace = lossy.branch(folder / "project")
    return with_job(workspace, "target-lossy", csv, config, files="*.csv", sandbox=grant).dativo(*words)


@pytest.mark.plugins
@pytest.mark.timeout(1_200)
def test_a_target_that_loses_rows_and_reports_success_is_not_believed(
    lossy: Workspace, flights_csv: Path, tmp_path: Path
) -> None:
    answer = lost(lossy, flights_csv, tmp_path, "run", "air").expect(1)
    assert errors_in(answer) == ["verify.mismatch"]
    assert "target-lossy does not hold what it was given: 5 rows missing of airlines, flights, weather" in answer.stderr
    assert "airlines: 1 row missing (carrier=9E)" in answer.stderr
    assert "flights: 3 rows missing (row 1, row 100,001, row 200,001)" in answer.stderr
    assert "weather: 1 row missing (row 1)" in answer.stderr
    assert "366,213 rows may be there twice" in answer.stderr  # three streams have no keys
    assert "bookmark unchanged" in answer.stderr
    workspace = Workspace(tmp_path / "project", lossy.home)
    assert workspace.bookmark("air") is None
    assert [entry["verdict"] for entry in workspace.dativo("state", "log", "air", "--json").expect().json][-1:] == [
        "interrupted"
    ]
    assert left_behind(workspace) == []


@pytest.mark.plugins
@pytest.mark.timeout(1_200)
def test_without_a_check_it_is_believed(lossy: Workspace, flights_csv: Path, tmp_path: Path) -> None:
    words = ("air", "--stream", "airlines")
    answer = lost(lossy, flights_csv, tmp_path, "run", *words, "--verify", "never").expect()
    assert "16 read = 16 written" in answer.stderr
    workspace = Workspace(tmp_path / "project", lossy.home)
    assert "airlines: 1 row missing (carrier=9E)" in workspace.dativo("verify", *words).expect(1).stderr


def test_a_target_that_cannot_be_read_back_is_refused_before_anything_moves(faulty: Faulty) -> None:
    answer = faulty.run("--verify", "after").expect(2)
    assert errors_in(answer) == ["verify.unreadable"]
    assert "target-fault" in answer.stderr and "meltanolabs-target-postgres" in answer.stderr
    assert faulty.rows() == []
    asked = faulty.dativo("verify", *faulty.run_words()[1:]).expect(2)
    assert errors_in(asked) == ["verify.unreadable"]


def test_an_interrupted_run_tells_how_many_rows_may_come_twice(faulty: Faulty) -> None:
    answer = faulty.run(mode="exit1").expect(1)
    delivered = len(faulty.rows())
    assert delivered == 10 and faulty.position() == 9
    answer = faulty.run("--full-refresh", "--set", "target-fault.mode=die1").expect(1)
    assert "rows may be there twice after the next run: target-fault does not keep the bookmark" in answer.stderr
    kept = faulty.run(target="target-ledger", mode="exit1").expect(1)
    assert "twice" not in kept.stderr
