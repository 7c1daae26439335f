"""What a source does wrong, or asks for, and what comes of it: each run is `dativo run` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.workspace import Answer, Workspace

JOB = "source-fault-to-target-duckdb"
CARD = "4111"


def run(workspace: Workspace, *words: str, **config: Any) -> Answer:
    workspace.configure({"source-fault": {"config": config}})
    return workspace.dativo("run", "airbyte:source-fault", "target-duckdb", "--stream", "users", *words)


def rows(workspace: Workspace, what: str = "count(*)", table: str = "users") -> Any:
    with duckdb.connect(str(workspace.folder / "out.duckdb"), read_only=True) as database:
        found = database.execute(f"SELECT {what} FROM {table}").fetchone()
    assert found is not None
    return found[0]


def record(number: int) -> str:
    row = {"stream": "users", "data": {"id": number, "name": "x", "card": CARD}, "emitted_at": 1}
    return json.dumps({"type": "RECORD", "record": row}) + "\n"


def state(number: int, count: float | None = None) -> str:
    entry = {"stream_descriptor": {"name": "users"}, "stream_state": {"id": number}}
    stats = {} if count is None else {"sourceStats": {"recordCount": count}}
    return json.dumps({"type": "STATE", "state": {"type": "STREAM", "stream": entry, **stats}}) + "\n"


def error(kind: str, message: str) -> str:
    told = {"message": message, "internal_message": "for developers", "failure_type": kind}
    return json.dumps({"type": "TRACE", "trace": {"type": "ERROR", "error": told}}) + "\n"


def started(workspace: Workspace) -> list[dict[str, Any]]:
    """What the source was started with, each time; it may write into a folder that the project grants it."""
    return [json.loads(line) for line in (workspace.folder / "starts" / "log").read_text().splitlines()]


def watched(workspace: Workspace) -> str:
    """Let the source write what it was started with."""
    folder = workspace.folder / "starts"
    folder.mkdir(exist_ok=True)
    workspace.configure({"source-fault": {"sandbox": {"write": [str(folder)]}}})
    return str(folder / "log")


def test_it_goes_on_where_it_was(fault: Workspace) -> None:
    log = watched(fault)
    assert run(fault, "--json", rows=25, starts=log).expect().json["records"] == 25
    entry = {"stream_descriptor": {"name": "users"}, "stream_state": {"id": 25}}
    assert fault.bookmark(JOB) == {"bookmarks": {"users": entry}, "airbyte": {"type": "STREAM"}}
    assert run(fault, "--json", rows=40, starts=log).expect().json["records"] == 15
    assert rows(fault) == 40
    assert run(fault, "--json", "--full-refresh", rows=40, starts=log).expect().json["records"] == 40
    handed = [one["states"] for one in started(fault)]
    assert handed == [[], [{"type": "STREAM", "stream": entry}], []]


def test_full_table_is_read_whole_each_time(fault: Workspace) -> None:
    log = watched(fault)
    fault.configure({"source-fault": {"metadata": {"users": {"replication-method": "FULL_TABLE"}}}})
    for _ in range(2):
        assert run(fault, "--json", rows=20, starts=log).expect().json["records"] == 20
    assert [(one["states"], one["modes"]) for one in started(fault)] == [([], {"users": "full_refresh"})] * 2


def test_a_method_that_it_does_not_offer(fault: Workspace) -> None:
    fault.configure({"source-fault": {"metadata": {"users": {"replication-method": "LOG_BASED"}}}})
    answer = run(fault, rows=1).expect(2)
    assert "source-fault cannot read users with replication-method LOG_BASED" in answer.stderr
    assert "FULL_TABLE or INCREMENTAL" in answer.stderr


def test_a_column_that_is_not_selected_reaches_nobody(fault: Workspace) -> None:
    fault.configure({"source-fault": {"select": ["users.*", "!users.card"]}})
    run(fault, rows=5).expect()
    assert rows(fault) == 5
    with duckdb.connect(str(fault.folder / "out.duckdb"), read_only=True) as database:
        columns = {row[0] for row in database.execute("DESCRIBE users").fetchall()}
    assert {"id", "name"} <= columns and "card" not in columns
    line = "dativo airbyte:source-fault --set rows=5 --stream users --select 'users.*' --select '!users.card'"
    assert CARD not in fault.shell(line).expect().stdout


def test_a_shell_pipe(fault: Workspace) -> None:
    fault.configure({"source-fault": {"config": {"rows": 15}}})
    line = "dativo airbyte:source-fault --stream users | dativo target-duckdb"
    assert "15 read = 15 written" in fault.shell(line).expect().stderr
    assert "nothing new" in fault.shell(line).expect().stderr
    assert fault.bookmark(JOB)["bookmarks"]["users"]["stream_state"] == {"id": 15}


def test_killed_half_way_it_is_started_again_or_goes_on(fault: Workspace) -> None:
    log = watched(fault)
    answer = run(fault, "--retries", "0", rows=100, die_at=57, starts=log).expect(1)
    assert "killed" in answer.stderr
    done = fault.bookmark(JOB)["bookmarks"]["users"]["stream_state"]["id"]
    assert 0 < done <= 57
    assert run(fault, "--json", rows=100, starts=log).expect().json["records"] == 100 - done
    assert rows(fault) == 100
    assert rows(fault, "count(DISTINCT id)") == 100
    states = started(fault)[-1]["states"]
    assert states[0]["stream"]["stream_state"] == {"id": done}


def test_in_one_run_with_retries(fault: Workspace) -> None:
    answer = run(fault, "--json", "--retries", "2", rows=100, die_at=57).expect()
    assert rows(fault) == 100
    assert rows(fault, "count(DISTINCT id)") == 100
    assert answer.json["verdict"] == "done"


def test_wrong_counts(fault: Workspace) -> None:
    say = [record(1), state(1, 1), record(2), state(2, 2.0)]
    answer = run(fault, say=say).expect(4)
    assert "error[data.record_count]" in answer.stderr
    assert "counted 2 records" in answer.stderr
    assert fault.bookmark(JOB)["bookmarks"]["users"]["stream_state"] == {"id": 1}


@pytest.mark.parametrize(
    ("say", "code", "exit_code"),
    [
        (["Traceback (most recent call last):\n", record(1), state(1)], None, 0),
        (['{"type":"RECORD","record":{"stream":"users","data":{"id":\n'], "data.invalid_json", 4),
        (["\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "\n", record(1)], None, 0),
        (['{"type":"NEWS","news":{}}\n', record(1)], None, 0),
        (['{"type":"RECORD","record":{"data":{"id":1}}}\n'], "data.bad_message", 4),
        (['{"type":"STATE","state":{"type":"STREAM"}}\n'], "data.bad_message", 4),
        (['{"type":"RECORD","record":{"stream":"others","data":{}}}\n'], "data.record_before_schema", 4),
        ([record(1), '{"type":"SCHEMA","stream":"users","schema":{},"key_properties":[]}\n'], "data.bad_message", 4),
        ([["x" * 1000, 3000], "\n", record(1)], "data.line_too_long", 4),
        ([['{"type":"LOG","log":{"level":"INFO","message":"again"}}\n', 20_000], record(1)], None, 0),
        (
            [['{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","connectorConfig":{"config":{}}}}\n', 20_000]],
            None,
            0,
        ),
        (
            [['{"type":"TRACE","trace":{"type":"ESTIMATE","estimate":{"name":"users","row_estimate":9}}}\n', 20_000]],
            None,
            0,
        ),
    ],
)
def test_hostile_output(fault: Workspace, say: list[Any], code: str | None, exit_code: int) -> None:
    answer = run(fault, "--max-line", "2M", say=say).expect(exit_code)
    if code is None:
        assert "error[" not in answer.stderr
    else:
        assert f"error[{code}]" in answer.stderr


def test_bad_messages_may_be_set_aside(fault: Workspace) -> None:
    say = ['{"type":"RECORD","record":{"stream":"users"}}\n', record(1), state(1)]
    answer = run(fault, "--json", "--on-bad-record", "quarantine", say=say).expect()
    assert answer.json["records"] == 1
    assert answer.json["rejected"] == 1
    letters = list((fault.folder / ".dativo" / "dead-letters" / JOB).iterdir())
    assert len(letters) == 1


def test_config_errors_are_told_in_its_words_and_never_retried(fault: Workspace) -> None:
    log = watched(fault)
    say = [record(1), error("config_error", "The API key is not valid"), ""]
    answer = run(fault, "--retries", "3", say=say, end=1, starts=log).expect(2)
    assert "error[config.refused]  source-fault: The API key is not valid" in answer.stderr
    assert "for developers" in answer.stderr
    assert len(started(fault)) == 1


def test_transient_errors_are_retried(fault: Workspace) -> None:
    log = watched(fault)
    say = [error("transient_error", "The service is busy")]
    answer = run(fault, "--retries", "2", say=say, end=1, starts=log).expect(1)
    assert "The service is busy" in answer.stderr
    assert len(started(fault)) == 3


def test_an_error_counts_whatever_the_exit_code(fault: Workspace) -> None:
    answer = run(fault, say=[record(1), state(1), error("system_error", "Half of it is missing")], end=0).expect(1)
    assert "Half of it is missing" in answer.stderr


def test_a_stream_that_it_did_not_end(fault: Workspace) -> None:
    trace = {"type": "STREAM_STATUS", "stream_status": {"stream_descriptor": {"name": "users"}, "status": "RUNNING"}}
    say = [json.dumps({"type": "TRACE", "trace": trace}) + "\n", record(1), state(1)]
    answer = run(fault, say=say).expect(1)
    assert 'did not read "users" to its end' in answer.stderr


def test_a_renewed_token_goes_back_to_where_it_came_from(fault: Workspace) -> None:
    log = watched(fault)
    secret = fault.folder / "token.json"
    secret.write_text(json.dumps({"token": "old-token-1"}))
    secret.chmod(0o600)
    config = {"rows": 10, "token": "secret://file/token.json#token", "renew": "new-token-2", "starts": log}
    answer = run(fault, **config).expect()
    assert json.loads(secret.read_text()) == {"token": "new-token-2"}
    assert "new-token-2" not in answer.stderr + answer.stdout
    run(fault, **config).expect()
    assert [one["token"] for one in started(fault)] == ["old-token-1", "new-token-2"]


def test_its_check(fault: Workspace) -> None:
    fault.configure({"source-fault": {"config": {"rows": 1}}})
    fault.dativo("config", "source-fault", "test").expect()
    fault.configure({"source-fault": {"config": {"refuse": "no such account"}}})
    answer = fault.dativo("config", "source-fault", "test").expect(2)
    assert "error[config.refused]  source-fault: no such account" in answer.stderr


def test_another_taps_bookmark_is_refused(fault: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "state.json"
    other.write_text('{"bookmarks": {"users": {"id": 4}}}')
    fault.configure({"source-fault": {"config": {"rows": 1}}})
    answer = fault.shell(f"dativo airbyte:source-fault --state {other}").expect(2)
    assert "error[state.invalid]" in answer.stderr


def test_a_tape_of_it_runs_without_it(fault: Workspace) -> None:
    tape = run(fault, "--json", "--record", rows=30).expect().json["run"]
    (fault.folder / "out.duckdb").unlink()
    fault.dativo("replay", tape, "--to", "target-duckdb", "--job", "again").expect()
    assert rows(fault) == 30


def test_names(fault: Workspace) -> None:
    assert "no plugin source-none" in fault.shell("dativo airbyte:source-none").expect(2).stderr
    assert "dativo add airbyte:source-none" in fault.shell("dativo airbyte:source-none").stderr
    assert "no Airbyte connector's name" in fault.dativo("add", "airbyte:tap-csv").expect(2).stderr
    answer = fault.dativo("add", "airbyte:/nowhere/source-x.py").expect(2)
    assert "does not exist" in answer.stderr


def test_an_error_in_place_of_its_spec_is_told(tmp_path: Path) -> None:
    """airbyte-cdk tells of errors on stdout, and may exit with 0 (source-airtable 4.5.1 does)."""
    told = {"message": "its manifest is wrong", "stack_trace": "Traceback\n  File x\nValueError: no such thing\n"}
    line = json.dumps({"type": "TRACE", "trace": {"type": "ERROR", "error": told}})
    log = json.dumps({"type": "LOG", "log": {"level": "FATAL", "message": "it dies"}})
    script = tmp_path / "source-dies.py"
    script.write_text(f"#!/usr/bin/env python3\nprint({log!r})\nprint({line!r})\n")
    script.chmod(0o755)
    error = Workspace(tmp_path / "project", tmp_path / "home").dativo("add", f"airbyte:{script}", "--json")
    told = json.loads(error.expect(3).stdout)
    assert told["code"] == "plugin.start_failed"
    assert told["details"] == [
        "FATAL it dies", "Traceback", "  File x", "ValueError: no such thing", "its manifest is wrong",
    ]  # fmt: skip
