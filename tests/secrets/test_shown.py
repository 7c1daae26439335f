"""What this process prints and keeps goes through the redactor: streams, results, errors, crash reports, history."""

import json
import sys

import click
import pytest

from dativo import errors
from dativo.cli import group, main, report
from dativo.observe.log import PluginLog
from dativo.run.hold import Hold
from dativo.secrets.redact import REDACTOR
from dativo.state.store import Store

CANARY = "canary-of-this-test"


@pytest.fixture(autouse=True)
def known(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    REDACTOR.add(CANARY, referenced=True)
    REDACTOR.add("tiny-1", referenced=True)


@pytest.fixture
def planted(monkeypatch):
    def plant(body):
        made = click.Command("doctor", callback=body)
        monkeypatch.setattr(group.Commands, "get_command", lambda self, ctx, name: made)

    return plant


@pytest.mark.parametrize("debug", ["0", "1"])
def test_a_crash(planted, monkeypatch, capsys, tmp_path, debug):
    monkeypatch.setenv("DATIVO_DEBUG", debug)

    def body():
        try:
            raise ValueError(f"password={CANARY}")
        except ValueError as cause:
            raise RuntimeError(f"no login with {CANARY}") from cause

    planted(body)
    assert main.main(["doctor"]) == 1
    said = "".join(capsys.readouterr())
    assert CANARY not in said
    assert ("Traceback" in said) == (debug == "1")
    assert ("no login with ***" in said) == (debug == "1")
    [path] = (tmp_path / "home/state/crashes").iterdir()
    assert CANARY not in path.read_text()


@pytest.mark.parametrize("as_json", [True, False])
def test_errors_results_notes(planted, capsys, as_json):
    def body():
        report.OUTPUT.json = as_json
        report.result({CANARY: [f"x {CANARY}", 'tiny-1 "quoted"']}, [f"line {CANARY} tiny-1"])
        report.note(f"note {CANARY}")
        report.warn(f"warn {CANARY}")
        print(f"plain {CANARY}", file=sys.stderr)
        raise errors.ConfigError(
            "config.invalid", f"message {CANARY}", hint=f"hint {CANARY}", details=(CANARY,), context={"setting": CANARY}
        )

    planted(body)
    assert main.main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert CANARY not in out + err
    assert "tiny-1" not in out + err
    for line in out.splitlines() if as_json else ():
        json.loads(line)
    assert "plain ***" in err


def test_a_catalog_is_shown_as_it_is_but_for_what_is_no_word(planted, capsys):
    REDACTOR.add("orders")

    def body():
        report.OUTPUT.json = True
        report.result({"stream": "orders", "x": CANARY}, (), exact=True)

    planted(body)
    assert main.main(["doctor"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stream": "orders", "x": "***"}


def test_the_history_of_a_job(tmp_path):
    path = tmp_path / "state.db"
    with Hold.take(path, "shop") as hold:
        hold.finish("interrupted", "plugin.exited", {"notes": [f"note {CANARY}"]}, f"said {CANARY}")
    with Store.open(path):
        pass
    for file in tmp_path.glob("state.db*"):
        assert CANARY.encode() not in file.read_bytes()


def test_a_plugins_lines(capsys):
    log = PluginLog(shown=True)
    log.line("tap-x", f"logging in with {CANARY}")
    assert log.last("tap-x") == ["logging in with ***"]
    assert CANARY not in capsys.readouterr().err
