"""Connectors that are images, with a stand-in for the engine: what it is asked to do, and what comes of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import processes
from tests.airbyte import engine
from tests.airbyte.conftest import DESTINATION, FAULT
from tests.airbyte.engine import Engine
from tests.workspace import Answer, Workspace

IMAGE = "airbyte/source-ship:1.2"
JOB = "source-ship-to-target-duckdb"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Engine]:
    """An engine that has the source that misbehaves as an image."""
    program = tmp_path / "program.py"
    shutil.copy(FAULT, program)
    with engine.engine() as server:
        server.images[IMAGE] = program
        yield server


class Docked(Workspace):
    """A project whose shell knows the engine."""

    def __init__(self, folder: Path, home: Path, socket: Path) -> None:
        super().__init__(folder, home)
        self.socket = socket

    def environment(self, job: str | None = None) -> dict[str, str]:
        return {**super().environment(job), "DOCKER_HOST": f"unix://{self.socket}"}

    def run(self, *words: str, network: Any = "none", **config: Any) -> Answer:
        self.configure({"source-ship": {"config": config, "sandbox": {"network": network}}})
        return self.dativo("run", "airbyte:source-ship", "target-duckdb", "--stream", "users", *words)


@pytest.fixture
def docked(fault: Workspace, running: Engine) -> Docked:
    """With the image added."""
    workspace = Docked(fault.folder, fault.home, running.path)
    workspace.dativo("add", f"airbyte:docker/{IMAGE}").expect()
    return workspace


def test_a_destination_reads_what_it_is_given(docked: Docked, running: Engine, tmp_path: Path) -> None:
    running.images["airbyte/destination-quay:3.1"] = DESTINATION
    docked.dativo("add", "airbyte:docker/airbyte/destination-quay:3.1").expect()
    kept = tmp_path / "kept.jsonl"
    ends = {"source-ship": {"config": {"rows": 25}, "sandbox": {"network": "none"}}}
    docked.configure({**ends, "destination-quay": {"config": {"file": str(kept)}, "sandbox": {"network": "none"}}})
    docked.dativo("config", "destination-quay", "test").expect()
    words = ("run", "airbyte:source-ship", "airbyte:destination-quay", "--stream", "users", "--json")
    first = docked.dativo(*words).expect().json
    assert (first["records"], first["bookmark"]["covered"]) == (25, 25)
    assert docked.dativo(*words).expect().json["records"] == 0
    assert sum('"RECORD"' in line for line in kept.read_text().splitlines()) == 25
    asked = next(one for one in running.created if "write" in one["Cmd"])
    assert (asked["OpenStdin"], asked["StdinOnce"], asked["HostConfig"]["Binds"]) == (True, True, [])
    assert running.containers == {}


def test_a_destination_that_ends_before_its_input(docked: Docked, running: Engine, tmp_path: Path) -> None:
    running.images["airbyte/destination-quay:3.1"] = DESTINATION
    docked.dativo("add", "airbyte:docker/airbyte/destination-quay:3.1").expect()
    docked.configure({"source-ship": {"config": {"rows": 100_000}, "sandbox": {"network": "none"}}})
    config = {"file": str(tmp_path / "kept.jsonl"), "trouble": "config_error"}
    docked.configure({"destination-quay": {"config": config, "sandbox": {"network": "none"}}})
    words = ("run", "airbyte:source-ship", "airbyte:destination-quay", "--stream", "users", "--retries", "2")
    answer = docked.dativo(*words).expect(2)
    assert "error[config.refused]  destination-quay: the harbour is closed" in answer.stderr
    assert running.containers == {}


def rows(workspace: Workspace) -> Any:
    with duckdb.connect(str(workspace.folder / "out.duckdb"), read_only=True) as database:
        return database.execute("SELECT count(*), count(DISTINCT id) FROM users").fetchone()


def test_it_is_a_tap_like_others(docked: Docked, running: Engine) -> None:
    assert "airbyte:docker/airbyte/source-ship:1.2" in (docked.folder / "dativo.yml").read_text()
    assert docked.run("--json", rows=25).expect().json["records"] == 25
    assert docked.run("--json", rows=40).expect().json["records"] == 15
    assert rows(docked) == (40, 40)
    docked.dativo("config", "source-ship", "test").expect()
    assert docked.dativo("discover", "source-ship", "--json").expect().json["streams"][0]["stream"] == "users"
    assert running.containers == {}  # each was taken away
    docked.dativo("sync", "--frozen").expect()


def test_what_it_is_granted_is_put_to_the_engine(docked: Docked, running: Engine) -> None:
    docked.configure({"source-ship": {"limits": {"memory": "300M", "processes": 50}}})
    docked.run(rows=5).expect()
    for asked in running.created:
        host = asked["HostConfig"]
        assert (host["NetworkMode"], asked["NetworkDisabled"]) == ("none", True)
        assert (host["Binds"], host["CapDrop"], host["SecurityOpt"]) == ([], ["ALL"], ["no-new-privileges"])
        assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
    host = running.created[-1]["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (300 << 20, 300 << 20, 50)
    docked.run(network="any", rows=5).expect()
    assert running.created[-1]["HostConfig"]["NetworkMode"] == "bridge"


def test_single_hosts_cannot_be_granted(docked: Docked, running: Engine) -> None:
    before = len(running.created)
    answer = docked.run(network=["db.example.org:5432"], rows=5).expect(3)
    assert "error[sandbox.unavailable]" in answer.stderr
    assert "dativo allow source-ship --network any" in answer.stderr
    assert len(running.created) == before


def test_its_secrets_are_in_no_argument(docked: Docked, running: Engine) -> None:
    docked.run(rows=5, token="very-secret-token").expect()
    assert "very-secret-token" not in str(running.created)


def test_its_exit_code_and_its_words(docked: Docked) -> None:
    answer = docked.run("--retries", "0", say=["going down\n"], end=3).expect(1)
    assert "source-ship exited with 3" in answer.stderr


def test_what_a_killed_run_left_is_taken_away_by_the_next(docked: Docked, running: Engine) -> None:
    docked.configure({"source-ship": {"config": {"rows": 10, "hang": True}, "sandbox": {"network": "none"}}})
    process = docked.start("exec dativo run airbyte:source-ship target-duckdb --stream users --retries 0")
    until = time.monotonic() + 120
    while time.monotonic() < until and not any("read" in one["Cmd"] for one in running.created):
        time.sleep(0.05)
    processes.kill_all(process.pid)
    process.communicate()
    assert len(running.containers) == 1
    (left,) = running.containers
    docked.configure({"source-ship": {"config": {"hang": False}}})
    docked.run(rows=10).expect()
    assert left in running.removed
    assert running.containers == {}


def test_a_job_of_that_name_elsewhere_keeps_its_container(docked: Docked, running: Engine, tmp_path: Path) -> None:
    docked.configure({"source-ship": {"config": {"rows": 10, "hang": True}, "sandbox": {"network": "none"}}})
    process = docked.start("exec dativo run airbyte:source-ship target-duckdb --stream users --retries 0")
    until = time.monotonic() + 120
    while time.monotonic() < until and not any("read" in one["Cmd"] for one in running.created):
        time.sleep(0.05)
    (theirs,) = running.containers
    elsewhere = docked.branch(tmp_path / "elsewhere")
    elsewhere.configure({"target-duckdb": {"config": {"path": str(tmp_path / "elsewhere.duckdb")}}})
    Docked(elsewhere.folder, elsewhere.home, running.path).run(rows=7).expect()
    assert set(running.containers) == {theirs}
    processes.kill_all(process.pid)
    process.communicate()


def test_another_image_of_that_tag_is_not_taken(docked: Docked, running: Engine) -> None:
    program = running.images[IMAGE]
    program.write_text(program.read_text() + "# changed\n")
    answer = docked.dativo("sync", "--frozen").expect(3)
    assert "error[plugin.tampered]" in answer.stderr
    answer = docked.run("--retries", "0", rows=5)
    assert answer.code == 3 or "No such image" in answer.stderr


def test_an_image_that_was_built_here(fault: Workspace, running: Engine) -> None:
    running.built.add(IMAGE)
    workspace = Docked(fault.folder, fault.home, running.path)
    workspace.dativo("add", f"airbyte:docker/{IMAGE}").expect()
    assert workspace.run("--json", rows=3).expect().json["records"] == 3


def test_an_engine_that_says_no(fault: Workspace, running: Engine) -> None:
    workspace = Docked(fault.folder, fault.home, running.path)
    answer = workspace.dativo("add", "airbyte:docker/airbyte/source-none:1").expect(3)
    assert "error[env.engine]" in answer.stderr
    assert "pull access denied" in answer.stderr
    assert "no image with a tag" in workspace.dativo("add", "airbyte:docker/airbyte/source-none").expect(2).stderr


def test_without_an_engine(fault: Workspace, tmp_path: Path) -> None:
    workspace = Docked(fault.folder, fault.home, tmp_path / "nobody.sock")
    answer = workspace.dativo("add", f"airbyte:docker/{IMAGE}").expect(3)
    assert "error[env.engine]" in answer.stderr
