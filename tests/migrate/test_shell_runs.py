"""A script as the shell runs it, and as `dativo run` runs what was imported: equal rows, equal final states."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import Workspace, installed

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]

PLUGINS = ("pipelinewise-tap-postgres==2.1.0", "pipelinewise-transform-field==2.3.0", "target-jsonl==0.1.4")
TABLES = """
create table orders (id int primary key, note text, card text, at timestamptz not null);
create table notes (id int primary key, note text);
insert into orders select n, 'note "' || n || '" ü', 'c' || n, timestamptz '2024-01-01 00:00:00+00' + n * interval '1 h'
  from generate_series(1, 300) as n;
insert into notes values (1, 'never selected');
"""
MORE = """
insert into orders select n, 'later', 'c' || n, timestamptz '2025-01-01 00:00:00+00' + n * interval '1 h'
  from generate_series(301, 310) as n;
"""
SCRIPT = """\
#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"          # wherever cron starts it
CONF=conf
export TZ='UTC'
[ -f state.json ] || echo '{{}}' > state.json
{tap} --config "$CONF/tap.json" --properties ${{CONF}}/catalog.json \\
    --state state.json 2>> sync.log \\
  | {mapper} --config "$CONF"/mapper.json \\
  | {target} -c $CONF/'target.json' > state.out
tail -n 1 state.out > state.tmp && mv state.tmp state.json
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres.cluster() as started:
        started.sql(TABLES)
        yield started


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return installed("shell-script", PLUGINS, tmp_path_factory.mktemp("shell-script"))


def written(folder: Path, server: Postgres, programs: Workspace) -> Path:
    """A folder as somebody has kept it for years: the script, and conf/ with its files."""
    (folder / "conf").mkdir(parents=True)
    (folder / "out").mkdir()
    names = ("tap-postgres", "pipelinewise-transform-field", "target-jsonl")
    tap, mapper, target = (programs.executable(name) for name in names)
    config = {"host": server.host, "port": server.port, "user": server.user, "password": server.password,
              "dbname": server.database, "filter_schemas": "public"}  # fmt: skip
    keep(folder, "tap", config)
    keep(folder, "target", {"destination_path": "out", "do_timestamp_file": False})
    hashed = {"tap_stream_name": "public-orders", "field_id": "note", "type": "MASK-STRING-SKIP-ENDS-2"}
    keep(folder, "mapper", {"transformations": [hashed]})
    catalog = json.loads(subprocess.check_output([tap, "--config", "conf/tap.json", "--discover"], cwd=folder))
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] == "public-orders"
                entry["metadata"] |= {"replication-method": "INCREMENTAL", "replication-key": "at"}
    keep(folder, "catalog", catalog)
    script = folder / "sync.sh"
    script.write_text(SCRIPT.format(tap=tap, mapper=mapper, target=target))
    return script


def keep(folder: Path, name: str, content: Any) -> None:
    (folder / "conf" / f"{name}.json").write_text(json.dumps(content))


def by_hand(script: Path) -> Any:
    subprocess.run(["bash", script], check=True, cwd="/", capture_output=True)
    return json.loads((script.parent / "state.json").read_text())


def rows(folder: Path) -> list[Any]:
    """What has landed since the last time."""
    found = []
    for file in sorted((folder / "out").iterdir()):
        found += [(file.name, json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
        file.unlink()
    return sorted(found, key=str)


def versionless(state: Any) -> Any:
    """Without the version of a table, which is the time of the run."""
    marks = state["bookmarks"].items()
    return {**state, "bookmarks": {name: {**mark, "version": None} for name, mark in marks if mark}}


def moved(script: Path, into: Path, programs: Workspace, *, left: int) -> Workspace:
    """The script imported; `left` are `[`, what follows ||, the log of stderr, and a state that is not there."""
    project = Workspace(into, programs.home)
    (into / "dativo.yml").unlink()
    answer = project.dativo("import", "shell", script, "--json").expect().json
    assert answer["report"]["left"] == left, answer["report"]
    project.dativo("sync").expect()
    return project


def test_equal_rows_and_equal_states_then_on_from_the_state(
    server: Postgres, programs: Workspace, tmp_path: Path
) -> None:
    hand = written(tmp_path / "hand", server, programs)
    copy = written(tmp_path / "copy", server, programs)
    project = moved(copy, tmp_path / "project", programs, left=4)
    text = (project.folder / "dativo.yml").read_text()
    assert server.password not in text
    for package in PLUGINS:
        assert f"source: {package}" in text, "the versions that the script's environments have"

    job = "tap-postgres-transform-field-to-target-jsonl"
    state = by_hand(hand)
    project.dativo("run", job).expect()
    landed = rows(hand.parent)
    assert len(landed) == 300
    assert [row for _, row in landed if set(row) != {"id", "note", "card", "at"} or "*" not in row["note"]] == []
    assert rows(copy.parent) == landed
    assert versionless(project.bookmark(job)) == versionless(state)

    server.sql(MORE)
    shutil.copy(hand.parent / "state.json", copy.parent)
    later = moved(copy, tmp_path / "later", programs, left=3)
    assert later.bookmark(job) == state
    state = by_hand(hand)
    later.dativo("run", job).expect()
    landed = rows(hand.parent)
    assert 10 <= len(landed) <= 11, "what is new, and the row at the bookmark"
    assert rows(copy.parent) == landed
    assert versionless(later.bookmark(job)) == versionless(state)
