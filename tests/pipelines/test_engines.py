"""The two engines of postgres on one real database: ours and Meltano's, in one project, chosen by a job and a flag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.tap_postgres import connection
from tests.servers.postgres import Postgres
from tests.workspace import ROOT, Workspace

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(900)]

AIRLINES = 16


@pytest.fixture
def work(source: Postgres, tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "project", tmp_path / "home")
    made.dativo("add", ROOT / "targets/target-jsonl").expect()
    made.dativo("add", "tap-postgres").expect()
    added = made.dativo("add", "tap-postgres", "--engine", "singer").expect()
    assert (
        "tap-postgres is dativo-tap-postgres (native) here, so this one is called meltanolabs-tap-postgres"
        in added.stderr
    )
    ours = connection(source, source.database)
    theirs = {"database": ours["dbname"], **{key: one for key, one in ours.items() if key != "dbname"}}
    select = ["public-airlines.*"]
    made.configure(
        {
            "tap-postgres": {"config": ours, "select": select},
            "meltanolabs-tap-postgres": {"config": theirs, "select": select},
        }
    )
    return made


def rows(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.glob("*airlines*.jsonl")
    found = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return sorted(({key: one[key] for key in ("carrier", "name")} for one in found), key=lambda one: one["carrier"])


def test_both_read_the_same_rows_and_neither_gets_the_others_bookmark(work: Workspace) -> None:
    out = {name: work.folder / name for name in ("native", "singer", "piped")}
    line = ("run", "tap-postgres", "target-jsonl")
    work.dativo(*line, "--set", f"target-jsonl.path={out['native']}").expect()
    chosen = work.dativo(
        *line, "--engine", "tap-postgres=singer", "--set", f"target-jsonl.path={out['singer']}"
    ).expect()
    assert "meltanolabs-tap-postgres-to-target-jsonl" in chosen.stderr
    pipe = f"dativo tap-postgres --engine singer --job piped | dativo target-jsonl --path {out['piped']}"
    work.shell(pipe).expect()
    assert len(rows(out["native"])) == AIRLINES
    assert rows(out["native"]) == rows(out["singer"]) == rows(out["piped"])

    refused = work.shell(f"dativo tap-postgres --job piped | dativo target-jsonl --path {out['piped']}").expect(2)
    assert "the bookmark of piped was written by meltanolabs-tap-postgres (singer)" in refused.stderr
    assert "and this is dativo-tap-postgres (native)" in refused.stderr
    assert len(rows(out["piped"])) == AIRLINES
