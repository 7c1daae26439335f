"""The real destination-pgvector of PyPI, unmodified, in `standard`, into a PostgreSQL that has pgvector.

It is made with PyAirbyte: it writes stream by stream at the end of its input, and then hands back the last state of
each stream alone, without what belongs around it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.airbyte import pgvector
from tests.airbyte.pgvector import Vectors
from tests.workspace import Workspace, installed


@pytest.fixture(scope="module")
def served() -> Iterator[Vectors]:
    with pytest.MonkeyPatch.context() as patch, pgvector.served(patch) as found:
        yield found


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, served: Vectors, tmp_path: Path) -> Workspace:
    """Two streams of texts, with keys."""
    requests = ["airbyte:destination-pgvector==0.1.4", "tap-csv"]
    base = installed("airbyte-pgvector", requests, tmp_path_factory.getbasetemp())
    workspace = base.branch(tmp_path / "project")
    (workspace.folder / "data").mkdir()
    workspace.configure({"tap-csv": {"config": {"files": "data/*.csv", "key_properties": ["id"]}}})
    section = served.section(text_fields=["name"], metadata_fields=["id"])
    workspace.configure({"destination-pgvector": section})
    served.server.sql("drop table if exists boats; drop table if exists crews")
    fill(workspace, "boats", 30)
    fill(workspace, "crews", 10)
    return workspace


def fill(workspace: Workspace, name: str, rows: int) -> None:
    lines = "".join(f"{number},the {name} number {number}\n" for number in range(rows))
    (workspace.folder / "data" / f"{name}.csv").write_text(f"id,name\n{lines}")


def run(workspace: Workspace, *words: str) -> dict[str, Any]:
    answer = workspace.dativo("run", "tap-csv", "airbyte:destination-pgvector", "--json", *words)
    found: dict[str, Any] = answer.expect().json
    return found


def rows(served: Vectors, table: str) -> str:
    return served.server.sql(f"select count(*), count(distinct document_id), count(embedding) from {table}").strip()


def test_texts_become_vectors(project: Workspace, served: Vectors) -> None:
    project.dativo("config", "destination-pgvector", "test").expect()
    first = run(project)
    assert (first["records"], first["bookmark"]["covered"]) == (40, 40)
    assert (rows(served, "boats"), rows(served, "crews")) == ("30|30|30", "10|10|10")
    assert served.server.sql("select vector_dims(embedding) from boats limit 1").strip() == "1536"
    assert run(project)["records"] == 0
    fill(project, "boats", 33)
    assert run(project)["records"] == 3
    assert rows(served, "boats") == "33|33|33"
    assert run(project, "--full-refresh")["records"] == 43
    assert (rows(served, "boats"), rows(served, "crews")) == ("33|33|33", "10|10|10")  # by their key


def test_a_wrong_password(project: Workspace, served: Vectors) -> None:
    section = served.section()
    section["config"]["indexing"]["credentials"]["password"] = "not-this-one"
    project.configure({"destination-pgvector": section})
    answer = project.dativo("config", "destination-pgvector", "test").expect(2)
    assert "error[config.refused]" in answer.stderr
    assert "not-this-one" not in answer.stderr + answer.stdout


def test_killed_it_goes_on(project: Workspace, served: Vectors) -> None:
    fill(project, "boats", 3000)
    process = project.start("exec dativo run tap-csv airbyte:destination-pgvector --retries 0")
    while process.poll() is None and not (found := connector(process.pid)):
        os.sched_yield()
    for one in found:
        with contextlib.suppress(psutil.NoSuchProcess):  # the first may take the others with it
            one.kill()
    _, said = process.communicate()
    assert process.returncode == 1, said
    assert "destination-pgvector was killed" in said
    assert run(project)["records"] == 3010
    assert (rows(served, "boats"), rows(served, "crews")) == ("3000|3000|3000", "10|10|10")


def connector(pid: int) -> list[psutil.Process]:
    """The destination while it writes."""
    found = []
    try:
        for one in psutil.Process(pid).children(recursive=True):
            words = one.cmdline()
            if "write" in words and any(word.endswith("destination-pgvector") for word in words):
                found.append(one)
    except psutil.Error:
        pass
    return found
