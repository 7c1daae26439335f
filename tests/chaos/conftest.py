"""What all chaos tests share, each made once: the plugins, the rows, a PostgreSQL, the compiled shim."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.jobs import VARIANTS, Bench
from tests.servers import postgres
from tests.workspace import ROOT, Workspace, building

SHIM = Path(__file__).with_name("shim.c")
SEED = int(os.environ["DATIVO_CHAOS_SEED"])
OURS = (
    *("taps/tap-jsonl", "taps/tap-parquet", "taps/tap-postgres"),
    *("targets/target-csv", "targets/target-parquet", "targets/target-postgres"),
)
"""Besides those of `our_plugins`."""
FOREIGN = {
    "foreign-tap-postgres": "meltanolabs-tap-postgres==0.10.0",
    "foreign-target-postgres": "meltanolabs-target-postgres==0.8.1",
    "foreign-jsonl": "target-jsonl==0.1.4",
}


@pytest.fixture(scope="session")
def chaos_plugins(our_plugins: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Our plugins, and beside them foreign ones, which have names of their own here."""
    workspace = our_plugins.branch(tmp_path_factory.mktemp("chaos-plugins"))
    with building(workspace.home):
        workspace.dativo("add", *(ROOT / path for path in OURS)).expect()
        for name, request in FOREIGN.items():
            kind = "tap" if "tap-" in request else "target"
            workspace.dativo("add", request, "--as", name, "--kind", kind).expect()
    return workspace


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of faults, for LD_PRELOAD."""
    compiler = next(found for name in ("cc", "gcc", "clang") if (found := shutil.which(name)))
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def bench(chaos_plugins: Workspace, shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Everything, with a server whose only tables are ours."""
    with postgres.cluster() as server:
        bench = Bench(chaos_plugins, tmp_path_factory.mktemp("rows"), shim)
        for schema, rows in {one.schema: one.rows for one in VARIANTS if one.schema}.items():
            bench.load_tables(server, schema, rows)
        server.create_database("destinations")
        # A commit that was confirmed is in the server's log: its own crash must not be what loses it.
        server.sql("alter database destinations set synchronous_commit = on")
        yield bench
