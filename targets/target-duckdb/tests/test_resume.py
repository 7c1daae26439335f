"""A run that is killed or stopped leaves the file at a bookmark: going on there repeats nothing and loses nothing."""

from __future__ import annotations

import fcntl
import json
import random
import signal
import struct
import termios
import time

import pyarrow as pa
import pytest

ROWS = 3000
EVERY = 100


def source(singer, start: int, stop: int = ROWS) -> str:
    """A tap: rows after `start`, a STATE after every hundredth."""
    lines = [singer.schema()]
    for at in range(start, stop):
        lines.append(singer.record(f'{{"id":{at},"v":"row {at}"}}'))
        if (at + 1) % EVERY == 0:
            lines.append(singer.state({"next": at + 1}))
    return "".join(lines)


def check_whole(target, *, missing: bool = False) -> None:
    count, distinct, last = target.sql("SELECT count(*), count(DISTINCT id), max(id) + 1 FROM t")[0]
    stored = target.bookmark().out
    place = json.loads(stored)["next"] if stored else 0
    assert count == distinct == last
    assert last == place if missing else last == ROWS


def files(spool, start: int, keyed: bool, every: int) -> list[str]:
    """A tap that sends files: `EVERY` rows in each, a STATE after each `every`."""
    ids = ["id"] if keyed else []
    texts = [json.dumps({"type": "SCHEMA", "stream": "t", "schema": {}, "key_properties": ids}) + "\n"]
    for at in range(start, ROWS, EVERY):
        numbers = range(at, at + EVERY)
        texts.append(spool.batch(pa.table({"id": list(numbers), "v": [f"row {number}" for number in numbers]})))
        if (at // EVERY + 1) % every == 0:
            texts.append(json.dumps({"type": "STATE", "value": {"next": at + EVERY}}) + "\n")
    return texts


@pytest.mark.parametrize("keyed", [True, False], ids=["upsert", "append"])
@pytest.mark.parametrize("seed", range(4))
def test_kill_between_a_file_given_back_and_its_commit(target, spool, keyed, seed) -> None:
    dice = random.Random(seed)
    settings = {"batch_rows": dice.choice([150, 250, 100_000])}
    every = dice.choice([1, 2, 3])
    for _ in range(3):
        stored = target.bookmark().out
        texts = files(spool, json.loads(stored)["next"] if stored else 0, keyed, every)
        process = target.start(**settings)
        sent = texts[: dice.randrange(4, 12)]
        process.stdin.write("".join(sent).encode())
        process.stdin.flush()
        waiting = sum('"BATCH"' in text for text in sent)
        while waiting:  # all its files are given back; those behind the last commit are nowhere but in this process
            waiting -= b'"BATCH"' in process.stdout.readline()
        process.kill()
        process.communicate()
        if target.path.exists() and target.sql("SELECT 1 FROM duckdb_tables() WHERE table_name = 't'"):
            check_whole(target, missing=True)
    stored = target.bookmark().out
    result = target.load("".join(files(spool, json.loads(stored)["next"] if stored else 0, keyed, every)), **settings)
    assert result.code == 0, result.err
    check_whole(target)
    assert target.sql("SELECT count(*) FROM t WHERE v <> 'row ' || id") == [(0,)]


@pytest.mark.parametrize("every", [1, 2])
def test_sigterm_with_files_behind_the_last_state(target, spool, every) -> None:
    process = target.start()
    texts = files(spool, 0, keyed=False, every=every)[: 8 if every == 1 else 9]  # SCHEMA … BATCH, STATE, BATCH
    process.stdin.write("".join(texts).encode())
    process.stdin.flush()
    for _ in range(sum('"BATCH"' in text for text in texts)):
        while b'"BATCH"' not in process.stdout.readline():
            assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    err = process.communicate()[1]
    assert process.returncode == 143, err
    place = json.loads([text for text in texts if "STATE" in text][-1])["value"]["next"]
    assert json.loads(target.bookmark().out) == {"next": place}
    assert target.sql("SELECT count(*), max(id) + 1 FROM t") == [(place, place)]


def wait_until_read(process) -> None:
    """Until the process took all that was written into its stdin."""
    while struct.unpack("i", fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, b"\0" * 4))[0]:
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("seed", range(8))
def test_kill_and_resume_without_keys(target, singer, seed) -> None:
    dice = random.Random(seed)
    settings = {"batch_rows": dice.choice([1, 150, 700]), "batch_bytes": dice.choice([1000, 10**7])}
    for _ in range(3):
        stored = target.bookmark().out
        start = json.loads(stored)["next"] if stored else 0
        data = source(singer, start).encode()
        process = target.start(**settings)
        cut = dice.randrange(len(data))  # anywhere, in the middle of a line too
        process.stdin.write(data[:cut])
        process.stdin.flush()
        if dice.random() < 0.7 and cut > 60_000:
            process.stdout.readline()  # let at least one commit happen
        process.kill()
        process.communicate()
        if target.path.exists() and target.sql("SELECT 1 FROM duckdb_tables() WHERE table_name = 't'"):
            check_whole(target, missing=True)
    stored = target.bookmark().out
    result = target.load(source(singer, json.loads(stored)["next"] if stored else 0), **settings)
    assert result.code == 0, result.err
    check_whole(target)


@pytest.mark.parametrize("batch_rows", [10, 100_000])
def test_sigterm_commits_up_to_the_last_state(target, singer, batch_rows) -> None:
    process = target.start(batch_rows=batch_rows)
    process.stdin.write(source(singer, 0, 2 * EVERY + 30).encode())
    process.stdin.flush()
    wait_until_read(process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 143, err
    assert out.splitlines()[-1] == b'{"next": 200}'
    assert target.sql("SELECT count(*), max(id) FROM t") == [(200, 199)]
    assert target.bookmark().out == '{"next": 200}\n'
    assert target.load(source(singer, 200)).code == 0
    check_whole(target)


def test_sigterm_before_any_state_commits_nothing(target, singer) -> None:
    process = target.start(batch_rows=10)  # so that rows are in the open transaction already
    process.stdin.write(source(singer, 0, 90).encode())
    process.stdin.flush()
    wait_until_read(process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert (process.returncode, out) == (143, b"")
    assert target.sql("SELECT count(*) FROM duckdb_tables()") == [(0,)]


def test_a_write_that_fails_half_way_commits_nothing(target, singer) -> None:
    bad = singer.schema({}, stream="none") + singer.record("{}", stream="none")  # refused when it is written
    result = target.load(singer.schema() + singer.record('{"id":1}') + bad + singer.state({"next": 1}))
    assert (result.code, result.out) == (4, "")
    assert target.bookmark().out == ""
    assert target.sql("SELECT count(*) FROM duckdb_tables()") == [(0,)]


def test_the_end_commits_rows_after_the_last_state(target, singer) -> None:
    result = target.load(source(singer, 0, 250), batch_rows=10)
    assert result.code == 0
    assert result.states[-1] == '{"next": 200}'
    assert target.sql("SELECT count(*) FROM t") == [(250,)]


def test_a_state_waits_no_longer_than_max_batch_age(target, singer) -> None:
    process = target.start(max_batch_age=0)
    process.stdin.write(source(singer, 0, 2 * EVERY).encode())
    process.stdin.flush()
    assert process.stdout.readline() == b'{"next": 200}\n'  # without an end of the input, or more of it
    process.kill()
    process.communicate()
    assert target.sql("SELECT count(*) FROM t") == [(200,)]


def test_the_state_is_echoed_as_the_tap_wrote_it(target, singer) -> None:
    value = '{ "b" : 1.50, "a":"\\u00e9\\/",  "n": 12345678901234567890123, "d": [ ] }'
    line = '{"value": ' + value + ' ,"type":"STATE"}\n'
    result = target.load(singer.schema() + singer.record('{"id":1}') + line)
    assert result.out == value + "\n"
    assert target.bookmark().out == value + "\n"


def test_an_empty_state_covers_nothing(target, singer) -> None:
    lines = singer.schema() + singer.state({"next": 5}) + singer.record('{"id":1}')
    for value in ({}, None):
        result = target.load(lines + singer.state(value))
        assert (result.code, result.states) == (0, ['{"next": 5}'])
    assert target.bookmark().out == '{"next": 5}\n'


def test_jobs_have_bookmarks_of_their_own(target, singer) -> None:
    assert target.load(singer.state({"of": "j"})).code == 0
    target.job = "other 'job'"
    assert target.bookmark().out == ""
    assert target.load(singer.state({"of": "other"})).code == 0
    assert (target.bookmark("j").out, target.bookmark().out) == ('{"of": "j"}\n', '{"of": "other"}\n')
    assert target.sql("SELECT job, run, rows FROM _dativo_bookmarks ORDER BY job") == [
        ("j", "r-1", 0),
        ("other 'job'", "r-1", 0),
    ]


def test_bookmark_of_a_file_that_is_not_there_creates_none(target) -> None:
    result = target.bookmark()
    assert (result.code, result.out, result.err) == (0, "", "")
    assert not target.path.exists()
