"""Plugins from PyPI, as they are, in profile `strict`: real servers through the broker, real files, TLS with the
server's name checked; and what one of them is told that reaches for a host of its own choice."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import rows, third_party
from tests.pipelines.third_party import Destination, Pipeline
from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import Workspace, installed

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(1_200)]
STRICT = ("--sandbox", "strict", "--json")


@pytest.fixture(scope="module")
def duckdb_target(third_party: Path) -> Workspace:
    """MeltanoLabs' tap and jwills' target-duckdb, with the last DuckDB that it loses no rows with."""
    workspace = installed("jwills", ("meltanolabs-tap-postgres==0.10.0",), third_party)
    workspace.dativo("add", "target-duckdb==0.8.0", "--variant", "jwills", "--with", "duckdb==1.0.0").expect()
    return workspace


def ran_strict(answer: Any, *plugins: str) -> dict[str, Any]:
    """The summary, which says that both ends were held by all layers."""
    summary: dict[str, Any] = answer.expect().json
    assert summary["sandbox"] == "strict"
    for name in plugins:
        assert summary["confined"][name]["layout"] == "namespaces", summary["confined"]
    return summary


def test_meltanolabs_tap_and_target(
    meltanolabs: Workspace, source: Postgres, source_tables: dict[str, rows.Table], tmp_path: Path
) -> None:
    place = third_party.tables(tmp_path / "rows", source)
    pipeline = Pipeline(meltanolabs.branch(tmp_path / "project"), third_party.meltanolabs_tap(source), place, "run")
    pipeline.configure()
    summary = ran_strict(
        pipeline.workspace.dativo("run", "tap-postgres", "target-postgres", *STRICT), "tap-postgres", "target-postgres"
    )
    for name, table in source_tables.items():
        place.take(name).must_equal(table)
    reached = {(one["plugin"], one["host"], one["port"]) for one in summary["connections"]}
    assert reached == {(name, source.host, source.port) for name in ("tap-postgres", "target-postgres")}


@pytest.mark.parametrize("kind", ["meltanolabs", "pipelinewise"])
def test_taps_into_real_files(
    kind: str,
    source: Postgres,
    source_tables: dict[str, rows.Table],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    tap = third_party.meltanolabs_tap if kind == "meltanolabs" else third_party.pipelinewise_tap
    workspace: Workspace = request.getfixturevalue(kind)
    place = third_party.jsonl(tmp_path / "rows", source)
    pipeline = Pipeline(workspace.branch(tmp_path / "project"), tap(source), place, "run")
    pipeline.configure()
    answer = pipeline.workspace.dativo("run", "tap-postgres", "target-jsonl", *STRICT)
    ran_strict(answer, "tap-postgres", "target-jsonl")
    # Files belong to whom their folder belongs to, whatever user the plugin was inside.
    assert {file.stat().st_uid for file in (tmp_path / "rows").iterdir()} == {os.getuid()}
    for name, table in source_tables.items():
        place.take(name).must_equal(table)


def test_a_target_that_writes_a_database(
    duckdb_target: Workspace, source: Postgres, source_tables: dict[str, rows.Table], tmp_path: Path
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    config = {"filepath": str(folder / "nyc.duckdb"), "primary_key_required": False, "default_target_schema": "lake"}
    place = Destination("target-duckdb", config, lambda _: rows.Table("", []), (str(folder),))
    pipeline = Pipeline(duckdb_target.branch(tmp_path / "project"), third_party.meltanolabs_tap(source), place, "run")
    pipeline.configure()
    answer = pipeline.workspace.dativo("run", "tap-postgres", "target-duckdb", *STRICT)
    ran_strict(answer, "tap-postgres", "target-duckdb")
    import duckdb

    with duckdb.connect(str(folder / "nyc.duckdb"), read_only=True) as connection:
        for name, table in source_tables.items():
            columns = ", ".join(f'"{column}"' for column in rows.COLUMNS[name])
            listing = connection.sql(
                f"select to_json(line) from (select {columns} from lake.{name}) as line"
            ).fetchall()
            found = rows.Table(name, (json.loads(row, parse_float=Decimal) for (row,) in listing))
            found.must_equal(table)


# -- TLS


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Path]]:
    """A server of its own whose certificate is for `localhost`, and that certificate."""
    with postgres.cluster() as server:
        data = Path(server.sql("show data_directory").strip())
        owner = data.stat()
        certificate = tmp_path_factory.mktemp("tls") / "server.crt"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost", "-keyout", data / "server.key", "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        (data / "server.crt").write_bytes(certificate.read_bytes())
        for file in (data / "server.key", data / "server.crt"):
            file.chmod(0o600)
            os.chown(file, owner.st_uid, owner.st_gid)
        server.sql("alter system set ssl = on")
        server.sql("select pg_reload_conf()")
        server.sql("create table boats (id int primary key, name text)")
        server.sql("insert into boats values (1, 'Ada'), (2, 'Bo')")
        yield server, certificate


@pytest.mark.parametrize(("host", "fits"), [("localhost", True), ("127.0.0.1", False)])
def test_tls_with_the_servers_name_checked(
    host: str, fits: bool, with_tls: tuple[Postgres, Path], meltanolabs: Workspace, tmp_path: Path
) -> None:
    server, certificate = with_tls
    place = third_party.jsonl(tmp_path / "rows", server)
    tls = {"ssl_enable": True, "ssl_mode": "verify-full", "ssl_certificate_authority": str(certificate)}
    tap = {**third_party.meltanolabs_tap(server), "host": host, "filter_schemas": ["public"], **tls}
    pipeline = Pipeline(meltanolabs.branch(tmp_path / "project"), tap, place, "run")
    pipeline.configure({"select": ["public-boats.*"], "sandbox": {"read": ["{config:ssl_certificate_authority}"]}})
    answer = pipeline.workspace.dativo("run", "tap-postgres", "target-jsonl", *STRICT)
    if fits:
        assert ran_strict(answer, "tap-postgres")["records"] == 2
        assert server.sql("select count(*) > 0 from pg_stat_ssl where ssl or true").strip() == "t"
    else:
        said = answer.expect(1).stdout + answer.stderr
        assert "does not match host name" in said, said


# -- a host of its own choice

CURIOUS = """\
#!/usr/bin/env python3
import json, sys, urllib.request
if "--help" in sys.argv or "--about" in sys.argv:
    sys.exit(0 if "--help" in sys.argv else 2)
urllib.request.urlopen("https://collector.example.com/v1", timeout=5)
"""


def test_an_undeclared_host_fails_and_says_which_line_to_add(meltanolabs: Workspace, tmp_path: Path) -> None:
    workspace = meltanolabs.branch(tmp_path / "project")
    script = tmp_path / "tap-curious"
    script.write_text(textwrap.dedent(CURIOUS))
    script.chmod(0o755)
    workspace.dativo("add", script, "--kind", "tap").expect()
    out = tmp_path / "out"
    out.mkdir()
    workspace.configure({"target-jsonl": {"config": {"destination_path": str(out)}, "sandbox": {"write": [str(out)]}}})
    answer = workspace.dativo("run", "tap-curious", "target-jsonl", "--sandbox", "strict").expect(2)
    assert "error[plugin.network.denied]" in answer.stderr
    assert "tap-curious tried to reach collector.example.com:443, which it may not" in answer.stderr
    assert "dativo allow tap-curious --network collector.example.com:443" in answer.stderr
