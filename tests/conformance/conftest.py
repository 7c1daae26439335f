"""The world and the plugins that a few pairs need, each made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import hostile, pair, plan
from tests.conformance.world import World
from tests.workspace import Workspace, building

QUICK = (
    ("pipelinewise-tap-postgres", "meltanolabs-target-csv"),
    ("meltanolabs-tap-postgres", "target-sqlite-sdk"),
    ("tap-mysql", "target-jsonl"),
    ("pipelinewise-tap-postgres by the log", "pipelinewise-target-postgres with hard_delete"),
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Servers, started when they are asked for."""
    with World(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project with the plugins of the quick pairs and the tap that says anything."""
    folder = tmp_path_factory.mktemp("conformance")
    made = Workspace(folder / "project", folder / "home")
    with building(made.home):
        made.dativo("add", hostile.TAP).expect()
        for name in dict.fromkeys(name for names in QUICK for name in names):
            assert pair.install(made, plan.PLUGINS[name.partition(" ")[0]]) == ""
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "place"
