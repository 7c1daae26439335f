"""A PostgreSQL with the flights, and third-party plugins from the package index, each made once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.faulty import fault_plugins, faulty
from tests.pipelines import rows
from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import ROOT, Workspace, installed

__all__ = ["fault_plugins", "faulty"]

MELTANOLABS = (
    "meltanolabs-tap-postgres==0.10.0",
    "target-jsonl==0.1.4",
    "meltanolabs-target-postgres==0.8.1",
    "meltanolabs-target-csv==0.5.0",
    "meltano-map-transform==0.12.3",
)
PIPELINEWISE = ("pipelinewise-tap-postgres==2.1.0", "target-jsonl==0.1.4")


@pytest.fixture(scope="session")
def source(flights_csv: Path) -> Iterator[Postgres]:
    """The server; no test changes its five tables."""
    with postgres.cluster() as server:
        postgres.load_flights(server, flights_csv)
        yield server


@pytest.fixture(scope="session")
def source_tables(source: Postgres) -> dict[str, rows.Table]:
    """The four small tables as they are in the source."""
    tables = {name: rows.of_postgres(source, name) for name in rows.COLUMNS}
    assert {name: len(table) for name, table in tables.items()} == rows.SIZES
    return tables


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the third-party plugins are installed: the two taps called tap-postgres share one home."""
    return tmp_path_factory.mktemp("third-party")


@pytest.fixture(scope="session")
def meltanolabs(third_party: Path) -> Workspace:
    """A project with MeltanoLabs' tap and targets, installed by `dativo add`."""
    return installed("meltanolabs", MELTANOLABS, third_party)


@pytest.fixture(scope="session")
def pipelinewise(third_party: Path) -> Workspace:
    """A project with PipelineWise's tap, whose program has the same name as MeltanoLabs'."""
    return installed("pipelinewise", PIPELINEWISE, third_party)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our tap-postgres, built from this checkout: the program itself."""
    temporary = tmp_path_factory.mktemp("tap-postgres")
    return installed("ours-postgres", [ROOT / "taps" / "tap-postgres"], temporary).executable("tap-postgres")
