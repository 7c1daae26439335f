"""Another real destination of PyPI, unmodified, in `standard`: destination-ailake writes Iceberg tables of vectors.

It is made with the CDK alone and has neither `append_dedup` nor keys: rows that come again stay twice.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.workspace import Workspace, installed

EMBED = "import json, sys; print(json.dumps([[float(len(one)), 1.0, 2.0, 3.0] for one in json.load(sys.stdin)]))"


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Workspace:
    """With a program of the user's that makes vectors."""
    requests = ["airbyte:destination-ailake==0.1.16", "tap-csv"]
    base = installed("airbyte-ailake", requests, tmp_path_factory.getbasetemp())
    workspace = base.branch(tmp_path / "project")
    for name in ("data", "lake", "own"):
        (workspace.folder / name).mkdir()
    program, place = workspace.folder / "own" / "embed.py", workspace.folder / "lake"
    program.write_text(EMBED)
    config = {"table_base_path": str(place), "embed_mode": "cmd", "embed_cmd": f"python3 {program}"}
    config |= {"text_field": "name", "embedding_dim": 4}
    sandbox = {"write": [str(place)], "read": [str(program)]}
    workspace.configure({"destination-ailake": {"config": config, "sandbox": sandbox}})
    workspace.configure({"tap-csv": {"config": {"files": "data/*.csv"}}})
    fill(workspace, 40)
    return workspace


def fill(workspace: Workspace, rows: int) -> None:
    lines = "".join(f"{number},boat {number}\n" for number in range(rows))
    (workspace.folder / "data" / "boats.csv").write_text(f"id,name\n{lines}")


def rows(workspace: Workspace) -> int:
    """The rows in the table's files."""
    with duckdb.connect() as database:
        found = database.execute(f"SELECT count(*) FROM '{workspace.folder}/lake/boats/data/*.parquet'").fetchone()
    assert found is not None
    return int(found[0])


def test_texts_become_vectors(lake: Workspace) -> None:
    words = ("run", "tap-csv", "airbyte:destination-ailake", "--json")
    first = lake.dativo(*words).expect().json
    assert (first["records"], first["bookmark"]["covered"]) == (40, 40)
    assert rows(lake) == 40
    assert lake.dativo(*words).expect().json["records"] == 0
    fill(lake, 45)
    assert lake.dativo(*words).expect().json["records"] == 5
    assert rows(lake) == 45
