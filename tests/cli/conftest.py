"""A command line run in this process, in a folder that is a project, and the state store of that project."""

from __future__ import annotations

import pytest

from dativo.cli import main
from dativo.state.store import Store


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command line in this process, in a folder that is a project."""
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dativo.yml").touch()

    def go(*words, code=0):
        assert main.main(list(words)) == code, capsys.readouterr().err
        return capsys.readouterr()

    return go


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / ".dativo" / "state.db") as opened:
        yield opened
