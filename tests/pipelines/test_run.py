"""`dativo run` with real processes: every way in which a tap or a target goes wrong, and what the next run does."""

from __future__ import annotations

import json
import signal

import pytest

from tests.fixtures.faulty import (
    Faulty,
    appeared,
    ended,
    errors_in,
    gone,
    interrupt,
    members,
    until,
)

BATCH, ROWS = 10, 20


def test_the_second_run_resumes(faulty: Faulty):
    first = faulty.run().expect()
    assert "20 read = 20 written · 0 rejected" in first.stderr
    assert first.stdout == ""
    assert faulty.rows() == list(range(ROWS))
    assert faulty.position() == 19
    second = faulty.run().expect()
    assert "nothing new since" in second.stderr
    faulty.run(rows=25).expect()
    assert faulty.rows() == list(range(25))
    assert [entry["verdict"] for entry in faulty.history()] == ["done", "done", "done"]
    assert faulty.runtime() == []


# mode, exit code, error, words on the screen
TAPS = [
    ("exit1", 1, "plugin.exited", "tap-fault exited with 1: something broke"),
    ("truncated", 1, "plugin.exited", "tap-fault exited with 1"),
    ("killself", 1, "plugin.killed", "SIGKILL"),
    ("ours", 3, "env.disk_full", "make room"),
    ("badjson", 4, "data.invalid_json", "line 13"),
    ("badutf8", 4, "data.invalid_utf8", "line 13"),
    ("lowercase", 4, "data.bad_message", "line 13"),
    ("noschema", 4, "data.record_before_schema", "never"),
    ("huge", 4, "data.line_too_long", "--max-line"),
]


@pytest.mark.parametrize(("mode", "exit_code", "code", "words"), TAPS)
def test_a_tap_goes_wrong(faulty: Faulty, mode: str, exit_code: int, code: str, words: str):
    answer = faulty.run("--max-line", "1M", mode=mode).expect(exit_code)
    assert errors_in(answer) == [code]
    assert words in answer.stderr
    assert "10 committed: the next run goes on there" in answer.stderr
    assert f"(exit {exit_code})" in answer.stderr
    assert faulty.rows() == list(range(BATCH))
    assert faulty.position() == 9
    faulty.run().expect()
    assert faulty.rows() == list(range(ROWS))
    assert faulty.runtime() == []


def test_a_tap_fails_before_its_first_row(faulty: Faulty):
    answer = faulty.run(mode="exit2").expect(2)
    assert errors_in(answer) == ["config.invalid"]
    assert "choose another mode" in answer.stderr
    assert faulty.position() is None
    assert not faulty.out.exists()


@pytest.mark.parametrize("mode", ["blank", "log", "array", "unknown", "bom"])
def test_junk_is_counted_and_left_out(faulty: Faulty, mode: str):
    answer = faulty.run(mode=mode).expect()
    assert "lines between the messages left out: 1 " in answer.stderr
    assert faulty.rows() == list(range(ROWS))


def test_junk_fails_on_request(faulty: Faulty):
    answer = faulty.run("--junk", "fail", mode="log").expect(4)
    assert errors_in(answer) == ["data.junk"]


def test_records_after_the_last_state_are_read_again(faulty: Faulty):
    answer = faulty.run(mode="exit0half").expect()
    assert "10 records came after the last STATE: the next run reads them again" in answer.stderr
    assert faulty.position() == 9
    faulty.run().expect()
    assert faulty.rows() == [*range(ROWS), *range(10, ROWS)]


def test_a_tap_without_a_state_keeps_no_bookmark(faulty: Faulty):
    answer = faulty.run(mode="nostate").expect()
    assert "the tap sent no STATE" in answer.stderr
    assert faulty.position() is None


def test_nan_is_passed_on_and_said(faulty: Faulty):
    assert "NaN" in faulty.run("--no-validate", mode="nan").expect().stderr


TARGETS = [
    ("die1", 1, "plugin.exited", "target-fault exited with 1: cannot write any more"),
    ("die0", 1, None, "exited with 0"),
    ("killself", 1, "plugin.killed", "SIGKILL"),
    ("refuse", 1, "plugin.exited", "target-fault exited with 1: cannot connect"),
    ("none", 1, "target.unconfirmed", "--confirm never"),
]


@pytest.mark.parametrize(("mode", "exit_code", "code", "words"), TARGETS)
def test_a_target_goes_wrong(faulty: Faulty, mode: str, exit_code: int, code: str | None, words: str):
    answer = faulty.run("--set", f"target-fault.mode={mode}").expect(exit_code)
    found = errors_in(answer)
    assert found == [code] if code else found[0] in ("plugin.early_end", "target.unread", "target.unconfirmed")
    assert words in answer.stderr
    assert "bookmark unchanged" in answer.stderr
    assert faulty.position() is None
    faulty.run().expect()
    assert set(faulty.rows()) == set(range(ROWS))


@pytest.mark.parametrize("mode", ["last", "log", "number", "list"])
def test_an_odd_target_is_understood(faulty: Faulty, mode: str):
    faulty.run("--set", f"target-fault.mode={mode}").expect()
    assert faulty.position() == 19


@pytest.mark.parametrize("mode", ["empty", "foreign"])
def test_a_state_that_was_never_sent_keeps_the_old_bookmark(faulty: Faulty, mode: str):
    faulty.run(rows=10).expect()
    answer = faulty.run("--set", f"target-fault.mode={mode}").expect()
    assert "the target printed no STATE: the old bookmark stays" in answer.stderr
    assert faulty.position() == 9


def test_a_target_that_never_confirms_by_design(faulty: Faulty):
    answer = faulty.run("--confirm", "never", "--set", "target-fault.mode=none").expect()
    assert "the target printed no STATE: the old bookmark stays" in answer.stderr
    assert faulty.position() is None


def test_our_target_says_itself_what_is_wrong(faulty: Faulty):
    answer = faulty.run("--set", "target-ledger.fail=data.rejected", target="target-ledger").expect(4)
    assert errors_in(answer) == ["data.rejected"]
    assert "target-ledger: the ledger refused a row" in answer.stderr
    assert "look at the row" in answer.stderr
    assert faulty.kept() == []


def test_our_target_rolls_back_to_the_last_state(faulty: Faulty):
    """I1: rows and bookmark move together; the rows after the last STATE are not there when the tap died."""
    faulty.run(target="target-ledger", mode="badutf8", every=7).expect(4)
    assert faulty.kept() == list(range(7))
    assert faulty.position() == 6
    faulty.run(target="target-ledger", every=7).expect()
    assert faulty.kept() == list(range(ROWS))


# -- the bookmark that the destination keeps


def test_a_lost_store_is_made_good_by_the_destination(faulty: Faulty):
    faulty.run(target="target-ledger").expect()
    for file in (faulty.folder / ".dativo").iterdir():
        file.unlink()
    answer = faulty.run(target="target-ledger", rows=25).expect()
    assert "took over the bookmark that target-ledger keeps with its data" in answer.stderr
    assert faulty.kept() == list(range(25))
    assert "adopted" in [entry["origin"] for entry in faulty.history()]


def test_a_lost_destination_is_filled_again(faulty: Faulty):
    faulty.run(target="target-ledger").expect()
    faulty.ledger.unlink()
    answer = faulty.run(target="target-ledger").expect()
    assert "target-ledger holds nothing of this job any more: everything is read again" in answer.stderr
    assert faulty.kept() == list(range(ROWS))


def test_a_bookmark_set_by_hand_wins_over_the_destination(faulty: Faulty):
    """I4: a rewind is an explicit command, and it is obeyed."""
    faulty.run(target="target-ledger").expect()
    faulty.dativo("state", "set", faulty.job, '{"bookmarks":{"t":{"id":14}}}', "--yes").expect()
    faulty.run(target="target-ledger").expect()
    assert faulty.kept() == [*range(ROWS), *range(15, ROWS)]


# -- what the command line asks


def test_full_refresh_reads_all_and_keeps_the_old_bookmark_in_the_history(faulty: Faulty):
    faulty.run().expect()
    faulty.run("--full-refresh", rows=12).expect()
    assert faulty.rows() == [*range(ROWS), *range(12)]
    assert faulty.position() == 11
    assert [json.loads(entry["value"])["bookmarks"]["t"]["id"] for entry in faulty.history()] == [11, 19]


def test_a_state_file_is_used_instead_of_the_bookmark(faulty: Faulty):
    state = faulty.folder / "state.json"
    state.write_text('{"bookmarks":{"t":{"id":16}}}')
    faulty.run("--state", str(state)).expect()
    assert faulty.rows() == [17, 18, 19]


def test_streams_are_chosen(faulty: Faulty):
    answer = faulty.run("-v", "--stream", "u").expect()
    assert "selected ['u']" in answer.stderr
    answer = faulty.run("-v", "--select", "t.*").expect()
    assert "selected ['t']" in answer.stderr
    answer = faulty.run("--stream", "nothing").expect(2)
    assert errors_in(answer) == ["catalog.none"]


def test_a_catalog_file_is_used_as_it_is(faulty: Faulty):
    catalog = faulty.dativo("tap-fault", "--discover").expect().json
    for one in catalog["streams"]:
        one["metadata"][0]["metadata"]["selected"] = one["stream"] == "t"
    file = faulty.folder / "catalog.json"
    file.write_text(json.dumps(catalog))
    assert "selected ['t']" in faulty.run("-v", "--catalog", str(file)).expect().stderr


def test_json_is_one_document_on_stdout(faulty: Faulty):
    answer = faulty.run("--json").expect()
    found = answer.json
    assert (found["verdict"], found["records"], found["job"]) == ("done", ROWS, faulty.job)
    assert found["bookmark"]["moved"] is True
    failed = faulty.run("--json", "--full-refresh", mode="exit1").expect(1)
    assert failed.json["code"] == "plugin.exited"
    assert (failed.json["plugin"], failed.json["exit"], failed.json["records"]) == ("tap-fault", 1, 10)


def test_quiet_says_nothing_when_all_is_well(faulty: Faulty):
    answer = faulty.run("-q").expect()
    assert (answer.stdout, answer.stderr) == ("", "")


def test_log_lines_are_prefixed_and_harmless(faulty: Faulty):
    answer = faulty.run("-v", loud="true").expect()
    assert "  tap-fault | row 3\n" in answer.stderr
    assert "\x1b" not in answer.stderr
    assert "target-fault | target read 20" in answer.stderr


def test_a_dry_run_shows_the_plan_and_no_value(faulty: Faulty):
    answer = faulty.run("--dry-run", password="hunter2").expect()
    plan = answer.json
    assert [child["name"] for child in plan["children"]] == ["tap-fault", "target-fault"]
    assert "hunter2" not in answer.stdout
    assert str(faulty.out) not in answer.stdout
    assert not faulty.out.exists()
    faulty.dativo("state", "log", faulty.job).expect(2)


def test_a_mapper_in_between(faulty: Faulty):
    words = faulty.run_words()
    faulty.dativo(*words[:2], "map-fault", *words[2:]).expect()
    assert faulty.rows() == list(range(ROWS))
    assert '"mapped": true' in faulty.out.read_text()
    failed = faulty.dativo(*words[:2], "map-fault", *words[2:], "--full-refresh", "--set", "map-fault.fail=15").expect(
        1
    )
    assert "map-fault exited with 1: cannot map this row" in failed.stderr


def test_a_job_of_the_project_and_a_job_file(faulty: Faulty):
    steps = {"steps": ["tap-fault", "target-fault"], "plugins": {"target-fault": {"config": {"path": str(faulty.out)}}}}
    (faulty.folder / "dativo.yml").write_text(json.dumps({"jobs": {"shop": steps}}))
    assert "job shop" in faulty.dativo("run", "shop").expect().stderr
    (faulty.folder / "other.yml").write_text(json.dumps({**steps, "full_refresh": True, "policy": {"junk": "fail"}}))
    assert "job other" in faulty.dativo("run", "other.yml").expect().stderr
    assert errors_in(faulty.dativo("run", "other.yml", "--set", "tap-fault.mode=blank").expect(4)) == ["data.junk"]


def test_variables_reach_a_plugin_only_when_they_are_named(faulty: Faulty):
    config = faulty.folder / "tap.json"
    config.write_text('{"rows": 3}')
    faulty.run("--config", f"tap-fault={config}").expect()
    assert faulty.rows() == [0, 1, 2]
    answer = faulty.shell(
        "TAP_FAULT_ROWS=5 dativo run tap-fault target-fault --job other --config tap-fault=ENV "
        f"--set target-fault.path={faulty.out} --full-refresh"
    ).expect()
    assert "5 read" in answer.stderr


# -- two at once, Ctrl-C, kill -9


def started(faulty: Faulty, **tap: object):
    """A run that waits at its gate after the first STATE."""
    gate = faulty.folder / "gate"
    line = f"exec dativo {' '.join(faulty.run_words(gate=gate, **tap))}"
    process = faulty.start(line, faulty.job)
    appeared(faulty.folder / "gate.ready", process)
    until(lambda: faulty.position() == 9, "the first bookmark")
    return process, gate, line


def test_a_second_run_of_the_job_is_refused(faulty: Faulty):
    """I5"""
    process, gate, line = started(faulty)
    answer = faulty.run().expect(5)
    assert errors_in(answer) == ["job.busy"]
    assert f"pid {process.pid}" in answer.stderr
    gate.touch()
    ended(process, line).expect()
    assert faulty.rows() == list(range(ROWS))
    gone(faulty.job)


def test_ctrl_c_once_drains(faulty: Faulty):
    process, _, line = started(faulty)
    interrupt(process)
    answer = ended(process, line).expect(130)
    assert "stopping: what was read is still written" in answer.stderr
    assert errors_in(answer) == ["run.cancelled"]
    assert "10 committed: the next run goes on there" in answer.stderr
    assert faulty.position() == 9
    gone(faulty.job)
    faulty.run().expect()
    assert faulty.rows() == list(range(ROWS))
    assert faulty.runtime() == []


def test_ctrl_c_twice_stops_at_once(faulty: Faulty):
    process, _, line = started(faulty, mode="stubborn")
    interrupt(process)
    until(lambda: members(faulty.job, "control"), "the run is still there")
    interrupt(process)
    answer = ended(process, line).expect(130)
    assert errors_in(answer) == ["run.cancelled"]
    gone(faulty.job)
    assert faulty.position() == 9


def test_sigterm_ends_with_its_own_code(faulty: Faulty):
    process, _, line = started(faulty)
    process.send_signal(signal.SIGTERM)
    ended(process, line).expect(143)
    gone(faulty.job)


@pytest.mark.parametrize("role", ["tap", "target", "bus", "control"])
@pytest.mark.parametrize("target", ["target-fault", "target-ledger"])
def test_kill_9_of_any_process(faulty: Faulty, role: str, target: str):
    """I1, I8: whoever is killed, nothing stays behind and the next run completes the job."""
    gate = faulty.folder / "gate"
    line = f"exec dativo {' '.join(faulty.run_words(target, gate=gate))}"
    process = faulty.start(line, faulty.job)
    appeared(faulty.folder / "gate.ready", process)
    until(lambda: faulty.position() == 9, "the first bookmark")
    for one in members(faulty.job, role):
        one.kill()
    answer = ended(process, line)
    assert answer.code == (-signal.SIGKILL if role == "control" else 1)
    if role != "control":
        assert errors_in(answer) == ["bus.died" if role == "bus" else "plugin.killed"]
    gone(faulty.job)
    assert faulty.position() == 9
    faulty.run(target=target).expect()
    rows = faulty.kept() if target == "target-ledger" else faulty.rows()
    assert rows == list(range(ROWS))
    assert faulty.runtime() == []


def test_no_value_of_a_config_is_on_a_command_line(faulty: Faulty):
    """I13: `ps` shows paths, never settings."""
    config = faulty.folder / "tap.json"
    config.write_text('{"password": "hunter2"}')
    gate = faulty.folder / "gate"
    line = f"exec dativo {' '.join(faulty.run_words(gate=gate))} --config tap-fault={config}"
    process = faulty.start(line, faulty.job)
    appeared(faulty.folder / "gate.ready", process)
    found = [one for role in ("tap", "target", "bus") for one in members(faulty.job, role)]
    assert len(found) == 3
    assert "hunter2" not in str(found)
    assert not any(b"hunter2" in path.read_bytes() for path in (faulty.home / "run").rglob("*") if path.is_file())
    gate.touch()
    ended(process, line).expect()
