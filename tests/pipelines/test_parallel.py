"""Several taps at once: what arrives, and the bookmark, are those of one tap, whatever is killed on the way."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.fixtures.faulty import Faulty, ended, errors_in, gone, interrupt, members, until
from tests.workspace import ROOT, Answer

STREAMS = ("a", "b", "c", "d")
ROWS = 200
WHOLE = {"bookmarks": {name: {"id": ROWS - 1} for name in STREAMS}}
BREAKS = ('broken=["b"]',)


def words(faulty: Faulty, taps: int, *more: str, target: str = "target-ledger", **tap: Any) -> list[str]:
    """The words of a run of the busy tap."""
    given = {"rows": ROWS, **tap}
    sets = [f"tap-busy.{key}={one if isinstance(one, str) else json.dumps(one)}" for key, one in given.items()]
    sets.append(f"{target}.path={faulty.ledger}")
    return [
        *("run", "tap-busy", target, "--job", faulty.job, "--parallel", str(taps)),
        *(word for one in sets for word in ("--set", one)),
        *more,
    ]


def begun(faulty: Faulty, taps: int, *more: str, **tap: Any) -> Any:
    """Such a run, started; it takes a while, and has committed something."""
    line = "exec dativo " + " ".join(f"'{word}'" for word in words(faulty, taps, *more, slow=0.05, **tap))
    process = faulty.start(line, faulty.job)
    until(lambda: faulty.ledger.exists() or process.poll() is not None, "something is committed")
    return process


def content(faulty: Faulty) -> Counter[tuple[str, int]]:
    """How often each row is there."""
    return Counter((row["of"], row["id"]) for row in json.loads(faulty.ledger.read_text())["rows"])


def whole(faulty: Faulty) -> None:
    """Every row once, in the order of its stream, and the bookmark of a run with one tap."""
    rows = json.loads(faulty.ledger.read_text())["rows"]
    for name in STREAMS:
        assert [row["id"] for row in rows if row["of"] == name] == list(range(ROWS)), name
    assert len(rows) == ROWS * len(STREAMS)
    assert faulty.bookmark(faulty.job) == WHOLE
    assert json.loads(faulty.ledger.read_text())["bookmarks"][faulty.job] == WHOLE


def met(folder: Path) -> list[dict[str, Any]]:
    """What each tap that was started was given, in their order."""
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


def bus(job: str, what: str) -> processes.Found:
    """One of the job's data planes: `gather`, or one that has a child of a role."""
    import psutil

    for one in members(job, "bus"):
        if what == "gather":
            if "--gather" in one.command:
                return one
            continue
        below = {child.pid for child in psutil.Process(one.pid).children(recursive=True)}
        if "--gather" not in one.command and any(child.pid in below for child in members(job, what)):
            return one
    raise AssertionError(f"no data plane of a {what}")


@pytest.mark.parametrize("taps", [1, 2, 3, 8])
def test_rows_and_bookmark_are_those_of_one_tap(faulty: Faulty, taps: int):
    summary = faulty.dativo(*words(faulty, taps, "--json")).expect().json
    whole(faulty)
    assert {name: one["records"] for name, one in summary["streams"].items()} == dict.fromkeys(STREAMS, ROWS)
    assert summary["records"] == summary["bookmark"]["covered"] == ROWS * 4
    assert summary["parallel"].get("taps", 1) <= min(taps, 4)
    gone(faulty.job)
    assert faulty.runtime() == []
    again = faulty.dativo(*words(faulty, 2 if taps == 1 else 1, "--json")).expect().json
    assert again["records"] == 0
    whole(faulty)


def test_they_do_run_at_once(faulty: Faulty):
    """Each start waits for the other: one tap after the other would wait for ever."""
    answer = faulty.dativo(*words(faulty, 2, "--json", meet=str(faulty.folder / "meet"), meeting=2)).expect()
    whole(faulty)
    assert answer.json["parallel"]["taps"] == 2
    assert answer.json["parallel"]["peak_memory"] > 10 << 20
    assert sorted(one["streams"] for one in met(faulty.folder / "meet")) == [["a"], ["b"], ["c"], ["d"]]


def test_each_is_handed_its_own_streams_only(faulty: Faulty):
    faulty.dativo(*words(faulty, 1)).expect()
    faulty.dativo(*words(faulty, 2, meet=str(faulty.folder / "meet"), rows=ROWS + 1)).expect()
    given = {one["streams"][0]: one["state"] for one in met(faulty.folder / "meet")}
    assert given == {name: {"bookmarks": {name: {"id": ROWS - 1}}} for name in STREAMS}


def test_children_come_with_their_parent_and_what_the_job_says(faulty: Faulty):
    faulty.dativo(*words(faulty, 3, children={"b": "a"}, meet=str(faulty.folder / "one"))).expect()
    assert sorted(one["streams"] for one in met(faulty.folder / "one")) == [["a", "b"], ["c"], ["d"]]
    job = {
        "name": faulty.job,
        "steps": ["tap-busy", "target-ledger"],
        "parallel": {"taps": 2, "together": [["c", "d*"]]},
        "plugins": {
            "tap-busy": {"config": {"rows": ROWS, "meet": str(faulty.folder / "two")}},
            "target-ledger": {"config": {"path": str(faulty.folder / "other.json")}},
        },
    }
    (faulty.folder / "dativo.yml").write_text(
        json.dumps({"jobs": {faulty.job + "-2": {k: job[k] for k in job if k != "name"}}})
    )
    faulty.dativo("run", faulty.job + "-2").expect()
    assert sorted(one["streams"] for one in met(faulty.folder / "two")) == [["a"], ["b"], ["c", "d"]]


def test_a_tap_that_fails_begins_again_where_it_was(faulty: Faulty):
    once = faulty.folder / "once"
    answer = faulty.dativo(
        *words(faulty, 2, "--retries", "2", "--json", broken=["b"], once=str(once), every=30)
    ).expect()
    whole(faulty)
    assert [one["in_place"] for one in answer.json["attempts"]] == [True, False]
    assert answer.json["repeated"] == 0


def test_a_stream_that_fails_ends_the_run_and_what_is_whole_stays(faulty: Faulty):
    answer = faulty.dativo(*words(faulty, 2, broken=["b"], every=30)).expect(1)
    assert errors_in(answer) == ["plugin.exited"]
    assert "it broke in the middle of b" in answer.stderr
    stored = faulty.bookmark(faulty.job)["bookmarks"]
    assert stored["b"] == {"id": 89}
    expected = {(name, at) for name, mark in stored.items() for at in range(mark["id"] + 1)}
    assert content(faulty) == Counter(expected)
    gone(faulty.job)
    faulty.dativo(*words(faulty, 3, every=30)).expect()
    whole(faulty)


def test_continue_on_error_leaves_it_out(faulty: Faulty):
    answer = faulty.dativo(*words(faulty, 2, "--continue-on-error", "--json", broken=["b"], every=30)).expect(6)
    assert list(answer.json["failed"]) == ["b"]
    assert faulty.bookmark(faulty.job) == {"bookmarks": {**WHOLE["bookmarks"], "b": {"id": 89}}}
    faulty.dativo(*words(faulty, 2)).expect()
    whole(faulty)


def test_when_all_fail_the_run_fails(faulty: Faulty):
    answer = faulty.dativo(*words(faulty, 2, "--continue-on-error", broken=list(STREAMS))).expect(1)
    assert errors_in(answer) == ["plugin.exited"]


def test_a_bookmark_that_cannot_be_divided_is_refused(faulty: Faulty):
    answer = faulty.dativo(*words(faulty, 2, opaque=True)).expect(2)
    assert errors_in(answer) == ["state.invalid"]
    assert "--parallel" in answer.stderr
    gone(faulty.job)
    faulty.dativo(*words(faulty, 1, opaque=True)).expect()
    assert "divided" in faulty.dativo(*words(faulty, 2, opaque=True)).expect(2).stderr


@pytest.mark.parametrize("victim", ["tap", "target"])
def test_a_plugin_that_is_killed_is_started_again(faulty: Faulty, victim: str):
    process = begun(faulty, 2, "--retries", "3")
    killed = [one.kill() for one in members(faulty.job, victim)[:1]]
    assert killed == [True]
    ended(process, victim).expect()
    whole(faulty)
    gone(faulty.job)


@pytest.mark.parametrize("victim", ["tap", "target", "gather"])
def test_a_data_plane_that_is_killed_ends_the_attempt_and_the_next_is_whole(faulty: Faulty, victim: str):
    process = begun(faulty, 2, "--retries", "3")
    bus(faulty.job, victim).kill()
    ended(process, victim).expect()
    whole(faulty)
    gone(faulty.job)


@pytest.mark.parametrize("victim", ["tap", "target", "gather"])
def test_without_retries_the_next_run_goes_on(faulty: Faulty, victim: str):
    process = begun(faulty, 2)
    bus(faulty.job, victim).kill()
    assert ended(process, victim).code != 0
    gone(faulty.job)
    faulty.dativo(*words(faulty, 3)).expect()
    whole(faulty)


def test_a_control_plane_that_is_killed_leaves_nothing_and_the_next_run_goes_on(faulty: Faulty):
    process = begun(faulty, 3)
    process.kill()
    process.communicate()
    gone(faulty.job)
    faulty.dativo(*words(faulty, 2)).expect()
    whole(faulty)


def test_ctrl_c_ends_all_and_the_next_run_goes_on(faulty: Faulty):
    process = begun(faulty, 2)
    interrupt(process)
    answer = ended(process, "Ctrl-C")
    assert answer.code == 130, answer.stderr
    gone(faulty.job)
    stored = faulty.bookmark(faulty.job)["bookmarks"]
    assert content(faulty) == Counter({(name, at) for name, mark in stored.items() for at in range(mark["id"] + 1)})
    faulty.dativo(*words(faulty, 1)).expect()
    whole(faulty)


def test_two_runs_at_once_are_one(faulty: Faulty):
    process = begun(faulty, 2)
    refused: Answer = faulty.dativo(*words(faulty, 2)).expect(5)
    assert errors_in(refused) == ["job.busy"]
    ended(process, "first").expect()
    whole(faulty)


def test_rows_that_no_bookmark_covers_wait_outside_of_the_target(faulty: Faulty):
    """A job whose streams send one STATE at their end, with less room than a stream needs: one streams, others wait."""
    job = {
        "steps": ["tap-busy", "target-ledger"],
        "parallel": 3,
        "spill": {"memory": "64KB", "disk": "0"},
        "plugins": {
            "tap-busy": {"config": {"rows": 5_000, "every": 0}},
            "target-ledger": {"config": {"path": str(faulty.ledger)}},
        },
    }
    (faulty.folder / "dativo.yml").write_text(json.dumps({"jobs": {faulty.job: job}}))
    faulty.dativo("run", faulty.job).expect()
    assert content(faulty) == Counter({(name, at) for name in STREAMS for at in range(5_000)})
    assert faulty.bookmark(faulty.job) == {"bookmarks": {name: {"id": 4_999} for name in STREAMS}}


def test_a_job_that_may_not_have_more_memory_runs_one_tap_at_a_time(faulty: Faulty):
    answer = faulty.dativo(*words(faulty, 4, "--memory", "1MB", "--json")).expect()
    whole(faulty)
    assert answer.json["parallel"]["taps"] == 1
    assert answer.json["parallel"]["shares"] == 4


def test_bad_records_are_set_aside_as_with_one_tap(faulty: Faulty):
    more = ("--on-bad-record", "quarantine", "--json")
    answer = faulty.dativo(*words(faulty, 2, *more, null_text=50)).expect()
    assert answer.json["rejects"] == dict.fromkeys(STREAMS, 4)
    assert answer.json["records"] == (ROWS - 4) * 4
    assert faulty.bookmark(faulty.job) == WHOLE
    failing = faulty.dativo(*words(faulty, 2, "--full-refresh", null_text=50)).expect(4)
    assert errors_in(failing) == ["data.schema"]
    gone(faulty.job)


def test_a_mapper_between_them_sees_all(faulty: Faulty):
    line = words(faulty, 2)
    line.insert(2, "map-fault")
    faulty.dativo(*line).expect()
    whole(faulty)


def test_a_file_that_only_one_process_may_open(faulty: Faulty):
    """DuckDB: there is one target, so nothing is in its way; and it keeps the bookmark with the data."""
    import duckdb

    path = faulty.folder / "out.duckdb"
    faulty.dativo("add", ROOT / "targets/target-duckdb").expect()
    line = [word.replace(str(faulty.ledger), str(path)) for word in words(faulty, 3, target="target-duckdb")]
    started = faulty.start("exec dativo " + " ".join(f"'{word}'" for word in [*line, "--set", "tap-busy.slow=0.05"]))
    until(lambda: path.exists() or started.poll() is not None, "the file is there")
    started.kill()
    started.communicate()
    gone(faulty.job)
    faulty.dativo(*line).expect()
    assert faulty.bookmark(faulty.job) == WHOLE
    with duckdb.connect(str(path), read_only=True) as database:
        for name in STREAMS:
            assert database.execute(f"SELECT count(*), count(DISTINCT id) FROM {name}").fetchone() == (ROWS, ROWS)


def test_many_kills_in_a_row(faulty: Faulty):
    """Whatever is killed, whenever: each run goes on, and in the end every row is there once."""
    for round_, victim in enumerate(["tap", "target", "control", "bus"] * 2):
        line = "exec dativo " + " ".join(f"'{word}'" for word in words(faulty, 2 + round_ % 3, slow=0.02))
        process = faulty.start(line, faulty.job)
        until(lambda role=victim, it=process: members(faulty.job, role) or it.poll() is not None, victim)
        time.sleep(0.15 * (round_ % 4))
        for one in members(faulty.job, victim)[-1:]:
            one.kill()
        process.communicate()
        gone(faulty.job)
    faulty.dativo(*words(faulty, 2)).expect()
    whole(faulty)
