"""`dativo tap-x | dativo target-y` in bash, without pipefail, and either side beside a foreign program."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.fixtures import faulty as fault
from tests.fixtures.faulty import Faulty, appeared, codes, ended, errors_in, gone, interrupt, members, until
from tests.processes import Found

ROWS = 20
HERE = Path(fault.__file__).parent
PAIR = "tap-fault-to-target-fault"


def test_the_second_run_resumes(faulty: Faulty):
    line = f"dativo tap-fault | dativo target-fault --path {faulty.out}"
    first = faulty.shell(line).expect()
    assert "20 read = 20 written · 0 rejected · job tap-fault-to-target-fault" in first.stderr
    assert first.stdout == ""
    second = faulty.shell(line).expect()
    assert "nothing new since" in second.stderr
    faulty.shell(line.replace("tap-fault ", "tap-fault --rows 25 ")).expect()
    assert faulty.rows() == list(range(25))
    assert faulty.runtime() == []


def test_dativo_run_and_the_pipe_are_one_job(faulty: Faulty):
    faulty.shell(f"dativo tap-fault | dativo target-fault --path {faulty.out}").expect()
    answer = faulty.dativo("run", "tap-fault", "target-fault", "--set", f"target-fault.path={faulty.out}").expect()
    assert "nothing new since" in answer.stderr


def test_only_the_target_side_speaks(faulty: Faulty):
    answer = faulty.pipe().expect()
    assert len([line for line in answer.stderr.splitlines() if "done in" in line]) == 1
    answer = faulty.pipe("--full-refresh", "--json").expect()
    document, last = answer.stdout.strip().splitlines()
    assert json.loads(document)["records"] == ROWS
    assert last == "codes 0 0"
    assert answer.stderr == ""


TAPS = [
    ("exit1", 1, "plugin.exited", "something broke"),
    ("truncated", 1, "plugin.exited", "something broke"),
    ("killself", 1, "plugin.killed", "SIGKILL"),
    ("ours", 3, "env.disk_full", "make room"),
    ("badjson", 4, "data.invalid_json", "line 13"),
    ("badutf8", 4, "data.invalid_utf8", "line 13"),
    ("noschema", 4, "data.record_before_schema", "never"),
    ("huge", 4, "data.line_too_long", "--max-line"),
]


@pytest.mark.parametrize(("mode", "exit_code", "code", "words"), TAPS)
def test_a_tap_that_dies_fails_the_target_side_too(faulty: Faulty, mode: str, exit_code: int, code: str, words: str):
    answer = faulty.pipe(f"--mode {mode} --max-line 1M")
    assert codes(answer) == [exit_code, exit_code]
    assert errors_in(answer) == [code]  # told once, by the tap's side
    assert words in answer.stderr
    assert "interrupted after" in answer.stderr
    assert faulty.position() == 9
    assert faulty.pipe().expect().stdout == "codes 0 0\n"
    assert faulty.rows() == list(range(ROWS))
    assert faulty.runtime() == []


@pytest.mark.parametrize(("mode", "exit_code"), [("exit2", 2), ("badjson", 4)])
def test_who_reads_json_gets_an_object_when_the_tap_side_fails(faulty: Faulty, mode: str, exit_code: int):
    answer = faulty.pipe(f"--mode {mode}", "--json")
    document, _ = answer.stdout.strip().splitlines()
    found = json.loads(document)
    assert (found["code"], found["exit"]) == ("pipe.upstream_died", exit_code)
    assert codes(answer) == [exit_code, exit_code]
    assert mode == "exit2" or found["bookmark"]["covered"] == 10


def test_our_target_rolls_back_to_the_last_state(faulty: Faulty):
    answer = faulty.pipe("--mode badutf8 --every 7", name="target-ledger")
    assert codes(answer) == [4, 4]
    assert faulty.kept() == list(range(7))
    assert faulty.position() == 6
    faulty.pipe("--every 7", name="target-ledger").expect()
    assert faulty.kept() == list(range(ROWS))


TARGETS = [
    ("die1", "plugin.exited", "cannot write any more"),
    ("die0", None, "exited with 0"),
    ("killself", "plugin.killed", "SIGKILL"),
    ("refuse", "plugin.exited", "cannot connect"),
]


@pytest.mark.parametrize(("mode", "code", "words"), TARGETS)
@pytest.mark.parametrize("rows", [ROWS, 50_000])
def test_a_target_that_dies_fails_the_line_once(faulty: Faulty, mode: str, code: str | None, words: str, rows: int):
    answer = faulty.pipe(f"--rows {rows} --every 1000000", f"--mode {mode}")
    assert codes(answer)[1] == 1
    if rows > ROWS:  # more than all pipes hold: the tap's side met a closed pipe
        assert codes(answer)[0] == 1
    # how much of its input a target that exits 0 had read by then is its buffer's affair; that it fails is not
    assert set(errors_in(answer)) <= ({code} if code else {"plugin.early_end", "target.unread", "target.unconfirmed"})
    assert len(errors_in(answer)) == 1
    assert words in answer.stderr
    assert faulty.position() is None
    assert faulty.runtime() == []


def test_a_target_that_prints_no_state_keeps_the_old_bookmark(faulty: Faulty):
    faulty.pipe("--rows 10").expect()
    assert codes(faulty.pipe("", "--mode none"))[1] == 1
    answer = faulty.pipe("", "--mode none --confirm never").expect()
    assert "the target printed no STATE: the old bookmark stays" in answer.stderr
    assert faulty.position() == 9


def test_junk_is_told_by_the_side_that_tells_everything(faulty: Faulty):
    answer = faulty.pipe("--mode blank").expect()
    assert "lines between the messages left out: 1 blank" in answer.stderr
    answer = faulty.pipe("--mode blank --junk fail --full-refresh")
    assert codes(answer) == [4, 4]
    assert errors_in(answer) == ["data.junk"]


# -- agreement between the sides


@pytest.mark.parametrize("side", ["tap", "target"])
def test_either_side_names_the_job(faulty: Faulty, side: str):
    named = {"tap": "", "target": ""} | {side: "--job shop"}
    line = f"dativo tap-fault {named['tap']} | dativo target-fault --path {faulty.out} {named['target']}"
    assert "job shop" in faulty.shell(line).expect().stderr
    assert faulty.bookmark("shop") is not None


def test_two_names_for_one_job_are_refused(faulty: Faulty):
    answer = faulty.shell(f"dativo tap-fault --job a | dativo target-fault --path {faulty.out} --job b").expect(2)
    assert errors_in(answer) == ["usage"]
    assert "a and b" in answer.stderr
    assert faulty.runtime() == []


def test_a_mapper_in_the_middle_relays_the_agreement(faulty: Faulty):
    line = f"dativo tap-fault | dativo map-fault | dativo target-fault --path {faulty.out}"
    answer = faulty.shell(line).expect()
    assert "job tap-fault-map-fault-to-target-fault" in answer.stderr
    assert '"mapped": true' in faulty.out.read_text()
    assert "nothing new since" in faulty.shell(line).expect().stderr
    assert faulty.runtime() == []


@pytest.mark.parametrize(
    ("tap", "middle", "expected", "words"),
    [
        ("", "--fail 15", [1, 1, 1], "map-fault exited with 1: cannot map this row"),
        ("--mode exit1", "", [1, 1, 1], "tap-fault exited with 1: something broke"),
        ("--mode exit2", "", [2, 2, 2], "choose another mode"),
    ],
)
def test_a_failure_passes_through_the_middle(faulty: Faulty, tap: str, middle: str, expected: list[int], words: str):
    answer = faulty.shell(faulty.pipe_line(tap, middle=f"dativo map-fault {middle}"), faulty.job)
    found = codes(answer)
    assert found[-1] == expected[-1]
    assert all(found) or middle  # a mapper that dies late may leave a tap that had already said everything
    assert len(errors_in(answer)) == 1
    assert words in answer.stderr
    assert faulty.runtime() == []


def test_a_full_refresh_asked_for_on_the_left(faulty: Faulty):
    faulty.pipe().expect()
    faulty.pipe("--full-refresh --rows 12").expect()
    assert faulty.rows() == [*range(ROWS), *range(12)]
    assert faulty.position() == 11


def test_a_state_file_on_the_left(faulty: Faulty):
    state = faulty.folder / "state.json"
    state.write_text('{"bookmarks":{"t":{"id":16}}}')
    faulty.pipe(f"--state {state}").expect()
    assert faulty.rows() == [17, 18, 19]


def test_one_stream_keeps_the_bookmark_of_the_others(faulty: Faulty):
    faulty.dativo("state", "set", faulty.job, '{"bookmarks":{"t":{"id":14},"u":{"id":7}}}', "--yes").expect()
    faulty.pipe("--stream t").expect()
    assert faulty.rows() == list(range(15, ROWS))
    assert faulty.bookmark(faulty.job) == {"bookmarks": {"t": {"id": 19}, "u": {"id": 7}}}


def test_the_destination_is_asked_for_its_bookmark(faulty: Faulty):
    faulty.pipe(name="target-ledger").expect()
    faulty.ledger.unlink()
    answer = faulty.pipe(name="target-ledger").expect()
    assert "target-ledger holds nothing of this job any more" in answer.stderr
    assert faulty.kept() == list(range(ROWS))


def test_a_second_tap_on_the_same_pipe_is_refused(faulty: Faulty):
    line = (
        f"(dativo tap-fault; dativo tap-fault --rows 40; echo second $? >&2) | dativo target-fault --path {faulty.out}"
    )
    answer = faulty.shell(line, faulty.job)
    assert "second 2" in answer.stderr
    assert "target-fault has another tap on this pipe already" in answer.stderr
    assert faulty.position() == 19  # the first tap's rows are committed, nothing of the second is
    assert faulty.rows() == list(range(ROWS))
    assert answer.code != 0


def test_process_substitution_is_a_pipe_too(faulty: Faulty):
    line = f"dativo target-fault --path {faulty.out} < <(dativo tap-fault)"
    faulty.shell(line).expect()
    assert "nothing new since" in faulty.shell(line).expect().stderr


# -- beside foreign programs


def test_a_foreign_target(faulty: Faulty):
    config = faulty.folder / "c.json"
    config.write_text(json.dumps({"path": str(faulty.out)}))
    line = f"dativo tap-fault | {HERE / 'target-fault'} --config {config}"
    answer = faulty.shell(line).expect()
    assert "target-fault is not run by dativo: no bookmark is kept" in answer.stderr
    assert faulty.rows() == list(range(ROWS))
    assert faulty.bookmark(PAIR) is None
    faulty.dativo("state", "set", PAIR, '{"bookmarks":{"t":{"id":17}}}', "--yes").expect()
    faulty.shell(line).expect()  # set by hand: honoured
    assert faulty.rows() == [*range(ROWS), 18, 19]
    assert faulty.runtime() == []


def test_a_foreign_tap(faulty: Faulty):
    gate = faulty.folder / "gate"
    config = faulty.folder / "c.json"
    config.write_text(json.dumps({"gate": str(gate)}))
    line = f"{HERE / 'tap-fault'} --config {config} | dativo target-fault --path {faulty.out}"
    process = faulty.start(line)
    until(lambda: faulty.rows() == list(range(10)), "the first rows")
    gate.touch()
    answer = ended(process, line).expect()
    assert "tap-fault is not run by dativo: whether it ended or died cannot be known" in answer.stderr
    assert faulty.bookmark(PAIR) == {"bookmarks": {"t": {"id": 19}}}
    assert faulty.runtime() == []


def test_nothing_from_a_writer_that_nobody_saw_is_no_success(faulty: Faulty):
    line = f"true | (sleep 1; exec dativo target-fault --path {faulty.out}); echo codes ${{PIPESTATUS[*]}}"
    answer = faulty.shell(line, faulty.job)
    assert codes(answer) == [0, 1]
    assert errors_in(answer) == ["pipe.upstream_died"]
    faulty.shell(f"dativo target-fault --path {faulty.out} < /dev/null", faulty.job).expect()


def test_a_foreign_tap_that_was_gone_before_it_was_seen(faulty: Faulty):
    config = faulty.folder / "c.json"
    config.write_text("{}")
    line = f"dativo target-fault --path {faulty.out} --job shop"
    tap = subprocess.run(
        [HERE / "tap-fault", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    read, write = os.pipe()
    os.write(write, tap.stdout)
    os.close(write)
    process = faulty.start(line, stdin=read)
    os.close(read)
    answer = ended(process, line).expect()
    assert "the program on the left is not run by dativo" in answer.stderr
    assert faulty.bookmark("shop") == {"bookmarks": {"t": {"id": 19}}}


def test_head_ends_quietly(faulty: Faulty):
    answer = faulty.shell("dativo tap-fault --rows 1000000 | head -3; echo codes ${PIPESTATUS[*]}")
    assert codes(answer) == [141, 0]
    assert answer.stderr == ""
    assert len(answer.stdout.splitlines()) == 4
    assert faulty.runtime() == []


def test_a_shell_loop_reads_too(faulty: Faulty):
    answer = faulty.shell("dativo tap-fault | while read -r line; do echo x; done").expect()
    assert answer.stdout == "x\n" * 24


def test_files_in_place_of_pipes(faulty: Faulty):
    singer = faulty.folder / "rows.singer"
    out = faulty.shell(f"dativo tap-fault > {singer}").expect()
    assert out.stdout == ""
    assert len(singer.read_text().splitlines()) == 24
    faulty.shell(f"dativo target-fault --path {faulty.out} < {singer}").expect()
    assert faulty.rows() == list(range(ROWS))
    assert faulty.bookmark("stdin-to-target-fault") is not None


def test_a_tap_into_a_terminal(faulty: Faulty):
    main, side = pty.openpty()
    process = faulty.start("exec dativo tap-fault --rows 2", stdout=side)
    os.close(side)
    said = b""
    try:
        while chunk := os.read(main, 4096):
            said += chunk
    except OSError:  # the other end was closed
        pass
    os.close(main)
    assert process.wait() == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert [json.loads(line)["type"] for line in said.decode().splitlines()] == [
        "SCHEMA",
        "RECORD",
        "RECORD",
        "STATE",
    ]


def test_a_terminal_is_no_input_for_a_target(faulty: Faulty):
    main, side = pty.openpty()
    process = faulty.start(f"exec dativo target-fault --path {faulty.out}", stdin=side)
    os.close(side)
    answer = ended(process, "dativo target-fault").expect(2)
    os.close(main)
    assert errors_in(answer) == ["usage"]
    assert "stdin is a terminal" in answer.stderr


# -- two at once, Ctrl-C, kill -9


def started(faulty: Faulty, tap: str = "", name: str = "target-fault"):
    """A pipe whose tap waits at its gate after the first STATE."""
    gate = faulty.folder / "gate"
    line = faulty.pipe_line(f"--gate {gate} {tap}", name=name)
    process = faulty.start(line, faulty.job)
    appeared(faulty.folder / "gate.ready", process)
    until(lambda: faulty.position() == 9, "the first bookmark")
    return process, gate, line


def test_a_second_line_of_the_job_is_refused_once(faulty: Faulty):
    """I5: both sides leave with 5, and one of them says why."""
    process, gate, line = started(faulty)
    answer = faulty.pipe("-v")
    assert codes(answer) == [5, 5]
    assert errors_in(answer) == ["job.busy"]
    assert "selected" not in answer.stderr  # the tap was never started
    gate.touch()
    ended(process, line).expect()
    assert faulty.rows() == list(range(ROWS))
    assert faulty.runtime() == []


def test_ctrl_c_once_drains_both_sides(faulty: Faulty):
    process, _, line = started(faulty)
    interrupt(process)
    answer = ended(process, line)
    assert codes(answer) == [130, 130]
    assert errors_in(answer) == ["run.cancelled"]
    assert answer.stderr.count("stopping: what was read is still written") == 1
    gone(faulty.job)
    assert faulty.position() == 9
    faulty.pipe().expect()
    assert faulty.rows() == list(range(ROWS))
    assert faulty.runtime() == []


def test_a_tap_side_that_is_terminated_is_told_by_the_other(faulty: Faulty):
    process, _, line = started(faulty)
    members(faulty.job, "control", "tap-fault")[0].kill(signal.SIGTERM)
    answer = ended(process, line)
    assert codes(answer) == [143, 1]
    assert errors_in(answer) == ["pipe.upstream_died"]
    assert "was cancelled" in answer.stderr
    gone(faulty.job)
    assert faulty.position() == 9


def data_planes(job: str, controls: list[Found]) -> set[int]:
    """The pids of the data planes that these processes started."""
    parents = {one.pid for one in controls}
    return {one.pid for one in members(job, "bus") if psutil.Process(one.pid).ppid() in parents}


KILLED = [
    ("tap", "tap-fault", [1, 1], ["plugin.killed"]),
    ("target", "target-", [1, 1], ["plugin.killed"]),
    ("control", "tap-fault", [137, 1], ["pipe.upstream_died"]),
    ("control", "target-", [1, 137], ["pipe.closed"]),
]


@pytest.mark.parametrize(("role", "word", "expected", "told"), KILLED)
@pytest.mark.parametrize("name", ["target-fault", "target-ledger"])
def test_kill_9_of_any_process(faulty: Faulty, role: str, word: str, expected: list[int], told: list[str], name: str):
    """I1, I8: whoever is killed, nothing stays behind and the next line completes the job."""
    process, gate, line = started(faulty, name=name)
    victims = members(faulty.job, role, word)
    followers = data_planes(faulty.job, victims)
    for one in victims:
        one.kill()
    until(lambda: not followers & {one.pid for one in members(faulty.job, "bus")}, "the end of its data plane")
    gate.touch()
    answer = ended(process, line)
    assert codes(answer) == expected
    assert errors_in(answer) == told
    gone(faulty.job)
    assert faulty.pipe(name=name).expect().stdout == "codes 0 0\n"
    rows = faulty.kept() if name == "target-ledger" else faulty.rows()
    assert set(rows) == set(range(ROWS))
    if name == "target-ledger":
        assert rows == list(range(ROWS))
    assert [path for path in faulty.runtime() if path.startswith("runs")] == []


@pytest.mark.parametrize("side", ["left", "right"])
def test_kill_9_of_a_data_plane(faulty: Faulty, side: str):
    process, gate, line = started(faulty, name="target-ledger")
    for pid in data_planes(faulty.job, members(faulty.job, "control", "tap-" if side == "left" else "target-")):
        os.kill(pid, signal.SIGKILL)
    gate.touch()
    answer = ended(process, line)
    assert codes(answer) == [1, 1]
    assert errors_in(answer) == ["bus.died"]
    gone(faulty.job)
    faulty.pipe(name="target-ledger").expect()
    assert faulty.kept() == list(range(ROWS))
    assert [path for path in faulty.runtime() if path.startswith("runs")] == []
