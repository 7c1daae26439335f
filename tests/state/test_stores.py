"""What every state store promises: each case runs against SQLite, files, PostgreSQL, S3 (moto) and a stand-in."""

from __future__ import annotations

import contextlib
import time

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dativo import errors
from dativo.state import journal
from dativo.state.store import BACKFILL, Store
from tests.servers import objects, postgres
from tests.state import stores
from tests.state.stores import pretend

EXACT = '{"bookmarks": {"a": {"v": 1.10, "n": 12345678901234567890.5}, "b": {"id": 7}}}'


@pytest.fixture(scope="session")
def server():
    with postgres.cluster() as found:
        yield found


@pytest.fixture(scope="session")
def moto():
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
    )
    client.create_bucket(Bucket="state-store")
    yield f"http://{host}:{port}"
    client.close()
    found.stop()


@pytest.fixture(params=["sqlite", "file", "postgresql", "s3", "stand-in"])
def place(request, tmp_path):
    kind = request.param
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            yield stores.sqlite(tmp_path)
        elif kind == "file":
            yield stores.file(tmp_path)
        elif kind == "postgresql":
            found = request.getfixturevalue("server")
            name = found.create_database(f"state_{time.monotonic_ns()}")
            url = f"postgresql://{found.user}@{found.host}:{found.port}/{name}"
            yield stores.Place("postgresql", url, {"password": found.password})
        elif kind == "s3":
            yield stores.bucket(request.getfixturevalue("moto"))
        else:
            yield stores.bucket(stack.enter_context(objects.service()).url)


@pytest.fixture
def store(place):
    with Store.open(place.where) as opened:
        yield opened


def finished(store, job, text, verdict="done", stats=None):
    """One run from lease to release."""
    lease = store.acquire(job)
    run = store.start_run(lease)
    if text is not None:
        store.commit(lease, text, 4, 9)
    store.end_run(run, verdict, None, stats or {})
    store.release(lease)
    return run


def test_what_is_known_of_a_run_at_its_start_outlives_a_kill(store):
    lease = store.acquire("j")
    run = store.start_run(lease, {"tap": "tap-a (native)"})
    store.commit(lease, EXACT, 1, 1)
    store.release(lease)  # and nothing is said of its end
    (entry,) = store.log("j")
    assert (entry.run, entry.text, entry.stats) == (run, EXACT, {"tap": "tap-a (native)"})
    second = finished(store, "j", EXACT, stats={"records": 1})
    assert [(one.run, one.stats) for one in store.log("j", limit=1)] == [(second, {"records": 1})]


def test_a_bookmark_is_read_back_byte_by_byte(place):
    with Store.open(place.where) as store:
        assert store.bookmark("j") is None
        lease = store.acquire("j")
        run = store.start_run(lease)
        store.commit(lease, EXACT, 5, 7)
        store.commit(lease, EXACT + " ", 6, 7)
    with Store.open_to_read(place.where) as store:
        mark = store.bookmark("j")
        assert (mark.job, mark.text, mark.origin, mark.run) == ("j", EXACT, "run", run)
        assert (mark.records, mark.of) == (6, 7)
        assert str(mark.value["bookmarks"]["a"]["v"]) == "1.10"


def test_reading_makes_nothing(place, tmp_path):
    with Store.open_to_read(place.where) as store:
        assert (store.jobs(), store.bookmark("j"), store.log("j"), store.schemas("j")) == ([], None, [], {})
        assert store.generations("j") == {}
        with pytest.raises(errors.EnvironmentFault):
            store.set("j", "{}") if place.kind != "sqlite" else _refuse()
    assert list(tmp_path.iterdir()) == []


def _refuse():
    raise errors.EnvironmentFault("env.read_only", "SQLite's empty store is a place in memory")


def test_one_holder_a_job_and_its_name_is_told(store, place):
    with Store.open(place.where) as other:
        mine = other.acquire("j")
        with pytest.raises(errors.BusyError) as caught:
            store.acquire("j")
        assert (caught.value.code, caught.value.context["pid"]) == ("job.busy", mine.holder.pid)
        assert store.jobs()[0].holder == mine.holder
        store.acquire("another")
        other.release(mine)
    assert store.acquire("j").token == 2


def test_a_killed_holder_is_taken_over_at_once(store, place):
    child = place.start(
        """
with Store.open(where) as store:
    lease = store.acquire("j", 3600)
    run = store.start_run(lease)
    store.start_attempt(run, 1)
    store.commit(lease, '{"n": 1}', 1, 2)
    tell(run)
    sys.stdin.read()
"""
    )
    run = child.stdout.readline().strip()
    for change in (lambda: store.acquire("j"), lambda: store.set("j", "{}"), lambda: store.clear("j")):
        with pytest.raises(errors.BusyError):
            change()
    child.kill()
    child.communicate()
    lease = store.acquire("j")
    assert lease.token == 2
    store.start_run(lease)
    vanished = store.log("j")[-1]
    assert (vanished.run, vanished.verdict, vanished.text) == (run, "interrupted", '{"n": 1}')
    assert vanished.message == "its process was gone"
    assert [one.verdict for one in store.attempts(run)] == ["interrupted"]


@pytest.mark.parametrize("elsewhere", [{"host": "etl-2"}, {"boot_id": "x"}, {"pid_space": "pid:[1]"}], ids=str)
def test_a_holder_that_cannot_be_seen_is_believed_until_its_lease_ends(store, elsewhere):
    store.acquire("j", ttl=60)
    pretend(store, "j", pid=1, **elsewhere)
    with pytest.raises(errors.BusyError) as caught:
        store.acquire("j")
    assert "pid 1 on" in caught.value.message
    pretend(store, "j", expires=time.time() - 1)
    assert store.acquire("j").token == 2


def test_a_jump_of_the_clock_loses_no_living_holder(store, place, monkeypatch):
    lease = store.acquire("j")
    now = time.time()
    for jump in (10_000_000, -10_000_000):
        with monkeypatch.context() as patched, Store.open(place.where) as other:
            patched.setattr(time, "time", lambda jump=jump: now + jump)
            with pytest.raises(errors.BusyError):
                other.acquire("j")
            store.renew(lease)
            store.commit(lease, f'{{"n": {jump}}}')
    assert store.bookmark("j").text == '{"n": -10000000}'


def test_a_stale_holder_can_write_nothing(store, place):
    """I5: given up, alive, and with a store of its own that last saw itself as the holder."""
    old = store.acquire("j")
    store.start_run(old)
    store.commit(old, '{"n": 1}')
    with Store.open(place.where) as other:
        pretend(other, "j", pid=1, host="etl-2", expires=0.0)
        new = other.acquire("j")
        run = other.start_run(new)
        for write in (
            lambda: store.commit(old, '{"n": 2}'),
            lambda: store.renew(old),
            lambda: store.start_run(old),
            lambda: store.remember_schema(old, "s", {}, []),
        ):
            with pytest.raises(errors.BusyError) as caught:
                write()
            assert (caught.value.code, caught.value.exit_code) == ("job.lease_lost", 5)
        store.release(old)  # gives nothing back that is not its own
        assert store.bookmark("j").text == '{"n": 1}'
        other.commit(new, '{"n": 3}')
    assert (store.bookmark("j").text, store.bookmark("j").run) == ('{"n": 3}', run)


def test_a_change_by_hand_fences_off_what_was_there(store):
    lease = store.acquire("j")
    store.commit(lease, '{"n": 5}')
    store.release(lease)
    store.set("j", '{"n": 1}')
    with pytest.raises(errors.BusyError):
        store.commit(lease, '{"n": 6}')
    assert (store.bookmark("j").text, store.bookmark("j").origin) == ('{"n": 1}', "set")


def test_the_history_tells_runs_and_hands_apart(store):
    lease = store.acquire("j")
    first = store.start_run(lease)
    for number in range(5):
        store.commit(lease, f'{{"bookmarks": {{"s": {{"id": {number}}}}}}}', number, 9)
    assert [(one.number, one.verdict, one.records) for one in store.log("j")] == [(1, None, 4)]
    store.end_run(first, "interrupted", "plugin.killed", {"streams": {"s": {"records": 9}}}, "tap was killed")
    second = store.start_run(lease)
    store.end_run(second, "done", None, {})
    store.release(lease)
    store.set("j", '{"id": 1}', stream="s", reason="again from 1")
    store.clear("j")
    log = store.log("j")
    assert [(one.origin, one.number, one.verdict, one.text) for one in log] == [
        ("clear", None, None, "{}"),
        ("set", None, None, '{"bookmarks": {"s": {"id": 1}}}'),
        ("run", 2, "done", None),
        ("run", 1, "interrupted", '{"bookmarks": {"s": {"id": 4}}}'),
    ]
    assert (log[1].reason, bool(log[1].by), log[3].reason, log[3].message) == (
        "again from 1",
        True,
        "plugin.killed",
        "tap was killed",
    )
    assert log[3].stats == {"streams": {"s": {"records": 9}}}
    assert [one.number for one in store.log("j", stream="s")] == [None, 1]
    assert len(store.log("j", limit=2)) == 2
    assert store.log("k") == []
    [job] = store.jobs()
    assert (job.name, job.last_run, job.last_verdict, job.holder) == ("j", second, "done", None)


def test_an_adopted_bookmark_stays_on_record(store):
    lease = store.acquire("j")
    run = store.start_run(lease)
    store.commit(lease, '{"n": 2}', origin="adopted")
    store.commit(lease, '{"n": 3}', 1, 1)
    store.end_run(run, "done", None, {})
    assert [(one.origin, one.number, one.text) for one in store.log("j")] == [
        ("run", 1, '{"n": 3}'),
        ("adopted", 1, '{"n": 2}'),
    ]


def test_the_history_keeps_its_order_when_the_clock_does_not(store, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(3):
        finished(store, "j", f'{{"n": {number}}}')
        store.set("j", f'{{"set": {number}}}')
        store.clear("j")
        now -= 3600
    assert [(one.origin, one.number) for one in store.log("j")] == [
        (origin, place) for run in (3, 2, 1) for origin, place in (("clear", None), ("set", None), ("run", run))
    ]


def test_a_long_history_is_kept_to_its_first_line(store, monkeypatch):
    monkeypatch.setattr(journal, "KEPT", 3)
    monkeypatch.setattr(journal, "PAGE", 2)
    store.set("j", '{"n": -1}')
    for number in range(9):
        finished(store, "j", f'{{"n": {number}}}', stats={"streams": {"s": {"records": number}}})
    store.clear("j")
    shown = [(one.origin, one.number, one.text) for one in store.log("j")]
    runs = [("run", number + 1, f'{{"n": {number}}}') for number in range(8, -1, -1)]
    assert shown == [("clear", None, "{}"), *runs, ("set", None, '{"n": -1}')]
    assert [one.number for one in store.log("j", limit=3)] == [None, 9, 8]
    assert store.check() == []


def test_the_runs_of_a_backfill_are_counted_with_its_jobs(store):
    finished(store, "j", '{"n": 1}')
    finished(store, f"j{BACKFILL}1", '{"n": 0}')
    finished(store, "j", '{"n": 2}')
    finished(store, f"j{BACKFILL}1", '{"n": 1}')
    assert [one.number for one in store.log("j")] == [3, 1]
    assert [one.number for one in store.log(f"j{BACKFILL}1")] == [4, 2]
    assert store.bookmark("j").text == '{"n": 2}'


def test_attempts_are_kept_with_their_causes(store):
    lease = store.acquire("j")
    run = store.start_run(lease)
    store.start_attempt(run, 1)
    store.end_attempt(run, 1, "interrupted", "transient", "plugin.exited", "429 Too Many Requests", 2.5)
    store.start_attempt(run, 2)
    found = store.attempts(run)
    assert [(one.number, one.verdict, one.cause, one.reason, one.message, one.waited) for one in found] == [
        (1, "interrupted", "transient", "plugin.exited", "429 Too Many Requests", 2.5),
        (2, None, None, None, None, None),
    ]
    store.end_attempt(run, 2, "done")
    assert (store.attempts(run)[1].verdict, store.attempts(run)[1].waited) == ("done", None)
    assert store.attempts("r-none") == []
    assert (store.retries("j", 3600), store.retries("j", -3600), store.retries("k", 3600)) == (1, 0, 0)


def test_a_breaker_opens_lets_one_try_and_closes(store):
    assert store.enter_breaker("tap-x", 2, 3600) is None
    for message in ("first", "second"):
        assert store.enter_breaker("tap-x", 2, 3600) is None
        store.breaker_failed("tap-x", "plugin.exited", message)
    refused = store.enter_breaker("tap-x", 2, 3600)
    assert (refused.plugin, refused.failures, refused.reason, refused.message) == (
        "tap-x",
        2,
        "plugin.exited",
        "second",
    )
    assert 3590 < refused.left <= 3600
    assert store.enter_breaker("tap-y", 2, 3600) is None
    assert store.enter_breaker("tap-x", 2, 0.0) is None  # its pause is over: this one may try
    assert store.enter_breaker("tap-x", 2, 3600) is not None
    store.close_breaker("tap-x")
    store.close_breaker("tap-y")
    assert store.enter_breaker("tap-x", 2, 3600) is None
    assert store.jobs() == []


def test_schemas_are_remembered(store):
    lease = store.acquire("j")
    store.start_run(lease)
    store.remember_schema(lease, "b", {"type": "object", "properties": {"id": {"type": "integer"}}}, ["id"])
    store.remember_schema(lease, "a", {"type": "object"}, [])
    store.remember_schema(lease, "a", {"type": "object", "x": 0.1}, ["k"])
    assert store.schemas("j") == {
        "a": {"schema": {"type": "object", "x": 0.1}, "key_properties": ["k"]},
        "b": {"schema": {"type": "object", "properties": {"id": {"type": "integer"}}}, "key_properties": ["id"]},
    }
    assert store.schemas("k") == {}


def test_generations_are_remembered(store):
    def told(number, least, name, space=None):
        return {"generation": number, "minimum": least, "name": name, "namespace": space}

    lease = store.acquire("j")
    store.start_run(lease)
    store.remember_generations(lease, {"b": told(1, 0, "b"), "a": told(1, 1, "é", "s")})
    store.remember_generations(lease, {"b": told(2**40, 2**40, "c", "t")})
    assert store.generations("j") == {"a": told(1, 1, "é", "s"), "b": told(2**40, 2**40, "c", "t")}
    assert store.generations("k") == {}
    store.release(lease)
    with pytest.raises(errors.BusyError):
        store.remember_generations(lease, {"a": told(9, 9, "x")})
    assert store.generations("j")["a"] == told(1, 1, "é", "s")


def test_what_is_refused_changes_nothing(store):
    store.set("j", EXACT)
    with pytest.raises(errors.ConfigError):
        store.set("j", "[]")
    with pytest.raises(errors.ConfigError):
        store.clear("j", stream="nope")
    with pytest.raises(errors.ConfigError):
        store.clear("k")
    assert store.bookmark("j").text == EXACT
    assert len(store.log("j")) == 1


@pytest.mark.parametrize("job", ["../up", "a/b", "a b", "höhe", ".", "x%2Fy", "j@backfill-1", "about"])
def test_a_jobs_name_is_data(store, job):
    """I12"""
    store.set(job, '{"n": 1}')
    assert store.bookmark(job).text == '{"n": 1}'
    assert [one.name for one in store.jobs()] == [job]


FIGHTER = """
with Store.open(where) as store:
    sys.stdin.readline()
    done = 0
    while done < 4:
        try:
            lease = store.acquire("j")
        except errors.BusyError:
            os.sched_yield()
            continue
        before = store.bookmark("j")
        n = before.value["n"] if before else 0
        store.commit(lease, '{"n": %d}' % (n + 1))
        store.release(lease)
        done += 1
"""


def test_processes_that_fight_for_a_job_lose_no_write(store, place):
    fighters = [place.start(FIGHTER) for _ in range(4)]
    for one in fighters:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in fighters:
        one.communicate()
    assert [one.returncode for one in fighters] == [0] * 4
    assert store.bookmark("j").text == '{"n": 16}'
    assert store.acquire("j").token == 17


def test_what_was_told_is_there_after_a_kill(store, place):
    """I2, and a store that opens and checks after SIGKILL in the middle of commits."""
    child = place.start(
        """
with Store.open(where) as store:
    lease = store.acquire("j")
    store.start_run(lease)
    number = 0
    while True:
        number += 1
        store.commit(lease, '{"n": %d}' % number)
        tell(number)
"""
    )
    last = 0
    while last < 5:
        last = int(child.stdout.readline())
    child.kill()
    # Not `communicate`: with two pipes it reads past what `readline` has put into its buffer already.
    last = max([last, *map(int, child.stdout.read().split())])
    child.communicate()
    assert store.check() == []
    assert store.bookmark("j").value["n"] in (last, last + 1)
    assert store.acquire("j").token == 2
