import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import time

import pytest

from dativo import errors
from dativo.state.store import Store

EXACT = '{"bookmarks": {"a": {"v": 1.10, "n": 12345678901234567890.5}}}'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "state.db"


def test_a_bookmark_is_read_back_as_the_text_that_was_given(path):
    with Store.open(path) as store:
        assert store.bookmark("j") is None
        lease = store.acquire("j")
        run = store.start_run(lease)
        store.commit(lease, EXACT, 5, 7)
    with Store.open(path) as store:
        mark = store.bookmark("j")
    assert (mark.text, mark.origin, mark.run, mark.records, mark.of) == (EXACT, "run", run, 5, 7)
    assert str(mark.value["bookmarks"]["a"]["v"]) == "1.10"


def test_the_file_is_private_and_set_up_for_durability(path):
    with Store.open(path) as store:
        assert store.journal_mode() == "wal"
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert store.check() == []
        store.set("j", "{}")
        modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


COMMITTER = """
import os, sys
from pathlib import Path
from dativo.state.store import Store
with Store.open(Path(sys.argv[1])) as store:
    lease = store.acquire("j")
    store.start_run(lease)
    for number in range(3):
        os.path.exists(f"/commit-{number}-begins")
        store.commit(lease, '{"n": %d}' % number)
        os.path.exists(f"/commit-{number}-ends")
"""


def test_each_commit_is_on_disk_before_it_returns(path, tmp_path):
    """I2, seen from outside: between a commit's begin and end its log is written and then synced."""
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,pwrite64,stat,newfstatat"
    command = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", COMMITTER, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    text = trace.read_text(errors="replace")
    for number in range(3):
        inside = text[text.index(f"/commit-{number}-begins") : text.index(f"/commit-{number}-ends")]
        writes = [found.start() for found in re.finditer(r"pwrite64\(\d+<[^>]*state\.db-wal>", inside)]
        syncs = [found.start() for found in re.finditer(r"f(?:data)?sync\(\d+<[^>]*state\.db-wal>", inside)]
        assert writes, inside
        assert syncs and syncs[-1] > writes[-1], inside


def test_runs_settle_into_the_history_once(path):
    with Store.open(path) as store:
        lease = store.acquire("j")
        store.start_run(lease)
        for number in range(5):
            store.commit(lease, f'{{"n": {number}}}', number, 9)
        assert [(one.number, one.verdict, one.records) for one in store.log("j")] == [(1, None, 4)]
        store.release(lease)  # died before it could end its run
        lease = store.acquire("j")
        store.start_run(lease)
        log = store.log("j")
        assert [(one.number, one.verdict, one.text) for one in log] == [(2, None, None), (1, "interrupted", '{"n": 4}')]


def test_the_history_tells_runs_and_hands_apart(path):
    with Store.open(path) as store:
        lease = store.acquire("j")
        first = store.start_run(lease)
        for number in range(5):
            store.commit(lease, f'{{"bookmarks": {{"s": {{"id": {number}}}}}}}', number, 9)
        store.end_run(first, "interrupted", "plugin.killed", {"streams": {"s": {"records": 9}}}, "tap was killed")
        second = store.start_run(lease)
        store.end_run(second, "done", None, {})
        store.release(lease)
        store.set("j", '{"id": 1}', stream="s", reason="again from 1")
        store.clear("j")
        log = store.log("j")
        assert [(one.origin, one.number, one.verdict) for one in log] == [
            ("clear", None, None),
            ("set", None, None),
            ("run", 2, "done"),
            ("run", 1, "interrupted"),
        ]
        assert [one.text for one in log] == [
            "{}",
            '{"bookmarks": {"s": {"id": 1}}}',
            None,
            '{"bookmarks": {"s": {"id": 4}}}',
        ]
        assert log[1].reason == "again from 1"
        assert log[1].by
        assert [one.number for one in store.log("j", stream="s")] == [None, 1]
        assert len(store.log("j", limit=2)) == 2
        assert store.log("k") == []


def test_the_history_keeps_its_order_when_the_clock_does_not(path, monkeypatch):
    """A clock that stands still, then jumps back an hour: newest first all the same."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with Store.open(path) as store:
        for number in range(3):
            lease = store.acquire("j")
            run = store.start_run(lease)
            store.commit(lease, f'{{"n": {number}}}')
            store.end_run(run, "done", None, {})
            store.release(lease)
            store.set("j", f'{{"set": {number}}}')
            store.clear("j")
            now -= 3600
        assert [(one.origin, one.number) for one in store.log("j")] == [
            (origin, place) for run in (3, 2, 1) for origin, place in (("clear", None), ("set", None), ("run", run))
        ]


def test_the_history_cannot_be_changed(path):
    """I4, tried with plain SQL."""
    with Store.open(path) as store:
        store.set("j", EXACT)
    raw = sqlite3.connect(path)
    for statement in ("UPDATE history SET value = '{}'", "DELETE FROM history"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(statement)
    raw.close()


def test_a_cleared_bookmark_is_known_to_be_cleared(path):
    with Store.open(path) as store:
        with pytest.raises(errors.ConfigError):
            store.clear("j")
        store.set("j", EXACT)
        store.clear("j")
        mark = store.bookmark("j")
        assert (mark.text, mark.origin) == ("{}", "clear")


def test_what_is_refused_changes_nothing(path):
    with Store.open(path) as store:
        store.set("j", EXACT)
        with pytest.raises(errors.ConfigError):
            store.set("j", "[]")
        with pytest.raises(errors.ConfigError):
            store.clear("j", stream="nope")
        assert store.bookmark("j").text == EXACT
        assert len(store.log("j")) == 1


def test_reading_makes_no_file(path):
    with Store.open_to_read(path) as store:
        assert store.jobs() == []
    assert not path.parent.exists()


def test_a_reader_sees_what_a_writer_committed(path):
    with Store.open(path) as writer:
        writer.set("j", EXACT)
        with Store.open_to_read(path) as reader:
            assert reader.bookmark("j").text == EXACT
            [job] = reader.jobs()
            assert (job.name, job.holder, job.last_run) == ("j", None, None)
            with pytest.raises(errors.EnvironmentFault) as caught:
                reader.set("j", "{}")
    assert caught.value.code == "env.read_only"


def _open_and_set(path, name, barrier):
    barrier.wait()
    with Store.open(path) as store:
        store.set(name, "{}")


def test_many_processes_may_make_the_store_at_once(path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    workers = [context.Process(target=_open_and_set, args=(path, f"j{n}", barrier)) for n in range(6)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert [one.exitcode for one in workers] == [0] * 6
    with Store.open(path) as store:
        assert [one.name for one in store.jobs()] == [f"j{n}" for n in range(6)]


def test_a_killed_writer_leaves_a_whole_store(path):
    """SIGKILL in the middle of commits: the store opens, checks, and holds one of the committed values."""
    with Store.open(path) as store:
        store.set("j", '{"n": 0}')
    for _ in range(5):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            with Store.open(path) as store:
                lease = store.acquire("j")
                store.start_run(lease)
                number = 0
                while True:
                    number += 1
                    store.commit(lease, f'{{"n": {number}}}')
                    os.write(writing, number.to_bytes(4, "big"))
        os.close(writing)
        last = 0
        while last < 3:
            last = int.from_bytes(os.read(reading, 4), "big")
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        while told := os.read(reading, 4):
            last = int.from_bytes(told, "big")
        os.close(reading)
        with Store.open(path) as store:
            assert store.check() == []
            assert store.bookmark("j").value["n"] in (last, last + 1)  # I2: what was told is there
