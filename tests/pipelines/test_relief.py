"""A target's own check of records is turned off where the data plane checks them: the same rows are refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.postgres import Postgres
from tests.workspace import Workspace, unique

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(900)]
SETTING = "target-postgres.validate_records"
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string", "maxLength": 5},
        "size": {"type": ["number", "null"], "minimum": 0},
        "kind": {"type": "string", "enum": ["x", "y"]},
        "flag": {"type": ["boolean", "null"]},
        "more": {"type": ["object", "null"], "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
    "required": ["id", "name"],
}
ROWS: list[dict[str, Any]] = [
    {"id": 0, "name": "fine", "size": 1.5, "kind": "x", "flag": True, "more": {"n": 1}},
    {"id": 1, "name": "fine", "size": None, "flag": None, "more": None},
    {"id": 2, "name": "too long"},
    {"id": 3, "name": None},
    {"id": 4},
    {"id": 5, "name": "ok", "size": -1},
    {"id": 6, "name": "ok", "size": "7"},
    {"id": 7, "name": "ok", "kind": "z"},
    {"id": 8, "name": "ok", "flag": 1},
    {"id": 9, "name": "ok", "more": {"n": "x"}},
    {"id": 10, "name": "ok", "more": {}},
    {"id": 11, "name": "ok", "unknown": "column"},
]


@pytest.fixture(scope="module")
def workspace(meltanolabs: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The target, and a tap that prints a file."""
    folder = tmp_path_factory.mktemp("relief")
    branch = meltanolabs.branch(folder / "project")
    tap = folder / "tap-lines"
    tap.write_text(f'#!/bin/sh\ncase "$*" in *--about*|*--help*) exit 2;; esac\nexec cat {branch.folder}/lines\n')
    tap.chmod(0o755)
    branch.dativo("add", tap).expect()
    branch.configure({"tap-lines": {"sandbox": {"read": [str(branch.folder)]}}})
    return branch


def lines(*rows: dict[str, Any]) -> str:
    """Singer messages with these rows."""
    schema = {"type": "SCHEMA", "stream": "t", "schema": SCHEMA, "key_properties": ["id"]}
    records = [{"type": "RECORD", "stream": "t", "record": row} for row in rows]
    state = {"type": "STATE", "value": {"bookmarks": {"t": {"id": rows[-1]["id"]}}}}
    return "".join(json.dumps(one) + "\n" for one in (schema, *records, state))


def settings(server: Postgres) -> dict[str, Any]:
    """The target's, with a database of its own."""
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return {**reach, "database": server.create_database(unique("relief").replace("-", "_"))} | {
        "default_target_schema": "public"
    }


def there(server: Postgres, config: dict[str, Any]) -> list[int]:
    """The ids in the table."""
    return [int(word) for word in server.sql("select id from t order by id", database=config["database"]).split()]


def run(workspace: Workspace, config: dict[str, Any], *words: str, rows: list[dict[str, Any]] = ROWS) -> Any:
    """`dativo run` of these rows."""
    (workspace.folder / "lines").write_text(lines(*rows))
    workspace.configure({"target-postgres": {"config": config}})
    return workspace.dativo("run", "tap-lines", "target-postgres", "--job", unique("relief"), "--json", *words)


def refused_by_the_target(workspace: Workspace, config: dict[str, Any], row: dict[str, Any], folder: Path) -> bool:
    """Whether the target, in a bare pipe and checking, refuses a row."""
    (folder / "config.json").write_text(json.dumps(config))
    command = [str(workspace.executable("target-postgres")), "--config", str(folder / "config.json")]
    done = subprocess.run(command, input=lines(row), capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "alidation" in done.stderr, done.stderr[-3000:]
    return done.returncode != 0


def test_the_same_rows_are_refused(workspace: Workspace, source: Postgres, tmp_path: Path):
    config = settings(source)
    refused = [row["id"] for row in ROWS if refused_by_the_target(workspace, config, row, tmp_path)]
    taken = [row["id"] for row in ROWS if row["id"] not in refused]
    assert refused == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert there(source, config) == taken

    relieved = settings(source)
    summary = run(workspace, relieved, "--on-bad-record", "quarantine").expect().json
    assert summary["relieved"] == [SETTING]
    assert summary["rejects"] == {"t": len(refused)}
    assert there(source, relieved) == taken

    kept = {**settings(source), "validate_records": True}
    summary = run(workspace, kept, "--on-bad-record", "quarantine").expect().json
    assert (summary["relieved"], summary["rejects"]) == ([], {"t": len(refused)})
    assert there(source, kept) == taken


def test_a_bad_record_still_fails_the_run(workspace: Workspace, source: Postgres):
    answer = run(workspace, settings(source), rows=[ROWS[0], ROWS[2]]).expect(4)
    assert answer.json["code"] == "data.schema"


def test_where_nothing_is_checked_before_it_the_target_checks(workspace: Workspace, source: Postgres):
    answer = run(workspace, settings(source), "--no-validate", rows=[ROWS[0], ROWS[2]])
    assert answer.code not in (0, 4)
    assert "alidation" in answer.stderr
    fine = run(workspace, settings(source), "--no-validate", rows=[ROWS[0]]).expect().json
    assert fine["relieved"] == []


def test_the_shell_pipe_does_it_too_and_people_are_told(workspace: Workspace, source: Postgres):
    config = settings(source)
    (workspace.folder / "lines").write_text(lines(ROWS[0]))
    workspace.configure({"target-postgres": {"config": config}})
    answer = workspace.shell("dativo tap-lines | dativo target-postgres", unique("relief")).expect()
    assert f"{SETTING}: false" in answer.stderr
    assert there(source, config) == [0]
