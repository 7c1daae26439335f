"""The real Meltano and the folder that plugins' environments are in, shared by the tests of a session."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.meltano.world import World, installed


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dativo's own folder."""
    kept = os.environ.get("DATIVO_TEST_HOME")
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    return (Path(kept) if kept else shared) / "home"


@pytest.fixture(scope="session")
def meltano(home: Path) -> Path:
    """The real Meltano."""
    return installed(home.parent)


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Callable[..., World]:
    """Makes a copy of a project of `projects/`: `project("shop")`, `project("shop", "other", meltano)`."""

    def make(name: str, folder: str | None = None, meltano: Path | None = None) -> World:
        return World.of(name, tmp_path / (folder or name), home, meltano)

    return make


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Callable[[str], World]:
    """Makes a project of nothing but a meltano.yml with this text."""

    def make(text: str) -> World:
        place = tmp_path / "project"
        place.mkdir()
        (place / "meltano.yml").write_text(text, "utf-8")
        return World(place, home)

    return make
