"""Real connectors from the package index, unmodified, in `standard`: in full, incrementally, and after a kill -9.

source-faker makes rows by itself, source-file reads a file, source-s3 moto's server, and a declarative manifest
a loopback site.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import processes
from tests.airbyte import boats
from tests.servers import buckets
from tests.servers.postgres import Postgres
from tests.workspace import Workspace, installed

CONNECTORS = ("airbyte:source-faker==7.2.1", "airbyte:source-file==0.5.39", "airbyte:source-s3==4.14.2")
FAKER = {"seed": 7, "always_updated": False, "records_per_slice": 100, "parallelism": 1}
PATIENCE = 120.0


@pytest.fixture(scope="session")
def connectors(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """All of them, with our targets."""
    base = tmp_path_factory.getbasetemp()
    manifest = base / "source-boats" / "manifest.yaml"
    manifest.parent.mkdir(exist_ok=True)
    manifest.write_text(boats.MANIFEST)
    return installed("airbyte", [*CONNECTORS, f"airbyte:{manifest}", "target-duckdb", "target-postgres"], base)


class Place:
    """A project and where it loads to."""

    def __init__(self, workspace: Workspace, target: str, server: Postgres | None) -> None:
        self.workspace, self.target, self.server = workspace, target, server
        self.schema = "x" + os.urandom(4).hex()
        self.file = workspace.folder / "out.duckdb"
        config: dict[str, Any] = {"path": str(self.file)}
        if server is not None:
            config = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
            config |= {"dbname": server.database, "default_target_schema": self.schema}
        workspace.configure({target: {"config": config}})

    def run(self, source: str, *words: str, **config: Any) -> dict[str, Any]:
        self.workspace.configure({source: {"config": config}})
        answer = self.workspace.dativo("run", f"airbyte:{source}", self.target, "--json", *words)
        found: dict[str, Any] = answer.expect().json
        return found

    def one(self, query: str) -> Any:
        """The first value of a query; `{t}` stands before a table's name."""
        if self.server is not None:
            return float(self.server.sql(query.replace("{t}", f"{self.schema}.")))
        with duckdb.connect(str(self.file), read_only=True) as database:
            row = database.execute(query.replace("{t}", "")).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(params=["target-duckdb", "target-postgres"])
def place(request: pytest.FixtureRequest, connectors: Workspace, tmp_path: Path) -> Iterator[Place]:
    """Into DuckDB and into PostgreSQL."""
    server = request.getfixturevalue("server") if request.param == "target-postgres" else None
    yield Place(connectors.branch(tmp_path / "project"), request.param, server)


def test_faker(place: Place) -> None:
    first = place.run("source-faker", count=300, **FAKER)
    assert {name: one["records"] for name, one in first["streams"].items()} == {
        "users": 300, "purchases": 300, "products": 100
    }  # fmt: skip
    assert place.one("SELECT count(*) FROM {t}users") == 300
    again = place.run("source-faker", count=300, **FAKER)
    assert again["records"] == 0
    assert again["verdict"] == "done"
    full = place.run("source-faker", "--full-refresh", "--stream", "users", count=300, **FAKER)
    assert full["records"] == 300
    assert place.one("SELECT count(*) FROM {t}users") == 300


def test_faker_goes_on_after_a_kill(place: Place) -> None:
    workspace = place.workspace
    workspace.configure({"source-faker": {"config": {**FAKER, "count": 3000}}})
    line = f"exec dativo run airbyte:source-faker {place.target} --stream users --retries 0"
    process = workspace.start(line)
    job = f"source-faker-to-{place.target}"
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until and not _some_rows(workspace, job):
        time.sleep(0.05)
    processes.kill_all(process.pid)
    process.communicate()
    summary = place.run("source-faker", "--stream", "users", **FAKER, count=3000)
    assert summary["verdict"] == "done"
    assert place.one("SELECT count(*) FROM {t}users") == 3000
    assert place.one("SELECT count(DISTINCT id) FROM {t}users") == 3000


def _some_rows(workspace: Workspace, job: str) -> bool:
    answer = workspace.dativo("state", "get", job)
    return answer.code == 0 and "loop_offset" in answer.stdout


def test_a_file(place: Place) -> None:
    folder = place.workspace.folder / "data"
    folder.mkdir()
    file = folder / "boats.csv"
    file.write_text("id,name,length\n" + "".join(f"{n},Boat {n},{n}.5\n" for n in range(1000)))
    place.workspace.configure({"source-file": {"sandbox": {"read": [str(folder)]}}})
    config = {"dataset_name": "boats", "format": "csv", "url": str(file), "provider": {"storage": "local"}}
    assert place.run("source-file", **config)["records"] == 1000
    assert place.one("SELECT count(*) FROM {t}boats") == 1000
    assert place.one("SELECT sum(length) FROM {t}boats") == sum(n + 0.5 for n in range(1000))


def test_a_bucket(place: Place) -> None:
    with buckets.served() as service:
        service.create("harbour")
        for number in range(3):
            text = "id,name\n" + "".join(f"{number * 100 + n},Boat {n}\n" for n in range(100))
            service.put("harbour", f"boats/{number}.csv", text.encode())
        config = {
            "bucket": "harbour",
            "endpoint": service.url,
            **buckets.KEYS,
            "region_name": buckets.REGION,
            "streams": [
                {
                    "name": "boats",
                    "globs": ["boats/*.csv"],
                    "format": {"filetype": "csv"},
                    "validation_policy": "Emit Record",
                }
            ],
        }
        assert place.run("source-s3", **config)["records"] == 300
        assert place.run("source-s3", **config)["records"] == 0
        service.put("harbour", "boats/3.csv", b"id,name\n300,Boat\n301,Boat\n")
        assert place.run("source-s3", **config)["records"] == 2
    assert place.one("SELECT count(*) FROM {t}boats") == 302


def test_a_declarative_manifest(place: Place) -> None:
    with boats.harbour(1300) as harbour:
        config = {"base": harbour.url, "api_key": boats.KEY}
        assert place.run("source-boats", **config)["records"] == 1300
        asked = len(harbour.asked)
        harbour.arrive(60)
        again = place.run("source-boats", **config)
        assert 60 <= again["records"] < 200
        assert len(harbour.asked) - asked < asked
        refused = place.workspace
        refused.configure({"source-boats": {"config": {**config, "api_key": "another"}}})
        answer = refused.dativo("run", "airbyte:source-boats", place.target, "--retries", "2").expect(2)
        assert "error[config.refused]" in answer.stderr
    assert place.one("SELECT count(*) FROM {t}boats") == 1360
    assert place.one("SELECT count(DISTINCT id) FROM {t}boats") == 1360


def test_a_manifest_goes_on_after_a_kill(place: Place) -> None:
    workspace = place.workspace
    with boats.harbour(1300) as harbour:
        config = {"base": harbour.url, "api_key": boats.KEY}
        workspace.configure({"source-boats": {"config": config}})
        harbour.stuck_after = 8  # one month is read, and half of the next
        process = workspace.start(f"exec dativo run airbyte:source-boats {place.target} --retries 0")
        assert harbour.stuck.wait(PATIENCE)
        processes.kill_all(process.pid)
        process.communicate()
        harbour.stuck_after = None
        harbour.released.set()
        assert place.run("source-boats", **config)["verdict"] == "done"
    assert place.one("SELECT count(*) FROM {t}boats") == 1300
    assert place.one("SELECT count(DISTINCT id) FROM {t}boats") == 1300


def test_what_was_added_can_be_synced_elsewhere(connectors: Workspace, tmp_path: Path) -> None:
    copy = connectors.branch(tmp_path / "copy")
    assert json.loads(copy.dativo("sync", "--frozen", "--json").expect().stdout)
    listed = {one["name"]: one for one in copy.dativo("list", "--json").expect().json}
    assert {"source-faker", "source-file", "source-s3", "source-boats"} <= set(listed)
    assert "source-faker" in copy.shell("dativo airbyte:source-faker --help").expect().stdout
