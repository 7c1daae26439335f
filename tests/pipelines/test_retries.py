"""`dativo run` tries again what may pass, goes on where it was, and says so: real processes that fail by number."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.fixtures.faulty import Faulty, appeared, ended, errors_in, gone, interrupt, members, until
from tests.servers.postgres import free_port

ROWS = 20


def words(faulty: Faulty, **retry: Any) -> str:
    """The job as one of dativo.yml, with its policy; returns its name."""
    file = faulty.folder / "dativo.yml"
    project = json.loads(file.read_text() or "{}") if file.read_text().startswith("{") else {}
    job = {"steps": ["tap-fault", "target-fault"], "retry": {"delay": 0, **retry}}
    project.setdefault("jobs", {})[faulty.job] = job
    project.setdefault("plugins", {}).setdefault("target-fault", {"config": {"path": str(faulty.out)}})
    file.write_text(json.dumps(project))
    return faulty.job


def run_job(faulty: Faulty, *more: str, retries: int | None = 2, **tap: Any) -> Any:
    sets = [word for key, value in tap.items() for word in ("--set", f"tap-fault.{key}={value}")]
    asked = [] if retries is None else ["--retries", str(retries)]
    return faulty.dativo("run", faulty.job, *sets, *asked, *more)


def test_a_killed_tap_is_tried_again_from_its_bookmark(faulty: Faulty):
    words(faulty)
    answer = run_job(faulty, mode="killself", counter=faulty.folder / "n", times=1).expect()
    assert "attempt 1 of 3 failed: tap-fault was killed by signal 9 (SIGKILL)" in answer.stderr
    assert "after 1 retry (tap-fault was killed by signal 9 (SIGKILL))" in answer.stderr
    assert faulty.rows() == list(range(ROWS)), "nothing is read twice"
    assert faulty.position() == ROWS - 1
    assert faulty.runtime() == []
    gone(faulty.job)


def test_each_attempt_is_in_the_history_with_its_cause(faulty: Faulty):
    words(faulty)
    answer = run_job(faulty, "--json", mode="exit1", counter=faulty.folder / "n", times=2, every=5).expect()
    summary = answer.json
    assert [one["verdict"] for one in summary["attempts"]] == ["interrupted", "interrupted", "done"]
    assert (summary["records"], summary["bookmark"]["covered"], summary["repeated"]) == (ROWS, ROWS, 0)
    [entry] = faulty.history()
    assert [(one["number"], one["cause"], one["reason"]) for one in entry["attempts"]] == [
        (1, "transient", "plugin.exited"),
        (2, "transient", "plugin.exited"),
        (3, None, None),
    ]
    assert entry["attempts"][0]["message"] == "tap-fault exited with 1: something broke"
    assert (entry["verdict"], entry["records"]) == ("done", ROWS)
    shown = faulty.dativo("state", "log", faulty.job).expect().stdout
    assert "done after 3 attempts" in shown


def test_the_error_of_the_last_attempt_names_those_before_it(faulty: Faulty):
    words(faulty)
    answer = run_job(faulty, mode="exit1", every=2).expect(1)
    assert errors_in(answer) == ["plugin.exited"]
    assert answer.stderr.count("  tap-fault | something broke") == 1, "only the last attempt's lines are shown"
    assert "attempts 1, 2: tap-fault exited with 1: something broke" in answer.stderr
    assert "not tried again: it was tried 3 times" in answer.stderr
    assert "6 committed: the next run goes on there" in answer.stderr
    assert faulty.position() == 5
    run_job(faulty).expect()
    assert faulty.rows() == list(range(ROWS))


@pytest.mark.parametrize(
    ("tap", "attempts"),
    [
        ({"mode": "ours"}, 1),
        ({"mode": "badjson"}, 1),
        ({"mode": "segfault", "every": 4}, 2),
        ({"mode": "exit1", "every": 4, "words": "FATAL: password authentication failed for user x"}, 1),
        ({"mode": "exit1", "every": 4, "words": "the bridge is closed: try again"}, 1),
        ({"mode": "exit1", "every": 4, "words": "permission denied, the moon is in the way"}, 3),
        ({"mode": "exit1", "every": 4, "words": "deadlock detected"}, 3),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_what_stays_is_not_tried_again(faulty: Faulty, tap: dict[str, Any], attempts: int):
    words(faulty)
    answer = run_job(faulty, **tap)
    assert answer.code in (1, 3, 4)
    [entry] = faulty.history()
    assert len(entry["attempts"]) == attempts, answer.stderr


def test_a_killed_target_is_tried_again(faulty: Faulty):
    words(faulty)
    sets = ["--set", "target-fault.mode=killself", "--set", f"target-fault.counter={faulty.folder / 'n'}"]
    run_job(faulty, *sets, "--set", "target-fault.after=15").expect()
    assert faulty.position() == ROWS - 1
    assert sorted(set(faulty.rows())) == list(range(ROWS))
    [entry] = faulty.history()
    assert [one["verdict"] for one in entry["attempts"]] == ["interrupted", "done"]


def test_a_target_that_keeps_the_bookmark_gets_each_row_once(faulty: Faulty):
    """The target is asked again: what it holds wins over what was heard of it."""
    answer = faulty.run(
        "--retries", "3", target="target-ledger", mode="killself", counter=faulty.folder / "n", times=2, every=5
    ).expect()
    assert faulty.kept() == list(range(ROWS)), answer.stderr


def test_a_data_plane_that_dies_is_started_again(faulty: Faulty):
    words(faulty)
    gate = faulty.folder / "gate"
    faulty.configure({"tap-fault": {"config": {"gate": str(gate)}}})
    line = f"dativo run {faulty.job} --retries 1 --json"
    process = faulty.start(line, faulty.job)
    appeared(gate.with_name("gate.ready"), process)
    until(lambda: faulty.position() == 9, "the first bookmark")
    for bus in members(faulty.job, "bus"):
        bus.kill()
    gate.touch()
    answer = ended(process, line).expect()
    [entry] = faulty.history()
    assert [one["reason"] for one in entry["attempts"]] == ["bus.died", None]
    assert sorted(set(faulty.rows())) == list(range(ROWS)), answer.stderr
    gone(faulty.job)


def test_a_host_that_refuses_may_be_back(faulty: Faulty):
    url = f"http://127.0.0.1:{free_port()}/"
    answer = several(faulty, "--retries", "1", url=url).expect(1)
    assert "Connection re" in answer.stderr  # refused, or reset where a broker stands between
    [entry] = faulty.history()
    assert [one["cause"] for one in entry["attempts"]] == ["transient", "transient"]


def test_a_full_refresh_is_one_whatever_the_attempts(faulty: Faulty):
    words(faulty)
    run_job(faulty).expect()
    faulty.out.unlink()
    run_job(faulty, "--full-refresh", mode="killself", counter=faulty.folder / "n").expect()
    assert faulty.rows() == list(range(ROWS))


def test_ctrl_c_ends_the_wait_at_once(faulty: Faulty):
    words(faulty, delay="1h", max_delay="1h")
    faulty.configure({"tap-fault": {"config": {"mode": "killself"}}})
    line = f"dativo run {faulty.job} --retries 5"
    log = faulty.folder / "log"
    process = faulty.start(f"exec {line} 2> {log}")
    until(lambda: log.exists() and "again in" in log.read_text(), "the wait")
    interrupt(process)
    answer = ended(process, line)
    assert answer.code == 130
    said = log.read_text()
    assert "attempt 1 of 6 failed: tap-fault was killed by signal 9 (SIGKILL) · tap-fault again in " in said
    assert "(Ctrl-C stops)" in said
    assert "error[run.cancelled]" in said
    assert "attempt 1: tap-fault was killed" in said
    [entry] = faulty.history()
    assert (entry["verdict"], entry["reason"]) == ("interrupted", "run.cancelled")
    gone(faulty.job)


def test_no_attempt_begins_after_the_deadline(faulty: Faulty):
    words(faulty, deadline="10s")
    answer = run_job(faulty, mode="exit1", words="429 Too Many Requests, Retry-After: 3600").expect(1)
    assert "not tried again: the next attempt, in 1 h 00 min, would begin after retry.deadline 10 s" in answer.stderr


def test_the_budget_counts_over_runs(faulty: Faulty):
    words(faulty, budget=2)
    tap: dict[str, Any] = {"mode": "exit1", "rows": 1000, "every": 4}
    run_job(faulty, **tap).expect(1)
    answer = run_job(faulty, **tap).expect(1)
    assert "the job has used retry.budget, 2 in an hour" in answer.stderr
    assert [len(entry["attempts"]) for entry in faulty.history()] == [1, 3]


def test_the_breaker_opens_lets_one_try_and_closes(faulty: Faulty):
    words(faulty, breaker={"failures": 2, "pause": "1h"})
    for _ in range(2):
        run_job(faulty, mode="exit1", every=4, retries=0).expect(1)
    answer = run_job(faulty).expect(1)
    assert errors_in(answer) == ["job.breaker_open"]
    assert "tap-fault failed in 2 runs in a row" in answer.stderr
    assert "--force" in answer.stderr
    assert faulty.history()[0]["reason"] == "job.breaker_open"
    words(faulty, breaker={"failures": 2, "pause": 0})
    run_job(faulty, mode="exit1", every=4, retries=0).expect(1)
    words(faulty, breaker={"failures": 2, "pause": "1h"})
    assert errors_in(run_job(faulty).expect(1)) == ["job.breaker_open"], "the one try failed"
    run_job(faulty, "--force").expect()
    run_job(faulty).expect()


# -- a source that says how long to wait


@contextmanager
def limiting(status: int, headers: dict[str, str]) -> Iterator[tuple[str, list[float]]]:
    """A server that turns the first request away; its address, and when it was asked."""
    asked: list[float] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.time())
            first = len(asked) == 1
            self.send_response(status if first else 200)
            for name, value in (headers if first else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", ["seconds", "date", "reset"])
def test_a_limited_tap_waits_as_told(faulty: Faulty, kind: str):
    told = {
        "seconds": {"Retry-After": "2"},
        "date": {"Retry-After": formatdate(time.time() + 3, usegmt=True)},
        "reset": {"X-RateLimit-Reset": str(int(time.time()) + 3)},
    }[kind]
    job = {"steps": ["tap-several", "target-fault"], "retry": {"delay": 0, "max_delay": 0}}
    with limiting(429, told) as (url, asked):
        plugins = {"tap-several": {"config": {"url": url}}, "target-fault": {"config": {"path": str(faulty.out)}}}
        (faulty.folder / "dativo.yml").write_text(json.dumps({"jobs": {faulty.job: job}, "plugins": plugins}))
        started = time.time()
        answer = faulty.dativo("run", faulty.job, "--retries", "1").expect()
    assert "HTTP-error-code: 429" in answer.stderr
    least = {"seconds": asked[0] + 2}.get(kind, int(started) + 2)  # a date has no fractions
    assert asked[1] >= least, answer.stderr
    assert len(faulty.rows()) == 12


# -- streams apart


def several(faulty: Faulty, *more: str, **tap: Any) -> Any:
    sets = [
        word
        for key, value in tap.items()
        for word in ("--set", f"tap-several.{key}={value if isinstance(value, str) else json.dumps(value)}")
    ]
    out = ["--set", f"target-fault.path={faulty.out}"]
    return faulty.dativo("run", "tap-several", "target-fault", "--job", faulty.job, *sets, *out, *more)


def loaded(faulty: Faulty) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in faulty.out.read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["of"], []).append(row["id"])
    return found


@pytest.mark.parametrize("silent", [False, True])
def test_a_failing_stream_is_left_out_and_the_others_are_done(faulty: Faulty, silent: bool):
    several(faulty, rows=2).expect()
    faulty.out.unlink()
    answer = several(faulty, "--continue-on-error", "--json", rows=8, broken=["b"], silent=silent).expect(6)
    problem = answer.json
    assert (problem["code"], problem["verdict"]) == ("run.partial", "partial")
    assert list(problem["failed"]) == ["b"]
    assert problem["failed"]["b"]["code"] == "plugin.exited"
    assert "b: tap-several exited with 1" in problem["details"][0]
    assert loaded(faulty) == {"a": [2, 3, 4, 5, 6, 7], "b": [2, 3], "c": [2, 3, 4, 5, 6, 7]}
    kept = faulty.bookmark(faulty.job)["bookmarks"]
    assert kept == {"a": {"id": 7}, "b": {"id": 1}, "c": {"id": 7}}, "b's part is as it was"
    entry = faulty.history()[0]
    assert (entry["verdict"], entry["reason"]) == ("partial", "run.partial")
    faulty.out.unlink()
    several(faulty, rows=8).expect()
    assert loaded(faulty) == {"b": [2, 3, 4, 5, 6, 7]}


def test_two_streams_fail_and_the_job_says_so_itself(faulty: Faulty):
    job = {"steps": ["tap-several", "target-fault"], "continue_on_error": True}
    plugins = {
        "tap-several": {"config": {"broken": ["a", "c"]}},
        "target-fault": {"config": {"path": str(faulty.out)}},
    }
    (faulty.folder / "dativo.yml").write_text(json.dumps({"jobs": {faulty.job: job}, "plugins": plugins}))
    answer = faulty.dativo("run", faulty.job).expect(6)
    assert errors_in(answer) == ["run.partial"]
    assert "2 streams failed and the others are done: a, c" in answer.stderr
    assert "a failed: tap-several exited with 1: CRITICAL it broke in the middle · going on without it" in answer.stderr
    assert "(exit 6)" in answer.stderr
    assert faulty.bookmark(faulty.job) == {"bookmarks": {"b": {"id": 3}}}


def test_when_every_stream_fails_the_run_fails(faulty: Faulty):
    answer = several(faulty, "--continue-on-error", broken=["a", "b", "c"]).expect(1)
    assert errors_in(answer) == ["plugin.exited"]
    assert "attempts 1, 2: " in answer.stderr
    assert faulty.bookmark(faulty.job) is None


def test_what_is_nobodys_stream_isolates_none(faulty: Faulty):
    answer = faulty.run("--continue-on-error", mode="ours").expect(3)
    assert errors_in(answer) == ["env.disk_full"]
