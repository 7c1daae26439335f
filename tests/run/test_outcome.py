from __future__ import annotations

import signal

import pytest

from dativo import errors
from dativo.bus.events import End
from dativo.run.interrupts import Interrupts
from dativo.run.outcome import failure, said


def error(end: End, *, lines=(), ours=False, exit_code=1, **more) -> errors.DativoError:
    return failure(end, lines=lines, ours=ours, exit_code=exit_code, interrupts=Interrupts(), **more)


@pytest.mark.parametrize(
    ("reason", "group", "exit_code"),
    [
        ("plugin.exited", errors.RunError, 1),
        ("plugin.killed", errors.RunError, 1),
        ("plugin.start_failed", errors.EnvironmentFault, 3),
        ("env.disk_full", errors.EnvironmentFault, 3),
        ("data.invalid_json", errors.DataError, 4),
        ("run.cancelled", errors.Cancelled, 130),
        ("something.new", errors.RunError, 1),
        (None, errors.RunError, 1),
    ],
)
def test_a_reason_decides_the_exit_code(reason, group, exit_code):
    found = error(End(reason=reason, child="tap-x", message="it broke"))
    assert isinstance(found, group)
    assert found.exit_code == exit_code
    assert found.context["plugin"] == "tap-x"


def test_a_foreign_plugins_last_line_is_the_cause():
    end = End(reason="plugin.exited", child="tap-x", message="tap-x exited with 1")
    assert error(end, lines=["Traceback", "KeyError: 'x'", " "]).message == "tap-x exited with 1: KeyError: 'x'"
    assert error(end, lines=[]).message == "tap-x exited with 1"
    copied = ['psycopg2.errors.InvalidText: invalid input: "9E"', "CONTEXT:  COPY t, line 1, column carrier"]
    assert error(end, lines=copied).message == 'tap-x exited with 1: psycopg2.errors.InvalidText: invalid input: "9E"'


def test_a_plugin_that_is_older_than_its_python():
    end = End(reason="plugin.exited", child="target-x", message="target-x exited with 1")
    place = '  File "/data/envs/target-x-1/lib/python3.11/site-packages/target_x.py", line 1'
    lines = [place, "AttributeError: module 'collections' has no attribute 'MutableMapping'"]
    told = "it needs what Python 3.11 no longer has: dativo remove it, and add it again with --python 3.9"
    assert error(end, lines=lines).hint == told
    assert error(end, lines=[place.replace("3.11", "3.9"), lines[1]]).hint is None
    assert error(end, lines=lines[1:]).hint is None
    assert error(end, lines=lines, ours=True).hint is None


def test_our_plugins_own_words():
    end = End(reason="plugin.exited", child="tap-csv", message="tap-csv exited with 2")
    lines = ["reading", "error[config.missing]  no file matches x/*.csv", "  hint: check files", "bye"]
    found = error(end, lines=lines, ours=True, exit_code=2)
    assert (found.code, found.message, found.hint) == (
        "config.missing",
        "tap-csv: no file matches x/*.csv",
        "check files",
    )
    assert found.exit_code == 2
    assert error(end, lines=lines, ours=False).code == "plugin.exited"  # nobody else may speak for us
    assert error(end, lines=lines, ours=True, exit_code=0).code == "plugin.exited"


def test_a_newer_plugins_code_keeps_its_exit():
    end = End(reason="plugin.exited", child="tap-csv", message="tap-csv exited with 4")
    found = error(end, lines=["error[data.newer]  a word of tomorrow"], ours=True, exit_code=4)
    assert found.exit_code == 4
    assert "data.newer" in found.message


def test_where_in_the_data():
    end = End(reason="data.invalid_json", child="tap-x", message="m", stream="t", line=3, offset=9, setting="s")
    about = error(end, lines=["last line"]).context
    assert (about["stream"], about["line"], about["offset"], about["setting"]) == ("t", 3, 9, "s")


def test_said_takes_the_last():
    assert said(["error[a.b]  one", "error[c.d]  two"]).code == "c.d"
    assert said(["no error[a.b] here"]) is None
    assert said([]) is None


def test_a_signal_gives_its_number():
    interrupts = Interrupts()
    interrupts.signal = signal.SIGTERM
    assert interrupts.cancelled().exit_code == 143
