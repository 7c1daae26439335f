"""A home and a project of its own for each test, and a way to ask a plugin what it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import manifest
from dativo.run import building
from tests.plugins.shelf import Shelf
from tests.workspace import Workspace


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def shelved(tmp_path, monkeypatch):
    """A project for `dativo` as a process, whose index is a shelf."""
    with Shelf(tmp_path / "shelf") as shelf:
        monkeypatch.setenv("UV_DEFAULT_INDEX", shelf.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        workspace = Workspace(tmp_path / "project", tmp_path / "home")
        workspace.shelf = shelf
        yield workspace


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dativo.yml").write_text("# mine\n")
    return Project.find(folder)


@pytest.fixture
def probe():
    """Asks by starting the program directly; how the data plane does it is tested in tests/run."""

    def ask(executable: Path, home: Path | None, engine: str):
        ask.asked.append(executable.name)
        run = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "env": {"PATH": "/usr/bin:/bin"}}
        about = subprocess.run([executable, "--about", "--format=json"], **run)
        found = manifest.from_about(about.stdout) if about.returncode == 0 else None
        if found:
            return found
        told = subprocess.run([executable, "--help"], **run)
        if told.returncode:
            lines = tuple(told.stderr.splitlines())
            raise errors.EnvironmentFault("plugin.start_failed", f"{executable.name} does not start", details=lines)
        return manifest.from_help(told.stdout)

    ask.asked = []
    ask.confine = building.confined
    return ask
