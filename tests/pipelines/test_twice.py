"""How many rows are there twice after a target was killed and the job was run again: no more than was told.

docs/concepts/delivery.md shows the numbers. No row is ever missing.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.fixtures.faulty import ended, gone, members, until
from tests.servers.postgres import Postgres
from tests.workspace import Workspace, unique

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]
ROWS = 120_000
TOLD = re.compile(r"up to ([\d,]+) rows? may be there twice")


@dataclass
class Place:
    """A target, how it is told where to write, and the ids that are there."""

    target: str
    config: dict[str, Any]
    ids: Callable[[], list[int]]
    keyed: bool = False
    writes: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory, our_plugins: Workspace) -> Workspace:
    """Our plugins and two targets of others."""
    workspace = our_plugins.branch(tmp_path_factory.mktemp("twice") / "project")
    workspace.dativo("add", "target-jsonl==0.1.4", "--variant", "andyh1203", "--as", "target-lines").expect()
    workspace.dativo("add", "meltanolabs-target-postgres==0.8.1", "--as", "target-tables").expect()
    return workspace


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file with a number in each row."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows((at, f"row number {at}") for at in range(ROWS))
    return path


def in_files(folder: Path, pattern: str) -> list[int]:
    lines = [line for path in folder.glob(pattern) for line in path.read_text("utf-8").splitlines()]
    return [int(json.loads(line)["id"]) for line in lines if line.endswith("}")]


def in_duckdb(path: Path) -> list[int]:
    with duckdb.connect(str(path), read_only=True) as database:
        return [number for (number,) in database.execute("SELECT id FROM rows").fetchall()]


def in_postgres(server: Postgres, database: str) -> list[int]:
    if not server.sql("select 1 as found from pg_tables where tablename = 'rows'", database=database).strip():
        return []
    return [int(line) for line in server.sql("select id from rows", database=database).split()]


def our_duckdb(folder: Path, _server: Postgres) -> Place:
    path = folder / "out.duckdb"
    return Place("target-duckdb", {"path": str(path), "batch_rows": 20_000}, lambda: in_duckdb(path))


def our_jsonl(folder: Path, _server: Postgres) -> Place:
    return Place("target-jsonl", {"path": str(folder / "out")}, lambda: in_files(folder / "out", "rows.jsonl"))


def lines(folder: Path, _server: Postgres) -> Place:
    (folder / "out").mkdir()
    config = {"destination_path": str(folder / "out")}
    return Place(
        "target-lines", config, lambda: in_files(folder / "out", "rows-*.jsonl"), False, ("{config:destination_path}",)
    )


def tables(folder: Path, server: Postgres) -> Place:
    database = server.create_database(f"twice_{folder.name.replace('-', '_')[:40]}")
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    config = {**reach, "database": database, "default_target_schema": "public"}
    return Place("target-tables", config, lambda: in_postgres(server, database))


def keyed_tables(folder: Path, server: Postgres) -> Place:
    place = tables(folder, server)
    place.keyed = True
    return place


def begun(place: Place, folder: Path, job: str) -> bool:
    """Whether the target has something to lose: rows in files or tables, or work on its hands."""
    if place.target == "target-tables":
        return bool(place.ids())
    return any((one.bytes_written() or 0) > 400_000 for one in members(job, "target"))


@pytest.mark.parametrize("make", [our_duckdb, our_jsonl, lines, tables, keyed_tables], ids=lambda make: make.__name__)
def test_rows_that_come_twice_after_a_kill(
    make: Callable[[Path, Postgres], Place], targets: Workspace, source: Postgres, rows: Path, tmp_path: Path
) -> None:
    place, job = make(tmp_path, source), unique("twice")
    workspace = targets.branch(tmp_path / "project")
    tap = {"files": [str(rows)], "key_properties": {"rows": ["id"]} if place.keyed else {}}
    workspace.configure({"tap-csv": {"config": tap}})
    workspace.configure({place.target: {"config": place.config, "sandbox": {"write": list(place.writes)}}})
    line = f"dativo run tap-csv {place.target} --job {job}"
    process = workspace.start(line, job)
    until(lambda: begun(place, tmp_path, job) or process.poll() is not None, "the target has written")
    killed = [one.kill() for one in members(job, "target")]
    answer = ended(process, line)
    assert killed and answer.code != 0, answer.stderr
    gone(job)
    told = TOLD.search(answer.stderr)
    bound = int(told[1].replace(",", "")) if told else 0
    workspace.shell(line, job).expect()
    counts = Counter(place.ids())
    assert sorted(counts) == list(range(ROWS))
    twice = sum(counts.values()) - ROWS
    print(f"{make.__name__}: {twice:,} of {ROWS:,} rows twice, told up to {bound:,}")
    assert twice <= bound
    exact = make in (our_duckdb, our_jsonl, keyed_tables)
    assert (bound == 0) == exact
