"""Tapes with real processes: what is recorded, what a killed run leaves of it, and every way to replay it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from tests.fixtures.faulty import Faulty, appeared, codes, ended, errors_in, members, until
from tests.workspace import Answer

ROWS = 20


def record(faulty: Faulty, name: str = "t.tape.zst", **tap: object) -> Path:
    faulty.run("--record", name, **tap)
    return faulty.folder / name


def info(faulty: Faulty, tape: Path | str) -> dict[str, object]:
    return faulty.dativo("replay", tape, "--info", "--json").expect().json


def into(faulty: Faulty, *words: str, out: str = "again.txt") -> tuple[Answer, list[int]]:
    answer = faulty.dativo(
        "replay", *words, "--to", "target-fault", "--set", f"target-fault.path={faulty.folder / out}"
    )
    file = faulty.folder / out
    return answer, [json.loads(line)["id"] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_tape_says_what_it_holds(faulty: Faulty):
    answer = faulty.run("--record", mode="log", loud="true").expect()
    [tape] = (faulty.folder / ".dativo" / "tapes").iterdir()
    assert f"recorded in .dativo/tapes/{tape.name}" in answer.stderr
    assert stat.S_IMODE(tape.stat().st_mode) == 0o600
    run = tape.name.removesuffix(".tape.zst")
    found = info(faulty, run)
    assert (found["run"], found["job"], found["hops"]) == (run, faulty.job, [["tap-fault", "target-fault"]])
    assert (found["streams"], found["verdict"], found["complete"]) == ({"t": ROWS}, "done", True)
    assert found["bookmark"] == faulty.bookmark(faulty.job)
    assert found["logged"]["tap-fault"] >= ROWS
    shown = faulty.dativo("replay", run, "--info").expect().stdout
    assert "tap-fault > target-fault" in shown and "20 records, 3 STATEs" in shown


def test_the_stream_is_what_the_tap_wrote(faulty: Faulty):
    record(faulty, rows=5)
    messages = [json.loads(line) for line in faulty.dativo("replay", "t.tape.zst").expect().stdout.splitlines()]
    assert [one["type"] for one in messages] == ["SCHEMA", *["RECORD"] * 5, "STATE"]
    assert [one["record"]["id"] for one in messages if one["type"] == "RECORD"] == list(range(5))
    head = faulty.shell("dativo replay t.tape.zst --until 2 | cat").expect()
    assert head.stdout.count('"RECORD"') == 2


def test_a_replay_needs_no_source_and_has_a_job_of_its_own(faulty: Faulty):
    record(faulty)
    faulty.configure({"tap-fault": {"config": {"mode": "exit2"}}})
    before = faulty.bookmark(faulty.job)
    answer, rows = into(faulty, "t.tape.zst", "map-fault")
    assert "20 read = 20 written" in answer.expect().stderr
    assert "job replay-t" in answer.stderr
    assert rows == list(range(ROWS))
    assert '"mapped": true' in (faulty.folder / "again.txt").read_text()
    assert faulty.bookmark(faulty.job) == before
    assert faulty.bookmark("replay-t") == before
    assert into(faulty, "t.tape.zst", "--until", "7", out="some.txt")[1] == list(range(7))
    assert into(faulty, "t.tape.zst", "--speed", "real", out="slow.txt")[1] == list(range(ROWS))
    assert faulty.runtime() == []


def test_a_shell_pipe_records_what_each_side_saw(faulty: Faulty):
    line = (
        f"dativo tap-fault --record | dativo target-fault --path {faulty.out} --record; echo codes ${{PIPESTATUS[*]}}"
    )
    answer = faulty.shell(line, faulty.job).expect()
    assert codes(answer) == [0, 0]
    tapes = sorted(path.name for path in (faulty.folder / ".dativo" / "tapes").iterdir())
    assert len(tapes) == 2
    assert [info(faulty, name)["streams"] for name in tapes] == [{"t": ROWS}] * 2
    replayed = f"dativo replay {tapes[0]} | dativo target-fault --path again.txt; echo codes ${{PIPESTATUS[*]}}"
    assert codes(faulty.shell(replayed).expect()) == [0, 0]
    assert len((faulty.folder / "again.txt").read_text().splitlines()) == ROWS


def test_a_tape_of_a_killed_run_is_whole_up_to_its_end(faulty: Faulty):
    gate = faulty.folder / "gate"
    words = [*faulty.run_words(gate=str(gate)), "--record", "t.tape.zst"]
    process = faulty.start("exec dativo " + " ".join(words))
    appeared(Path(f"{gate}.ready"), process)
    tape = faulty.folder / "t.tape.zst"
    until(lambda: tape.stat().st_size > 0 and info(faulty, tape)["records"] == 10, "ten records on the tape")
    [bus] = members(faulty.job, "bus")
    os.kill(bus.pid, signal.SIGKILL)
    ended(process, "run").expect(1)
    found = info(faulty, tape)
    assert (found["verdict"], found["complete"], found["streams"]) == (None, False, {"t": 10})
    assert "breaks off" in faulty.dativo("replay", tape, "--info").expect().stdout
    with tape.open("r+b") as file:
        file.truncate(tape.stat().st_size - 3)  # and one whose last block is torn
    answer, rows = into(faulty, str(tape))
    answer.expect()
    assert rows == list(range(len(rows)))


def test_an_interrupted_run_is_replayed_to_where_it_broke(faulty: Faulty):
    tape = record(faulty, mode="truncated")
    found = info(faulty, tape)
    assert (found["verdict"], found["reason"], found["child"]) == ("interrupted", "plugin.exited", "tap-fault")
    answer, rows = into(faulty, str(tape))
    answer.expect()
    assert rows == list(range(10))


def test_secrets_are_not_in_what_was_said(faulty: Faulty):
    secret = "hunter-22-secret"
    faulty.configure({"tap-fault": {"config": {"password": secret, "either": f"x {secret} x"}}})
    tape = record(faulty)
    text = subprocess.run(["zstd", "-dc", tape], capture_output=True, check=True).stdout.decode()
    assert "labels None either 'x *** x'" in text
    assert secret not in text


def test_what_cannot_be_a_tape_is_refused(faulty: Faulty):
    other = faulty.folder / "other.zst"
    other.write_text("precious")
    assert errors_in(faulty.run("--record", "other.zst").expect(2)) == ["tape.invalid"]
    assert other.read_text() == "precious"
    assert errors_in(faulty.dativo("replay", "other.zst").expect(2)) == ["tape.invalid"]
    assert errors_in(faulty.dativo("replay", "r-none").expect(2)) == ["tape.invalid"]
    taken = faulty.dativo("run", "--record", "tap-fault", "target-fault").expect(2)
    assert "--record comes last" in taken.stderr
    missing = faulty.run("--record", "/proc/none/t.tape.zst").expect(3)
    assert errors_in(missing) == ["env.read_only"]
    assert faulty.rows() == []


def test_a_tape_becomes_a_test(faulty: Faulty):
    tape = record(faulty)
    words = ["--to", "target-fault", "--set", "target-fault.path={tmp}/out.txt", "--test", "test_rows.py"]
    faulty.dativo("replay", tape, *words).expect()
    assert (faulty.folder / "rows.tape.zst").is_file()

    def pytest_says(**more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_rows.py"]
        environment = {**faulty.environment(), **more}
        return subprocess.run(command, cwd=faulty.folder, env=environment, capture_output=True, text=True, check=False)

    done = pytest_says()
    assert done.returncode == 0, done.stdout + done.stderr
    faulty.configure({"target-fault": {"config": {"mode": "die1"}}})
    failed = pytest_says()
    assert failed.returncode == 1 and "plugin.exited" in failed.stdout
    bad = faulty.dativo("replay", tape, "--to", "target-fault", "--test", "rows.py").expect(2)
    assert "test_….py" in bad.stderr
