"""Records that break their SCHEMA: the run fails, they are set aside with their reason, or they are counted."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dativo.native import find_bus
from tests.fixtures.faulty import Faulty, codes, errors_in
from tests.workspace import Answer

POISON = "poison=[3,13,14]"
REASON = "column v: {} is not a string"


def words(*more: str) -> list[str]:
    """More settings of the tap, as words of the command line."""
    return [word for one in more for word in ("--set", f"tap-fault.{one}")]


def letters(faulty: Faulty) -> list[Any]:
    """Every line of the project's dead-letter files."""
    files = sorted((faulty.folder / ".dativo" / "dead-letters").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def result(answer: Answer) -> Any:
    """The summary of a run with --json."""
    return json.loads(answer.stdout)


def test_a_bad_record_fails_the_run_by_default(faulty: Faulty):
    answer = faulty.run(*words(POISON)).expect(4)
    assert errors_in(answer) == ["data.schema"]
    assert "1 record of t breaks its schema · first: row 4, column v: 3 is not a string" in answer.stderr
    assert "on_bad_record: quarantine" in answer.stderr
    assert f"dativo dlq show {faulty.job}" in answer.stderr
    assert faulty.rows() == [0, 1, 2]
    assert not letters(faulty)


def test_quarantine_sets_them_aside_and_loads_the_rest(faulty: Faulty):
    answer = faulty.run("--on-bad-record", "quarantine", "--json", *words(POISON)).expect()
    found = result(answer)
    assert faulty.rows() == [number for number in range(20) if number not in (3, 13, 14)]
    assert (found["records"], found["rejected"], found["rejects"]) == (17, 3, {"t": 3})
    assert faulty.position() == 19
    schema, *rows = letters(faulty)
    assert (schema["type"], schema["stream"]) == ("SCHEMA", "t")
    assert [row["record"]["id"] for row in rows] == [3, 13, 14]
    why = rows[0]["dead_letter"]
    assert (why["rule"], why["path"], why["child"], why["run"]) == ("type", "/v", "tap-fault", found["run"])
    assert why["reason"] == REASON.format(3)
    assert stat.S_IMODE(Path(found["dead_letters"]).stat().st_mode) == 0o600


def test_the_summary_says_so(faulty: Faulty):
    answer = faulty.run("--on-bad-record", "quarantine", *words(POISON)).expect()
    assert "20 read = 17 written + 3 rejected" in answer.stderr
    assert "3 of t set aside in " in answer.stderr


def test_discard_counts_them(faulty: Faulty):
    answer = faulty.run("--on-bad-record", "discard", "--json", *words(POISON)).expect()
    assert result(answer)["rejected"] == 3
    assert not letters(faulty)
    assert len(faulty.rows()) == 17


def test_without_validation_they_pass(faulty: Faulty):
    answer = faulty.run("--no-validate", "--json", *words(POISON)).expect()
    assert (result(answer)["rejected"], len(faulty.rows())) == (0, 20)


@pytest.mark.parametrize(("mode", "rule"), [("badjson", "invalid_json"), ("badutf8", "invalid_utf8")])
def test_lines_that_cannot_be_read_are_set_aside_as_well(faulty: Faulty, mode: str, rule: str):
    faulty.run("--on-bad-record", "quarantine", *words(f"mode={mode}")).expect()
    assert len(faulty.rows()) == 20
    [letter] = letters(faulty)
    assert (letter["type"], letter["dead_letter"]["rule"]) == ("DEAD_LETTER", rule)
    assert base64.b64decode(letter["raw"]).startswith(b'{"type":"RECORD"')


def test_a_line_that_is_too_long_fails_all_the_same(faulty: Faulty):
    answer = faulty.run("--on-bad-record", "discard", "--max-line", "1M", *words("mode=huge")).expect(4)
    assert errors_in(answer) == ["data.line_too_long"]


def job(faulty: Faulty, text: str, **tap: Any) -> Answer:
    """A job file with these keys, run."""
    file = faulty.folder / "nightly.yml"
    config = json.dumps(tap)
    file.write_text(
        f"name: {faulty.job}\nsteps: [tap-fault, target-fault]\n{text}\nplugins:\n"
        f"  tap-fault: {{config: {config}}}\n  target-fault: {{config: {{path: {faulty.out}}}}}\n"
    )
    return faulty.dativo("run", str(file))


def test_too_many_rows_end_the_run(faulty: Faulty):
    answer = job(faulty, "on_bad_record: {policy: quarantine, rows: 2}", poison=[3, 13, 14]).expect(4)
    assert "3 records of t break their schema, more than 2 are not set aside" in answer.stderr
    assert [row["record"]["id"] for row in letters(faulty)[1:]] == [3, 13, 14]
    assert faulty.rows() == [number for number in range(14) if number not in (3, 13)]


def test_too_large_a_share_ends_the_run(faulty: Faulty):
    answer = job(faulty, "on_bad_record: {policy: quarantine, percent: 10}", poison=[3, 13, 14]).expect(4)
    assert errors_in(answer) == ["data.schema"]
    assert "3 of 20 records were bad, more than 10 %" in answer.stderr


def test_a_full_disk_under_the_dead_letters_fails_the_run(faulty: Faulty):
    lines = (
        {"type": "SCHEMA", "stream": "t", "schema": {"properties": {"id": {"type": "integer"}}}, "key_properties": []},
        {"type": "RECORD", "stream": "t", "record": {"id": "x"}},
        {"type": "STATE", "value": {"t": 1}},
    )
    stream = faulty.folder / "stream.singer"
    stream.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tap = {"name": "tap-cat", "role": "tap", "argv": ["/bin/cat", str(stream)], "sandbox": {"read": [str(stream)]}}
    target = {"name": "target-state", "role": "target", "argv": ["/bin/sh", "-c", "cat >/dev/null; echo '{\"t\": 1}'"]}
    plan = {
        "plan": 1,
        "run": "r",
        "job": "j",
        "run_dir": str(faulty.folder / "run"),
        "children": [tap, target],
        "policy": {"validate": "on", "on_bad_record": "quarantine"},
        "dead_letters": {"path": "/dev/full"},
    }
    done = subprocess.run([str(find_bus())], input=json.dumps(plan).encode(), stdout=subprocess.PIPE, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, told[-1]["reason"]) == (3, "env.disk_full")
    assert "bookmark" not in {one["event"] for one in told}, "nothing goes past a letter that is not kept"


def test_the_target_side_of_a_pipe_checks(faulty: Faulty):
    failed = faulty.pipe("--poison '[3]'").expect()
    assert errors_in(failed) == ["data.schema"]
    assert codes(failed)[-1] == 4
    aside = faulty.pipe("--poison '[3]'", "--on-bad-record quarantine").expect()
    assert codes(aside) == [0, 0]
    assert "1 rejected" in aside.stderr
    assert [row["record"]["id"] for row in letters(faulty)[1:]] == [3]


@pytest.mark.parametrize(("policy", "kept"), [("evolve", True), ("discard_column", True)])
def test_a_first_schema_is_no_change(faulty: Faulty, policy: str, kept: bool):
    job(faulty, f"schema_change: {policy}", column="extra").expect()
    rows = [json.loads(line) for line in faulty.out.read_text().splitlines()]
    assert all(("extra" in row) is kept for row in rows)


def activated(faulty: Faulty) -> list[int]:
    """How many rows the ledger had at each ACTIVATE_VERSION."""
    found: list[int] = json.loads(faulty.ledger.read_text()).get("activated", [])
    return found


def test_an_activation_goes_out_at_the_end_and_its_state_is_confirmed(faulty: Faulty):
    faulty.run(*words("activate=end"), target="target-ledger").expect()
    assert (faulty.kept(), activated(faulty), faulty.position()) == (list(range(20)), [20], 19)


def test_an_activation_in_a_shell_pipe(faulty: Faulty):
    answer = faulty.pipe("--activate end", name="target-ledger").expect()
    assert codes(answer) == [0, 0]
    assert activated(faulty) == [20]


def test_an_activation_is_never_sent_behind_a_tap_that_failed(faulty: Faulty):
    answer = faulty.run(*words("activate=die"), target="target-ledger").expect(1)
    assert errors_in(answer) == ["plugin.exited"]
    assert (faulty.kept(), activated(faulty)) == (list(range(20)), [])
    other = faulty.pipe("--activate die --full-refresh", name="target-ledger").expect()
    assert codes(other)[1] != 0
    assert activated(faulty) == []


def test_an_activation_is_not_sent_when_rows_were_set_aside(faulty: Faulty):
    more = words("activate=end", POISON)
    answer = faulty.run("--on-bad-record", "quarantine", *more, target="target-ledger").expect()
    assert "ACTIVATE_VERSION of t was not sent" in answer.stderr
    assert activated(faulty) == []


def test_a_frozen_schema_is_that_of_earlier_runs(faulty: Faulty):
    """Until a run in which it may change: from then on it is the new one that is frozen."""
    frozen, free = (f"full_refresh: true\nschema_change: {{default: {one}}}" for one in ("freeze", "evolve"))
    job(faulty, frozen).expect()
    answer = job(faulty, frozen, column="extra").expect(4)
    assert errors_in(answer) == ["data.schema_changed"]
    assert "extra" in answer.stderr
    job(faulty, free, column="extra").expect()
    job(faulty, frozen, column="extra").expect()
    assert errors_in(job(faulty, frozen).expect(4)) == ["data.schema_changed"]


def test_a_column_that_is_discarded_is_not_there_in_later_runs_either(faulty: Faulty):
    plain = "full_refresh: true\nschema_change: {default: discard_column}"
    job(faulty, plain).expect()
    job(faulty, plain, column="extra").expect()
    rows = [json.loads(line) for line in faulty.out.read_text().splitlines()]
    assert [row["id"] for row in rows] == [*range(20), *range(20)]
    assert not any("extra" in row for row in rows)


def test_wrong_words_in_a_job_are_named(faulty: Faulty):
    for text in ("on_bad_record: forget", "on_bad_record: {rows: 2}", "schema_change: {orders: never}"):
        answer = job(faulty, text).expect(2)
        assert errors_in(answer) == ["job.invalid"]
