"""Projects with Airbyte connectors, each installed once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import Workspace, installed

FAULT = Path(__file__).with_name("source-fault.py")
DESTINATION = Path(__file__).with_name("destination-fault.py")
NOTES = Path(__file__).with_name("destination-notes")


@pytest.fixture(scope="session")
def fault_project(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The source that misbehaves, and a target."""
    return installed("airbyte-fault", [f"airbyte:{FAULT}", "target-duckdb"], tmp_path_factory.getbasetemp())


@pytest.fixture
def fault(fault_project: Workspace, tmp_path: Path) -> Workspace:
    """The same with bookmarks and data of its own."""
    workspace = fault_project.branch(tmp_path / "project")
    workspace.configure({"target-duckdb": {"config": {"path": str(tmp_path / "project" / "out.duckdb")}}})
    return workspace


@pytest.fixture(scope="session")
def quay_project(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The destination that misbehaves, and a tap."""
    return installed("airbyte-quay", [f"airbyte:{DESTINATION}", "tap-csv"], tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def notes_project(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A destination made with airbyte-cdk, and two taps."""
    requests = [f"airbyte:{NOTES}", "airbyte:source-faker==7.2.1", "tap-csv"]
    return installed("airbyte-notes", requests, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL to load into."""
    with postgres.cluster() as running:
        yield running
