"""A destination that misbehaves in every way: what is confirmed, what is told, what is tried again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workspace import Answer, Workspace

JOB = "tap-csv-to-destination-fault"


@pytest.fixture
def quay(quay_project: Workspace, tmp_path: Path) -> Workspace:
    """With bookmarks and data of its own, and two streams to load."""
    workspace = quay_project.branch(tmp_path / "project")
    (workspace.folder / "data").mkdir()
    (workspace.folder / "kept").mkdir()
    for name, rows in (("boats", 300), ("crews", 100)):
        lines = "".join(f"{number},{name} {number}\n" for number in range(rows))
        (workspace.folder / "data" / f"{name}.csv").write_text(f"id,name\n{lines}")
    workspace.configure({"tap-csv": {"config": {"files": "data/*.csv"}}})
    configure(workspace)
    return workspace


def configure(workspace: Workspace, **config: Any) -> None:
    folder = workspace.folder / "kept"
    section = {"config": {"file": str(folder / "lines"), **config}, "sandbox": {"write": [str(folder)]}}
    workspace.configure({"destination-fault": section})


def run(workspace: Workspace, *words: str, **config: Any) -> Answer:
    configure(workspace, **config)
    return workspace.dativo("run", "tap-csv", "airbyte:destination-fault", *words)


def kept(workspace: Workspace) -> list[dict[str, Any]]:
    """What it was started with, and what it read up to STATEs."""
    return [json.loads(line) for line in (workspace.folder / "kept" / "lines").read_text().splitlines()]


def starts(workspace: Workspace) -> list[dict[str, Any]]:
    return [one["start"] for one in kept(workspace) if "start" in one]


def data(workspace: Workspace, name: str) -> list[Any]:
    records = [one["record"] for one in kept(workspace) if one.get("type") == "RECORD"]
    return [one["data"]["id"] for one in records if one["stream"] == name]


def trace(kind: str) -> str:
    error = {"message": "m" * 30, "failure_type": kind}
    return json.dumps({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}})


def test_what_it_is_given(quay: Workspace) -> None:
    run(quay).expect()
    (start,) = starts(quay)
    assert set(start) == {"boats", "crews"}
    boats = start["boats"]
    assert (boats["sync_mode"], boats["destination_sync_mode"], boats["primary_key"]) == ("incremental", "append", [])
    assert set(boats["stream"]["json_schema"]["properties"]) == {"id", "name"}
    assert data(quay, "boats") == list(range(300))
    kinds = [one["type"] for one in kept(quay)[1:]]
    assert kinds[-2:] == ["TRACE", "TRACE"]
    assert quay.bookmark(JOB)["bookmarks"].keys() == {"boats", "crews"}


@pytest.mark.parametrize("echo", ["all", "bare"])
def test_what_comes_back_confirms(quay: Workspace, echo: str) -> None:
    told = run(quay, "--json", echo=echo).expect().json["bookmark"]
    assert (told["covered"], told["confirmed"]) == (400, told["states"])
    assert run(quay, "--json", echo=echo).expect().json["records"] == 0


def test_no_echo(quay: Workspace) -> None:
    answer = run(quay, echo="none").expect(1)
    assert "error[target.unconfirmed]" in answer.stderr and "--confirm never" in answer.stderr
    assert quay.bookmark(JOB) is None
    assert run(quay, "--json", "--confirm", "never", echo="none").expect().json["records"] == 400
    assert quay.bookmark(JOB) is None


@pytest.mark.parametrize("echo", ["wrong", "early", "last"])
def test_an_echo_that_confirms_nothing(quay: Workspace, echo: str) -> None:
    """Of a value that was not sent; of none yet; of one stream alone where two had records."""
    answer = run(quay, echo=echo).expect()
    assert "the old bookmark stays" in answer.stderr
    assert quay.bookmark(JOB) is None


def test_the_last_of_the_only_stream_confirms_all(quay: Workspace) -> None:
    run(quay, "--stream", "boats", echo="last").expect()
    assert quay.bookmark(JOB)["bookmarks"].keys() == {"boats"}


def test_killed_it_is_started_again_where_it_was(quay: Workspace) -> None:
    answer = run(quay, "--json", "--retries", "2", die_at=350).expect()
    assert "destination-fault was started again in place" in answer.json["notes"][0]
    assert data(quay, "boats") == list(range(300))
    assert data(quay, "crews") == list(range(100))
    assert len(starts(quay)) == 2


def test_killed_the_next_run_goes_on(quay: Workspace) -> None:
    answer = run(quay, die_at=350).expect(1)
    assert "destination-fault was killed" in answer.stderr
    assert quay.bookmark(JOB)["bookmarks"].keys() == {"boats"}
    assert run(quay, "--json").expect().json["records"] == 100
    assert (data(quay, "boats"), data(quay, "crews")) == (list(range(300)), list(range(100)))


def test_killed_in_a_shell_pipe_the_next_one_goes_on(quay: Workspace) -> None:
    configure(quay, die_at=350)
    line = "dativo tap-csv | dativo airbyte:destination-fault"
    assert "destination-fault was killed" in quay.shell(line).expect(1).stderr
    assert "100 read = 100 written" in quay.shell(line).expect().stderr
    assert (data(quay, "boats"), data(quay, "crews")) == (list(range(300)), list(range(100)))


def test_config_errors_are_never_tried_again(quay: Workspace) -> None:
    answer = run(quay, "--retries", "3", trouble="config_error").expect(2)
    assert "error[config.refused]  destination-fault: the harbour is closed" in answer.stderr
    assert "Harbour(7)" in answer.stderr
    assert len(starts(quay)) <= 1


@pytest.mark.parametrize("kind", ["transient_error", "system_error"])
def test_other_errors_are(quay: Workspace, kind: str) -> None:
    answer = run(quay, "--retries", "1", trouble=kind).expect(1)
    assert "the harbour is closed" in answer.stderr
    assert "it was tried 2 times" in answer.stderr


def test_an_error_counts_whatever_the_exit_code(quay: Workspace) -> None:
    answer = run(quay, say=[trace("system_error")]).expect(1)
    assert "exited with 0, but told of an error" in answer.stderr or "m" * 30 in answer.stderr


@pytest.mark.parametrize(
    "say",
    [
        ["", "not JSON", "{", "[1, 2]", "null", "\u0000\u001b[31m", '{"type":"STATE\u00ff'],
        ['{"type":"STATE"}', '{"type":"STATE","state":{}}', '{"type":"STATE","state":{"type":"STREAM","stream":7}}'],
        ['{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":7},"stream_state":[]}}}'],
        ['{"type":"RECORD","record":{"stream":"boats","data":{"id":1},"emitted_at":1}}', '{"type":"SPEC","spec":{}}'],
        ["[" * 100_000, '{"type":"STATE","state":' + '{"a":' * 50_000],
        ['{"type":"LOG","log":{"level":"INFO","message":"again"}}'] * 5000,
        ['{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","connectorConfig":{"config":{}}}}'] * 2000,
        [[['{"type":"TRACE","trace":{"type":"', 1], ["x" * 1000, 3000], ['"}}', 1]]],
        [[['{"type":"LOG","log":{"message":"', 1], ["x" * 1000, 3000], ['"}}', 1]]],
        [[["x" * 1000, 3000]]],
    ],
)
def test_hostile_output(quay: Workspace, say: list[Any]) -> None:
    answer = run(quay, "--json", "--max-line", "2M", say=say).expect()
    assert answer.json["bookmark"]["covered"] == 400
    assert "\x1b" not in answer.stderr


def test_a_renewed_token_goes_back_to_where_it_came_from(quay: Workspace) -> None:
    secret = quay.folder / "token.json"
    secret.write_text(json.dumps({"token": "old-token-1"}))
    secret.chmod(0o600)
    answer = run(quay, token="secret://file/token.json#token", renew="new-token-2").expect()
    assert json.loads(secret.read_text()) == {"token": "new-token-2"}
    assert "new-token-2" not in answer.stderr + answer.stdout


def test_its_check(quay: Workspace) -> None:
    quay.dativo("config", "destination-fault", "test").expect()
    configure(quay, refuse="no such quay")
    answer = quay.dativo("config", "destination-fault", "test").expect(2)
    assert "error[config.refused]  destination-fault: no such quay" in answer.stderr


def test_what_it_cannot_load_is_set_aside_as_it_came(quay: Workspace) -> None:
    """It dies of a record each time: that is found, and its letter is the tap's line."""
    quay.configure({"tap-csv": {"config": {"files": "data/*.csv", "key_properties": ["id"]}}})
    answer = run(quay, "--json", "--on-bad-record", "quarantine", "--retries", "2", refuses=42).expect()
    assert answer.json["rejected"] == 2  # one of each stream
    assert set(data(quay, "boats")) == set(range(300)) - {42}
    assert starts(quay)[0]["boats"]["destination_sync_mode"] == "append_dedup"
    (letters,) = (quay.folder / ".dativo" / "dead-letters" / JOB).iterdir()
    assert '\\"id\\":42' in letters.read_text() or '"id":42' in letters.read_text()
    assert "emitted_at" not in letters.read_text()
    configure(quay, refuses=-1)
    quay.shell("dativo discover tap-csv --json > catalog.json").expect()
    line = f"dativo dlq replay {JOB} | dativo airbyte:destination-fault --catalog catalog.json"
    assert "2 read = 2 written" in quay.shell(line).expect().stderr
    assert set(data(quay, "boats")) == set(range(300))


def test_a_mapper_in_between_tells_its_streams(quay: Workspace) -> None:
    passing = quay.folder / "map-pass"
    passing.write_text("#!/bin/sh\nexec cat\n")
    passing.chmod(0o755)
    quay.dativo("add", str(passing), "--kind", "mapper").expect()
    quay.dativo("run", "tap-csv", "map-pass", "airbyte:destination-fault").expect()
    assert data(quay, "boats") == list(range(300))
    line = "dativo tap-csv | dativo map-pass | dativo airbyte:destination-fault --job piped"
    assert "400 read = 400 written" in quay.shell(line).expect().stderr
    assert len(starts(quay)) == 2


def test_what_goes_over_the_wire_is_recorded(quay: Workspace) -> None:
    tape = run(quay, "--json", "--record").expect().json["run"]
    quay.shell("dativo discover tap-csv --json > catalog.json").expect()
    line = f"dativo replay {tape} | dativo airbyte:destination-fault --catalog catalog.json"
    assert "400 read = 400 written" in quay.shell(line).expect().stderr
    assert data(quay, "crews") == 2 * list(range(100))
    answer = quay.shell(f"{line} --job another").expect(2)
    assert "the two sides name different jobs" in answer.stderr and "error[bug]" not in answer.stderr
