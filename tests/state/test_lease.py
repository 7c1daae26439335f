import json
import os
import signal
import sqlite3
import time

import pytest

from dativo import errors
from dativo.state import lease as leases
from dativo.state.lease import Heartbeat, Holder
from dativo.state.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "state.db") as opened:
        yield opened


class Child:
    """Another process that holds the job's lease until it is told to go."""

    def __init__(self, path, job="j", ttl=60.0, then=lambda store, lease: None):
        ready, self._ready = os.pipe()
        hold, self._hold = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._hold)
                with Store.open(path) as store:
                    lease = store.acquire(job, ttl)
                    then(store, lease)
                    os.write(self._ready, b"x")
                    os.read(hold, 1)  # returns when the parent closes its end, or dies
            finally:
                os._exit(0)
        os.close(self._ready)
        os.close(hold)
        assert os.read(ready, 1) == b"x"
        os.close(ready)

    def kill(self, *, reap=True):
        os.kill(self.pid, signal.SIGKILL)
        if reap:
            os.waitpid(self.pid, 0)
        else:  # wait until it is a zombie, and leave it one
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        os.close(self._hold)

    def leave(self):
        os.close(self._hold)
        os.waitpid(self.pid, 0)


def rewrite_holder(store, **changes):
    """Make the stored holder look like another process, machine or time."""
    raw = sqlite3.connect(store.path)
    expires = changes.pop("expires", None)
    text = raw.execute("SELECT holder FROM jobs").fetchone()[0]
    with raw:
        raw.execute("UPDATE jobs SET holder = ?", (json.dumps({**json.loads(text), **changes}),))
        if expires is not None:
            raw.execute("UPDATE jobs SET expires = ?", (expires,))
    raw.close()


def test_a_second_run_is_told_who_holds_the_job(store):
    child = Child(store.path)
    with pytest.raises(errors.BusyError) as caught:
        store.acquire("j")
    error = caught.value
    assert (error.code, error.exit_code) == ("job.busy", 5)
    assert f"pid {child.pid} on {os.uname().nodename} since" in error.message
    assert "lease until" in error.message
    assert error.context["pid"] == child.pid
    assert store.jobs()[0].holder.pid == child.pid
    store.acquire("another")  # one lease a job, not one lease a store
    child.leave()


@pytest.mark.parametrize("reap", [True, False], ids=["gone", "zombie"])
def test_a_dead_holder_is_taken_over_at_once(store, reap):
    child = Child(store.path, ttl=3600)
    child.kill(reap=reap)
    assert store.acquire("j").token == 2
    if not reap:
        os.waitpid(child.pid, 0)


def test_a_pid_that_was_used_again_is_not_the_holder(store):
    child = Child(store.path, ttl=3600)
    rewrite_holder(store, starttime=1)
    assert store.acquire("j").token == 2
    child.leave()


def test_a_jump_of_the_clock_loses_no_living_holder(store):
    child = Child(store.path)
    rewrite_holder(store, expires=time.time() - 10_000_000)
    with pytest.raises(errors.BusyError):
        store.acquire("j")
    child.leave()


@pytest.mark.parametrize(
    "elsewhere", [{"host": "etl-2"}, {"boot_id": "another"}, {"pid_space": "pid:[1]"}], ids=lambda one: next(iter(one))
)
def test_a_holder_that_cannot_be_seen_is_believed_until_its_lease_ends(store, elsewhere):
    store.acquire("j", ttl=60)
    rewrite_holder(store, pid=1, **elsewhere)
    with pytest.raises(errors.BusyError) as caught:
        store.acquire("j")
    assert "pid 1 on" in caught.value.message
    rewrite_holder(store, expires=time.time() - 1)
    assert store.acquire("j").token == 2


def test_a_stale_holder_can_write_nothing(store):
    """I5: the first holder is alive but was given up; each of its writes is refused, and the new one's are not."""
    old = store.acquire("j")
    store.start_run(old)
    store.commit(old, '{"n": 1}')
    rewrite_holder(store, pid=1, host="etl-2", expires=0.0)
    new = store.acquire("j")
    run = store.start_run(new)
    for write in (
        lambda: store.commit(old, '{"n": 2}'),
        lambda: store.renew(old),
        lambda: store.start_run(old),
    ):
        with pytest.raises(errors.BusyError) as caught:
            write()
        assert (caught.value.code, caught.value.exit_code) == ("job.lease_lost", 5)
    store.release(old)  # gives nothing back that is not its own
    assert store.bookmark("j").text == '{"n": 1}'
    store.commit(new, '{"n": 3}')
    assert (store.bookmark("j").text, store.bookmark("j").run) == ('{"n": 3}', run)


def test_a_released_lease_is_no_lease(store):
    lease = store.acquire("j")
    store.release(lease)
    with pytest.raises(errors.BusyError):
        store.commit(lease, "{}")
    assert store.acquire("j").token == lease.token + 1


def test_changes_by_hand_wait_for_the_run_and_fence_off_the_dead(store):
    child = Child(store.path)
    for change in (lambda: store.set("j", "{}"), lambda: store.clear("j")):
        with pytest.raises(errors.BusyError) as caught:
            change()
        assert caught.value.code == "job.busy"
    child.kill()
    store.set("j", '{"n": 1}')
    assert store.acquire("j").token == 3  # the child's, the hand's, ours


def test_a_vanished_run_is_recorded_as_interrupted(store):
    def work(opened, lease):
        opened.start_run(lease)
        opened.commit(lease, '{"n": 1}', 1, 2)

    Child(store.path, then=work).kill()
    lease = store.acquire("j")
    store.start_run(lease)
    vanished = store.log("j")[-1]
    assert (vanished.verdict, vanished.text, vanished.message) == ("interrupted", '{"n": 1}', "its process was gone")


def test_the_heartbeat_renews_when_a_third_has_passed(store, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock[0])
    lease = store.acquire("j", ttl=30)
    beat = Heartbeat(store, lease)
    assert (beat.due_in(), beat.beat()) == (10.0, False)
    before = lease.expires
    clock[0] += 10.5
    assert (beat.due_in(), beat.beat(), beat.beat()) == (0.0, True, False)
    assert lease.expires > before
    store.release(lease)
    clock[0] += 11
    with pytest.raises(errors.BusyError):
        beat.beat()


def test_two_processes_never_hold_a_job_together(store):
    """Eight processes fight for one job; each notes its token while it holds it, and the notes never overlap."""
    reading, writing = os.pipe()
    pids = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                with Store.open(store.path) as mine:
                    done = 0
                    while done < 5:
                        try:
                            lease = mine.acquire("j")
                        except errors.BusyError:
                            os.sched_yield()
                            continue
                        os.write(writing, f"+{lease.token}\n".encode())
                        mine.commit(lease, f'{{"n": {lease.token}}}')
                        os.write(writing, f"-{lease.token}\n".encode())
                        mine.release(lease)
                        done += 1
                os._exit(0)
            except BaseException:
                os._exit(1)
        pids.append(pid)
    os.close(writing)
    with os.fdopen(reading) as notes:
        lines = notes.read().split()
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 8
    assert lines == [f"{sign}{token}" for token in range(1, 41) for sign in "+-"]
    assert store.bookmark("j").text == '{"n": 40}'


def test_a_holder_survives_its_text():
    mine = Holder.this_process("2026-01-01T00:00:00.000Z")
    assert Holder.from_text(mine.to_text()) == mine
    assert mine.alive() is True
