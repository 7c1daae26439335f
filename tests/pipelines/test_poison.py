"""A few rows among many that nobody can load: set aside with their reasons, the rest loaded; replayed when mended.

DATIVO_POISON_ROWS=1000000 pytest tests/pipelines/test_poison.py     # 20,000 by default
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pytest

from tests.pipelines import third_party
from tests.servers.postgres import Postgres
from tests.workspace import ROOT, Workspace

ROWS = int(os.environ.get("DATIVO_POISON_ROWS") or 20_000)
POISON = [ROWS // 7, ROWS // 2, ROWS - 3]
TAP = ROOT / "tests/fixtures/tap-poison"
MAPPER = ROOT / "tests/fixtures/map-mend"
pytestmark = pytest.mark.timeout(1_800)


def project(workspace: Workspace, folder: Path, kind: str) -> Workspace:
    made = workspace.branch(folder / "project")
    made.dativo("add", str(TAP), str(MAPPER)).expect()
    made.configure(
        {"tap-poison": {"config": {"rows": ROWS, "every": max(ROWS // 20, 1), "poison": POISON, "kind": kind}}}
    )
    return made


def letters(workspace: Workspace, job: str) -> list[dict[str, object]]:
    [file] = (workspace.folder / ".dativo/dead-letters" / job).glob("*.jsonl")
    found = [json.loads(line) for line in file.read_text().splitlines()]
    return [letter for letter in found if letter["type"] == "RECORD"]


def ids(query: str) -> set[int]:
    with duckdb.connect() as connection:
        return {row[0] for row in connection.execute(query).fetchall()}


@pytest.mark.parametrize("target", ["target-duckdb", "target-jsonl"])
def test_rows_that_break_their_schema(target: str, our_plugins: Workspace, tmp_path: Path) -> None:
    workspace = project(our_plugins, tmp_path, "schema")
    out = workspace.folder / ("out.duckdb" if target == "target-duckdb" else "out")
    workspace.configure({target: {"config": {"path": str(out)}}})
    job = f"tap-poison-to-{target}"
    answer = workspace.dativo("run", "tap-poison", target, "--on-bad-record", "quarantine", "--json").expect()
    assert (answer.json["records"], answer.json["rejected"]) == (ROWS - 3, 3)
    found = letters(workspace, job)
    assert [letter["record"] for letter in found] == [{"id": n, "v": 12} for n in POISON]
    assert {letter["dead_letter"]["rule"] for letter in found} == {"type"}
    there = f"select id from read_ndjson('{out}/t.jsonl')"
    if target == "target-duckdb":
        there = f"attach '{out}' as o (read_only); select id from o.t"
    assert ids(there) == set(range(ROWS)) - set(POISON)

    workspace.dativo("dlq", "replay", job, "map-mend").expect()
    assert ids(there) == set(range(ROWS))


@pytest.mark.servers
@pytest.mark.plugins
def test_rows_that_only_the_target_refuses(meltanolabs: Workspace, source: Postgres, tmp_path: Path) -> None:
    """A NUL character is a text in JSON and in no PostgreSQL: meltanolabs-target-postgres dies of it."""
    workspace = project(meltanolabs, tmp_path, "nul")
    destination = third_party.tables(workspace.folder / "rows", source)
    workspace.configure({"target-postgres": {"config": destination.config}})
    words = ("run", "tap-poison", "target-postgres", "--on-bad-record", "quarantine", "--retries", "2")
    answer = workspace.dativo(*words, "--json").expect()
    assert (answer.json["records"], answer.json["rejected"]) == (ROWS - 3, 3), answer.stderr
    job = "tap-poison-to-target-postgres"
    found = letters(workspace, job)
    assert [letter["record"]["id"] for letter in found] == POISON
    assert {letter["dead_letter"]["rule"] for letter in found} == {"target"}
    assert all("NUL" in letter["dead_letter"]["reason"] for letter in found)
    database = str(destination.config["database"])
    count = "select count(*), count(distinct id), min(id), max(id) from t"
    assert source.sql(count, database=database).strip() == f"{ROWS - 3}|{ROWS - 3}|0|{ROWS - 1}"

    workspace.dativo("dlq", "replay", job, "map-mend").expect()
    assert source.sql(count, database=database).strip() == f"{ROWS}|{ROWS}|0|{ROWS - 1}"
