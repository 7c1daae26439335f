"""A range of a stream read again on a bookmark of its own, and a job that is waited for; with real runs."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.fixtures.faulty import appeared, ended, errors_in, until


@pytest.fixture
def shop(faulty):
    """A job `shop` of dativo.yml, run to its end: rows 0 to 99,999, a STATE every 1,000."""
    job = {"steps": ["tap-fault", "target-fault"]}
    faulty.configure({"tap-fault": {"config": {"rows": 100_000, "every": 1000}}})
    faulty.configure({"target-fault": {"config": {"path": str(faulty.out)}}})
    file = faulty.folder / "dativo.yml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "jobs": {"shop": job}}))
    faulty.job = "shop"
    faulty.dativo("run", "shop").expect()
    assert faulty.position() == 99_999
    return faulty


BACKFILL = ("state", "backfill", "shop", "--stream", "t", "--from", "4999", "--to", "19999")


def test_a_backfill_reads_its_range_and_leaves_the_bookmark(shop):
    assert "nobody is here to answer" in shop.dativo(*BACKFILL).expect(2).stderr
    shop.out.unlink()
    before = shop.dativo("state", "export", "shop").expect().json["jobs"]["shop"]
    summary = shop.dativo(*BACKFILL, "--yes", "--json").expect().json
    assert (summary["verdict"], summary["job"].startswith("shop@backfill-")) == ("done", True)
    rows = shop.rows()
    assert rows == list(range(5000, rows[-1] + 1))
    assert rows[-1] >= 19_999
    assert shop.dativo("state", "export", "shop").expect().json["jobs"]["shop"] == before
    log = shop.history()
    assert [(one["number"], one["verdict"], one["backfill"] is not None) for one in log] == [
        (2, "done", True),
        (1, "done", False),
    ]
    assert "run 2 (backfill " in shop.dativo("state", "log", "shop").stdout
    said = shop.dativo(*BACKFILL).expect().stderr
    assert "done already" in said and "--again" in said
    shop.out.unlink()
    shop.dativo(*BACKFILL, "--again", "--yes").expect()
    assert shop.rows()[0] == 5000


def test_a_backfill_goes_on_after_a_kill(shop, tmp_path):
    shop.out.unlink()
    shop.configure({"tap-fault": {"config": {"rows": 100_000, "every": 1000, "gate": str(tmp_path / "gate")}}})
    process = shop.start(f"exec dativo {' '.join(BACKFILL)} --yes")
    appeared(tmp_path / "gate.ready", process)
    name = next(one["job"] for one in shop.dativo("state", "list", "--json").json if "@" in one["job"])
    until(lambda: shop.bookmark(name)["bookmarks"]["t"]["id"] > 4999, "the first bookmark of the backfill")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "gate").touch()
    done = shop.dativo(*BACKFILL).expect()  # it has agreed before: nothing is asked
    assert "going on at id 5999" in done.stderr
    assert {*shop.rows()} >= {*range(5000, 20_000)}
    assert [one["verdict"] for one in shop.history()] == ["done", "interrupted", "done"]
    assert shop.position() == 99_999


def test_a_backfill_refuses_what_is_no_range(shop):
    for change, says in (
        (("--from", "20000"), "--from 20000 is not before --to 19999"),
        (("--stream", "nope"), "no bookmark of nope"),
        (("--from", "x"), "x is no number"),
    ):
        said = shop.dativo(*BACKFILL, *change, "--yes").expect(2)
        assert says in said.stderr
    said = shop.dativo("state", "backfill", "shp", *BACKFILL[3:], "--yes").expect(2)
    assert errors_in(said) == ["job.unknown"]
    assert "did you mean shop?" in said.stderr
    assert "would read t from id 4999 to 19999" in shop.dativo(*BACKFILL, "--dry-run").expect().stderr
    assert len(shop.dativo("state", "list", "--json").json) == 1


def test_run_waits_for_the_job_and_says_for_whom(faulty, tmp_path):
    first = faulty.start(" ".join(["exec dativo", *faulty.run_words(rows=50, every=10, gate=tmp_path / "gate")]))
    appeared(tmp_path / "gate.ready", first)
    busy = faulty.run(rows=50).expect(5)
    assert "to wait for it: --wait" in busy.stderr
    short = faulty.run("--wait", "100ms", rows=50).expect(5)
    assert f"waiting: {faulty.job} is being run by pid " in short.stderr
    assert "gave up after 0.1 s" in short.stderr
    words = faulty.run_words(rows=60, every=10)
    waiting = faulty.start(" ".join(["exec dativo run --wait", *words[1:]]))
    line = waiting.stderr.readline()
    assert f"waiting: {faulty.job} is being run by pid {first.pid} on " in line
    (tmp_path / "gate").touch()
    ended(first, "first").expect()
    ended(waiting, "waiting").expect()
    assert faulty.rows() == list(range(60))


def test_ctrl_c_ends_the_wait(faulty, tmp_path):
    first = faulty.start(" ".join(["exec dativo", *faulty.run_words(rows=50, every=10, gate=tmp_path / "gate")]))
    appeared(tmp_path / "gate.ready", first)
    waiting = faulty.start(" ".join(["exec dativo", *faulty.run_words(rows=50), "--wait"]))
    waiting.stderr.readline()
    os.kill(waiting.pid, signal.SIGINT)
    assert errors_in(ended(waiting, "waiting").expect(130)) == ["run.cancelled"]
    (tmp_path / "gate").touch()
    ended(first, "first").expect()


@pytest.mark.parametrize("side", ["tap", "target"])
def test_the_shell_pipe_waits_too(faulty, tmp_path, side):
    first = faulty.start(" ".join(["exec dativo", *faulty.run_words(rows=50, every=10, gate=tmp_path / "gate")]))
    appeared(tmp_path / "gate.ready", first)
    waits = {"tap": "", "target": "", side: "--wait 10m"}
    line = faulty.pipe_line(f"--rows 60 --every 10 {waits['tap']}", waits["target"])
    waiting = faulty.start(line, faulty.job)
    assert "is being run by pid" in waiting.stderr.readline()
    (tmp_path / "gate").touch()
    ended(first, "first").expect()
    assert ended(waiting, line).expect().stdout.split()[-2:] == ["0", "0"]
    assert faulty.rows() == list(range(60))


DATED = """#!/usr/bin/env python3
import json, sys
from datetime import date, timedelta

ABOUT = {"name": "tap-dated", "version": "1.0", "kind": "tap",
         "capabilities": ["about", "state", "discover", "catalog"],
         "settings": {"type": "object", "properties": {"end_date": {"type": "string"}}}}
if "--about" in sys.argv:
    print(json.dumps(ABOUT)); sys.exit()
if "--discover" in sys.argv:
    print(json.dumps({"streams": [{"tap_stream_id": "t", "stream": "t", "schema": {"type": "object"}, "metadata": [
        {"breadcrumb": [], "metadata": {"inclusion": "available"}}]}]})); sys.exit()
option = lambda name: json.load(open(sys.argv[sys.argv.index(name) + 1])) if name in sys.argv else {}
first = {"replication_key": "day", "replication_key_value": "2026-01-01"}
part = option("--state").get("bookmarks", {}).get("t", first)
day = date.fromisoformat(part["replication_key_value"]) + timedelta(1)
end = date.fromisoformat(option("--config").get("end_date", "2026-03-01"))
print(json.dumps({"type": "SCHEMA", "stream": "t", "schema": {"type": "object"}, "key_properties": []}))
while day <= end:
    print(json.dumps({"type": "RECORD", "stream": "t", "record": {"id": day.toordinal(), "v": str(day)}}))
    print(json.dumps({"type": "STATE", "value": {"bookmarks": {"t": {**part, "replication_key_value": str(day)}}}}))
    day += timedelta(1)
"""


def test_a_tap_that_knows_an_end_is_told_it(faulty):
    tap = faulty.folder / "tap_dated.py"
    tap.write_text(DATED)
    tap.chmod(0o755)
    faulty.dativo("add", "./tap_dated.py").expect()
    faulty.configure({"target-fault": {"config": {"path": str(faulty.out)}}})
    job = "tap-dated-to-target-fault"
    faulty.dativo("run", "tap-dated", "target-fault").expect()
    faulty.out.unlink()
    range_ = ["--stream", "t", "--from", "2026-01-10", "--to", "2026-01-20"]
    faulty.dativo("state", "backfill", job, *range_, "--yes").expect()
    days = [json.loads(line)["v"] for line in faulty.out.read_text().splitlines()]
    assert days == [f"2026-01-{day}" for day in range(11, 21)]  # not one row more
    assert faulty.bookmark(job)["bookmarks"]["t"]["replication_key_value"] == "2026-03-01"
