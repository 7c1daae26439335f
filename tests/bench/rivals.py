"""The command lines of the peers that are one program: ingestr, Sling, dlt, ConnectorX, faucet."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.bench.arena import Arena
from tests.bench.contest import Absent, Contender
from tests.bench.peers import CONNECTORX, DLT, FAUCET, INGESTR, SLING

SCRIPTS = Path(__file__).with_name("scripts")


def ingestr(arena: Arena, rows: int, source: tuple[str, str], to: tuple[str, str], **more: Any) -> Contender | Absent:
    """`source` and `to` are a URI and a table."""
    ends = ["--source-uri", source[0], "--source-table", source[1], "--dest-uri", to[0], "--dest-table", to[1]]
    return arena.peer(
        INGESTR.version,
        [INGESTR],
        rows,
        lambda program: [program, "ingest", "--yes", "--progress", "log", *ends],
        **more,
    )


def sling(arena: Arena, rows: int, source: tuple[str, str], to: tuple[str, str], **more: Any) -> Contender | Absent:
    """`source` and `to` are a connection ("" for files) and a table or a file:// URL."""
    ends = []
    for side, (connection, name) in (("src", source), ("tgt", to)):
        ends += [f"--{side}-conn", f"{connection}?sslmode=disable"] if connection else []
        ends += ["--src-stream" if side == "src" else "--tgt-object", name]
    # Its own Parquet writer: the other one is DuckDB's program, which it would fetch.
    env = {"SLING_HOME_DIR": str(arena.scratch / "sling"), "SLING_DUCKDB_COMPUTE": "false"}
    return arena.peer(
        SLING.version,
        [SLING],
        rows,
        lambda program: [program, "run", "--mode", "full-refresh", *ends],
        env=env,
        **more,
    )


def dlt(arena: Arena, rows: int, source: str, to: str, kind: str, **more: Any) -> Contender | Absent:
    """As scripts/dlt_job.py reads its arguments; files are not compressed, as nobody else's are."""
    folder = arena.scratch / "dlt"
    return arena.peer(
        DLT.version + " with ConnectorX" * ("#" in source),
        [DLT],
        rows,
        lambda python: [python, SCRIPTS / "dlt_job.py", source, to, kind, folder],
        env={"NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true"},
        **more,
    )


def connectorx(arena: Arena, rows: int, table: str, file: Path, **more: Any) -> Contender | Absent:
    """A library: the script is what its user writes."""
    return arena.peer(
        CONNECTORX.version + " and pyarrow",
        [CONNECTORX],
        rows,
        lambda python: [python, SCRIPTS / "connectorx_job.py", arena.database.uri, table, file],
        **more,
    )


def faucet(arena: Arena, rows: int, source: Path, to: Path, **more: Any) -> Contender | Absent:
    """CSV to JSON lines."""
    file = arena.scratch / "faucet.yml"
    ends = {
        "source": {"type": "csv", "config": {"path": str(source)}},
        "sink": {"type": "jsonl", "config": {"path": str(to)}},
    }
    file.write_text(json.dumps({"version": 1, "name": "bench", "pipeline": ends}), "utf-8")
    env = {"RUST_LOG": os.environ.get("RUST_LOG", "warn")}
    return arena.peer(FAUCET.version, [FAUCET], rows, lambda program: [program, "run", file], env=env, **more)
