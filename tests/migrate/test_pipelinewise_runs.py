"""A PipelineWise project as PipelineWise runs it, and as `dativo run` runs what was imported: equal rows, equal states.

The command line and every file are those that PipelineWise makes of the YAML (cli/commands.py, cli/config.py); the
plugins are its own, from the package index.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import Workspace, building

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]

TABLES = """
create schema crm;
create table crm.people (id int primary key, name text, email text, phone text, born date, at timestamptz not null);
create table crm.cities (city text primary key, size bigint);
create table crm.secret (id int primary key, never text);
insert into crm.people select n, 'name ' || n, 'p' || n || '@example.com', '+49 30 ' || n, date '1980-01-01' + n,
  timestamptz '2024-01-01 00:00:00+00' + n * interval '1 minute' from generate_series(1, 500) as n;
insert into crm.cities values ('Köln', 1080000), ('Łódź', 670000), ('東京', 13960000), ('O''Fallon', null);
insert into crm.secret values (1, 'never moved');
"""
MORE = """
insert into crm.people select n, 'name ' || n, null, null, null,
  timestamptz '2025-01-01 00:00:00+00' + n * interval '1 hour' from generate_series(501, 520) as n;
update crm.people set email = 'changed@example.com', at = '2025-06-01 00:00:00+00' where id = 7;
"""
TAP = """\
id: "crm-db"
name: "CRM: people & places"
type: "tap-postgres"
owner: "somebody@foo.com"
db_conn:
  host: "{host}"
  port: {port}
  user: "{user}"
  password: "{{{{ env_var['CRM_PASSWORD'] }}}}"
  dbname: "crm"
  filter_schemas: "crm"
target: "dwh"
batch_size_rows: 1000
stream_buffer_size: 0
schemas:
  - source_schema: "crm"
    target_schema: "repl_crm"
    tables:
      - table_name: "people"
        replication_method: "INCREMENTAL"
        replication_key: "at"
        transformations:
          - {{column: "email", type: "HASH"}}
          - {{column: "phone", type: "SET-NULL", when: [{{column: "name", regex_match: "name 1.*"}}]}}
      - table_name: "cities"
        replication_method: "FULL_TABLE"
"""
TARGET = """\
id: "dwh"
name: "Warehouse"
type: "target-postgres"
db_conn:
  host: "{host}"
  port: {port}
  user: "{user}"
  password: "{password}"
  dbname: "{database}"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres.cluster() as started:
        started.create_database("crm")
        started.sql(TABLES, database="crm")
        yield started


def reach(server: Postgres, database: str) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "dbname": database,
    }


def written(server: Postgres, folder: Path, database: str) -> Path:
    server.create_database(database)
    folder.mkdir()
    (folder / "tap_crm.yml").write_text(TAP.format(**reach(server, "")))
    (folder / "target_dwh.yml").write_text(TARGET.format(**reach(server, ""), database=database))
    return folder


class ByHand:
    """What PipelineWise keeps in ~/.pipelinewise for one tap, and the line that it runs."""

    def __init__(self, server: Postgres, folder: Path, database: str, programs: Workspace) -> None:
        self.folder = folder / "dwh" / "crm-db"
        self.folder.mkdir(parents=True)
        self.environment = programs.environment()
        self.tap, self.transform, self.target = (
            programs.executable(name) for name in ("tap-crm-db", "transform-crm-db", "target-dwh")
        )
        self.keep("config.json", {**reach(server, "crm"), "filter_schemas": "crm", "tap_id": "crm-db"})
        changes = [
            {"tap_stream_name": "crm-people", "field_id": "email", "safe_field_id": '"EMAIL"', "field_paths": None,
             "type": "HASH", "when": None},
            {"tap_stream_name": "crm-people", "field_id": "phone", "safe_field_id": '"PHONE"', "field_paths": None,
             "type": "SET-NULL", "when": [{"column": "name", "regex_match": "name 1.*"}]},
        ]  # fmt: skip
        self.keep("transformation.json", {"transformations": changes})
        mapping = {"crm": {"target_schema": "repl_crm", "target_schema_select_permissions": []}}
        inherited = {"batch_size_rows": 1000, "parallelism": 0, "parallelism_max": 4, "hard_delete": True,
                     "flush_all_streams": False, "primary_key_required": True, "schema_mapping": mapping,
                     "data_flattening_max_level": 0, "validate_records": False,
                     "add_metadata_columns": False}  # fmt: skip
        self.keep("target.json", {**reach(server, database), "temp_dir": str(folder), "tap_id": "crm-db", **inherited})
        self.keep("properties.json", self.selected(self.run(f"{self.tap} --config config.json --discover")))

    def keep(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content))

    def selected(self, discovered: str) -> Any:
        catalog = json.loads(discovered)
        chosen = {"crm-people": ("INCREMENTAL", "at"), "crm-cities": ("FULL_TABLE", None)}
        for stream in catalog["streams"]:
            root = next(one["metadata"] for one in stream["metadata"] if not one["breadcrumb"])
            root["selected"] = stream["tap_stream_id"] in chosen
            if root["selected"]:
                method, key = chosen[stream["tap_stream_id"]]
                root |= {"replication-method": method, **({"replication-key": key} if key else {})}
        return catalog

    def run(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def sync(self) -> Any:
        """One run; PipelineWise keeps the last state that the target printed."""
        state = "--state state.json" if (self.folder / "state.json").exists() else ""
        printed = self.run(
            f"{self.tap} --config config.json --properties properties.json {state} "
            f"| {self.transform} --config transformation.json | {self.target} --config target.json"
        )
        (self.folder / "state.json").write_text(printed.strip().rpartition("\n")[2])
        return self.state()

    def state(self) -> Any:
        return json.loads((self.folder / "state.json").read_text())


def landed(server: Postgres, database: str) -> dict[str, list[dict[str, Any]]]:
    """Every row, without when it was loaded."""
    names = server.sql("select tablename from pg_tables where schemaname = 'repl_crm' order by 1", database=database)
    return {
        name: sorted(map(timeless, server.rows(f"select * from repl_crm.{name}", database=database)), key=str)
        for name in names.split()
    }


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("_sdc_batched_at", "_sdc_extracted_at")}


def versionless(state: dict[str, Any]) -> dict[str, Any]:
    """A state without the versions of its tables, which are the time of the run in milliseconds."""
    marks = {
        name: {key: one for key, one in mark.items() if key != "version"} for name, mark in state["bookmarks"].items()
    }
    return {**state, "bookmarks": marks}


def test_equal_rows_and_equal_states_then_on_from_the_state(server: Postgres, tmp_path: Path) -> None:
    project = Workspace(tmp_path / "shop", tmp_path / "home")
    (project.folder / "dativo.yml").unlink()
    yaml = written(server, tmp_path / "yaml", "by_dativo")
    server.create_database("by_hand")
    project.dativo("import", "pipelinewise", yaml).expect()
    assert server.password not in (project.folder / "dativo.yml").read_text()
    assert (project.folder / ".env").stat().st_mode & 0o777 == 0o600
    with (project.folder / ".env").open("a") as file:
        file.write(f"CRM_PASSWORD={server.password}\n")
    with building(project.home):
        project.dativo("sync").expect()

    hand = ByHand(server, tmp_path / "config", "by_hand", project)
    after = hand.sync()
    project.dativo("run", "crm-db").expect()
    rows = landed(server, "by_hand")
    assert {name: len(found) for name, found in rows.items()} == {"cities": 4, "people": 500}
    assert all(len(one["email"]) == 64 for one in rows["people"])
    assert {one["phone"] for one in rows["people"] if one["name"].startswith("name 1")} == {None}
    assert landed(server, "by_dativo") == rows
    assert versionless(project.bookmark("crm-db")) == versionless(after)

    # The same move with the state that PipelineWise has by now: only what is new is read.
    later = Workspace(tmp_path / "later", tmp_path / "home")
    (later.folder / "dativo.yml").unlink()
    yaml = written(server, tmp_path / "yaml-later", "by_dativo_later")
    later.dativo("import", "pipelinewise", yaml, "--config-dir", tmp_path / "config").expect()
    (later.folder / ".env").write_text((project.folder / ".env").read_text())
    later.dativo("sync").expect()
    assert later.bookmark("crm-db") == after
    server.sql(MORE, database="crm")
    after = hand.sync()
    done = later.dativo("run", "crm-db", "--json").expect().json
    fresh = landed(server, "by_dativo_later")
    assert {name: len(found) for name, found in fresh.items()} == {"cities": 4, "people": 22}, done
    assert versionless(later.bookmark("crm-db")) == versionless(after)
    whole = {one["id"]: one for one in landed(server, "by_hand")["people"]}
    assert fresh["people"] == sorted((whole[one["id"]] for one in fresh["people"]), key=str)
