"""The control plane's side of the pipes, against recorded events; the real data plane is in tests/pipelines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dativo import errors
from dativo.bus import events, process
from dativo.bus.orphans import children, kill_orphans
from dativo.bus.plan import Plan
from dativo.bus.process import start

REPLAY = Path(__file__).parents[1] / "fixtures" / "bus-replay"
END = '{"event":"end","verdict":"done","reason":null,"child":null,"message":"","states":{"forwarded":1,"confirmed":1}}'


@pytest.fixture
def replay(monkeypatch, tmp_path):
    """Start the stand-in with these events and this last word."""
    monkeypatch.setenv("DATIVO_BUS", str(REPLAY))
    # The real one gets no environment; the stand-in is told what to do in it.
    monkeypatch.setattr(process, "NEEDED", ("PATH", "REPLAY", "REPLAY_PLAN"))

    def begin(*lines: str, **ends):
        record = tmp_path / "events"
        record.write_text("\n".join(lines))
        monkeypatch.setenv("REPLAY", str(record))
        return start(Plan("r-1", "j", str(tmp_path / "run"), []), **ends)

    return begin


def open_fds():
    return set(os.listdir("/proc/self/fd"))


def test_events_come_in_order_and_nothing_stays_open(replay):
    list(replay(END, "exit 0").events())  # what the first one imports is not counted
    before = open_fds()
    bus = replay('{"event":"started","run":"r-1"}', '{"event":"news"}', '{"event":"source_eof"}', END, "exit 0")
    seen = [type(event) for event in bus.events()]
    assert seen == [events.Started, events.SourceEof, events.End]
    assert bus.pid not in children()
    assert open_fds() == before


def test_the_plan_arrives_whole(replay, monkeypatch, tmp_path):
    monkeypatch.setenv("REPLAY_PLAN", str(tmp_path / "plan.json"))
    bus = replay(END, "exit 0")
    list(bus.events())
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["run"] == "r-1"
    assert isinstance(plan["control_fd"], int)


def test_nothing_for_a_while_is_none(replay):
    bus = replay("leash")
    assert next(bus.events(timeout=0.01)) is None
    bus.kill()
    assert bus.pid not in children()


def test_a_bus_that_is_killed_is_an_error_with_its_last_words(replay):
    bus = replay('{"event":"started"}', "kill")
    with pytest.raises(errors.RunError) as caught:
        list(bus.events())
    assert caught.value.code == "bus.died"
    assert "SIGKILL" in caught.value.message
    assert caught.value.details == ("bus-replay is about to be killed",)


def test_a_bus_that_exits_without_a_verdict_is_an_error(replay):
    bus = replay("exit 0")
    with pytest.raises(errors.RunError) as caught:
        list(bus.events())
    assert caught.value.code == "bus.died"


def test_a_refused_plan_is_said_to_be_one(replay):
    with pytest.raises(errors.ConfigError):
        list(replay("exit 2").events())


def test_nonsense_on_the_events_pipe_is_an_error(replay):
    bus = replay("this is no event", "leash")
    with pytest.raises(errors.RunError) as caught:
        list(bus.events())
    assert caught.value.code == "bus.died"
    bus.kill()


def test_orphans_of_a_killed_bus_are_killed(replay, tmp_path):
    """I8: what a plugin started in a session of its own outlives the bus only until we look."""
    bus = replay(f"orphan {tmp_path / 'pid'}")
    with pytest.raises(errors.RunError):
        list(bus.events())
    orphan = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(orphan, 0)


def test_children_from_before_are_spared():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    before = set(children())  # with those of tests in the same process
    assert child in before
    assert kill_orphans(before) == 0
    os.write(write, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)
    os.close(write)


def test_our_copies_of_the_shell_pipe_are_given_away(replay):
    """The neighbour sees EOF when the bus closes its end, although Python lives on."""
    read, write = os.pipe()
    bus = replay(END, "exit 0", stdout=write)
    list(bus.events())
    assert os.read(read, 1) == b""
    assert os.readlink(f"/proc/self/fd/{write}") == "/dev/null"
    os.close(read)
    os.close(write)


def test_an_absent_bus_is_an_environment_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("DATIVO_BUS", str(tmp_path / "absent"))
    with pytest.raises(errors.EnvironmentFault):
        start(Plan("r", "j", str(tmp_path), []))


def test_a_bus_that_cannot_be_executed_is_an_environment_fault(monkeypatch, tmp_path):
    bad = tmp_path / "bus"
    bad.write_bytes(b"\x00nothing that runs")
    bad.chmod(0o755)
    monkeypatch.setenv("DATIVO_BUS", str(bad))
    with pytest.raises(errors.EnvironmentFault) as caught:
        start(Plan("r", "j", str(tmp_path), []))
    assert caught.value.code == "bus.missing"
