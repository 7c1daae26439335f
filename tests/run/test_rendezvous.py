from __future__ import annotations

import json
import os
import stat
import time

import pytest

from dativo.run import rendezvous, rundirs
from dativo.run.neighbours import Process
from dativo.run.pipe import Downstream, ToldElsewhere, Upstream, leave_word
from dativo.run.rendezvous import Rendezvous


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path))
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path / "run" / "pipes"


def forge(folder, name, **changes):
    path = folder / name
    content = {"by": {"pid": 1 << 22, "starttime": 1}, "for": None, **changes}
    path.write_text(json.dumps(content))
    return path


def test_what_is_written_is_private_whole_and_signed(folder):
    files = Rendezvous("1-2")
    files.write("left", {"phase": "starting"})
    path = folder / "1-2.left.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = Rendezvous("1-2").read("left", Process.this())
    assert found is not None
    assert found["phase"] == "starting"
    assert files.author(found) == Process.this()
    assert sorted(os.listdir(folder)) == ["1-2.left.json"]
    files.remove("left")
    assert os.listdir(folder) == []


def test_somebody_elses_file_is_not_taken_for_the_neighbours(folder):
    files = Rendezvous("1-2")
    forge(folder, "1-2.right.json")
    assert files.read("right") is not None
    assert files.read("right", Process.this()) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"by": 1}'])
def test_a_broken_file_is_no_file(folder, text):
    files = Rendezvous("1-2")
    (folder / "1-2.left.json").write_text(text)
    assert files.read("left") is None


def test_the_sweep_takes_what_nobody_waits_for(folder):
    Rendezvous("1-2").write("left", {})
    me = {"pid": os.getpid(), "starttime": Process.this().starttime}
    awaited = forge(folder, "3-4.left-end.json", **{"for": me})
    fresh = forge(folder, "5-6.left-end.json")
    old = forge(folder, "7-8.left-end.json")
    long_ago = time.time() - rendezvous.KEEP - 1
    os.utime(old, (long_ago, long_ago))
    unwanted = forge(folder, "9-9.answer.json", **{"for": {"pid": 1 << 22, "starttime": 2}})
    rendezvous.sweep()
    assert {path.name for path in folder.iterdir()} == {"1-2.left.json", awaited.name, fresh.name}
    assert not unwanted.exists()


def test_the_sweep_of_run_directories_spares_the_living(folder, tmp_path):
    import fcntl

    living, dead, young = (tmp_path / "run" / "runs" / name for name in ("living", "dead", "young"))
    for path in (living, dead, young):
        path.mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "0-config.json").write_text("secret")
    with (living / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rundirs.sweep()
        assert living.exists()
    assert not dead.exists()
    assert young.exists()  # its lock file may be on its way
    old = time.time() - rundirs.YOUNG - 1
    os.utime(young, (old, old))
    rundirs.sweep()
    assert not young.exists()


# -- both ends of one pipe, in one process: what each finds when the other has left


@pytest.fixture
def pipe(folder):
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_the_two_sides_agree(folder, pipe):
    with Upstream(pipe[0], "target-y") as up, Downstream(pipe[1], "tap-x", chain=["tap-x"], job=None) as down:
        assert up.meet().name == "tap-x"
        assert down.meet().name == "target-y"
        down.publish(phase="ready")
        up.await_ready()
        assert up.chain == ("tap-x",)
        up.answer("job", "r-1", '{"a":1.10}')
        answer = down.agree()
        assert (answer.job, answer.run, answer.state, answer.alone) == ("job", "r-1", '{"a":1.10}', None)
        down.go()
        up.await_go(lambda: None)
        assert up.verdict() is None
    assert os.listdir(folder) == []


def test_a_refusal_reaches_the_tap_side(folder, pipe):
    with Downstream(pipe[1], "tap-x", chain=["tap-x"]) as down:
        up = Upstream(pipe[0], "target-y")
        up.meet()
        down.meet()
        up.refuse(5, "job.busy")
        with pytest.raises(ToldElsewhere) as caught:
            down.agree()
        assert caught.value.exit_code == 5
        up.__exit__(None, None, None)
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("problem", "verdict"),
    [(None, {"source": "ended"}), (ToldElsewhere(4), {"source": "died", "reason": "delivery.interrupted"})],
)
def test_how_the_tap_side_ended(folder, pipe, problem, verdict):
    up = Upstream(pipe[0], "target-y")
    down = Downstream(pipe[1], "tap-x", chain=["tap-x"])
    up.meet()
    down.meet()
    down.__exit__(type(problem) if problem else None, problem, None)
    assert up.verdict() == verdict
    up.__exit__(None, None, None)
    assert os.listdir(folder) == []


def test_a_tap_that_came_and_went_before_the_target_looked_again_is_not_dead(folder, pipe):
    """A short second run: ready, answered, gone and done between two looks of the other side."""
    up = Upstream(pipe[0], "target-y")
    down = Downstream(pipe[1], "tap-x", chain=["tap-x"])
    up.meet()
    down.meet()
    down.publish(phase="ready")
    up.await_ready()
    up.answer("job", "r-1", None)
    down.agree()
    down.go()
    down.__exit__(None, None, None)
    up.await_go(lambda: None)
    assert up.verdict() == {"source": "ended"}
    up.__exit__(None, None, None)
    assert os.listdir(folder) == []


def test_word_is_left_only_where_it_may_be_read(folder, pipe):
    """Nobody of ours holds the other end here: nothing is left behind."""
    saved = os.dup(1)
    os.dup2(pipe[1], 1)
    try:
        leave_word("tap-x", ValueError())
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert os.listdir(folder) == []
