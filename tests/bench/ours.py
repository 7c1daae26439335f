"""Our side of each contest: `dativo run TAP TARGET` in a project folder, as a user types it, sandbox and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.arena import Arena
from tests.bench.contest import Absent, Contender
from tests.bench.peers import TAP_POSTGRES, TARGET_JSONL, TARGET_POSTGRES
from tests.workspace import PROGRAMS, ROOT, Workspace, unique


@dataclass(frozen=True)
class End:
    """A plugin and its settings; `request` is a folder of this checkout or a package."""

    plugin: str
    request: str
    config: dict[str, Any]
    section: dict[str, Any] = field(default_factory=dict)
    """More of its section in dativo.yml."""


def run(arena: Arena, rows: int, tap: End, target: End, words: Sequence[str] = (), **more: Any) -> Contender | Absent:
    """The contender; each of its runs is a job that never ran before."""
    name = f"dativo run {tap.plugin} {target.plugin}" + "".join(f" {word}" for word in words)
    try:
        made = project(arena, tap, target)
    except AssertionError as why:
        return Absent(name, f"not installed: {str(why)[-300:]}", "dativo")
    env = {**made.environment(), **more.pop("env", {})}

    def command() -> list[str]:
        return [str(PROGRAMS / "dativo"), "run", tap.plugin, target.plugin, "--job", unique("bench"), *words]

    return Contender(name, "dativo", rows, command, env, made.folder, few=rows < arena.rows, **more)


def project(arena: Arena, *ends: End) -> Workspace:
    """A folder with these plugins installed and set."""
    made = Workspace(arena.scratch / "projects" / unique("job"), arena.scratch / "home")
    made.dativo("add", *(ROOT / one.request if (ROOT / one.request).exists() else one.request for one in ends)).expect()
    made.configure({one.plugin: {"config": one.config, **one.section} for one in ends})
    return made


def reach(arena: Arena, database: str = "dbname") -> dict[str, Any]:
    """The settings of a connection."""
    server = arena.database.server
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        database: server.database,
    }


def tap_postgres(arena: Arena, table: str) -> End:
    """Ours, with one table."""
    return End("tap-postgres", "taps/tap-postgres", reach(arena), {"select": [f"public-{table}.*"]})


def tap_csv(file: Path) -> End:
    """Ours."""
    return End("tap-csv", "taps/tap-csv", {"files": [str(file)]})


def target_parquet(folder: Path) -> End:
    """Ours."""
    return End("target-parquet", "targets/target-parquet", {"path": str(folder)})


def target_postgres(arena: Arena, schema: str) -> End:
    """Ours."""
    return End("target-postgres", "targets/target-postgres", {**reach(arena), "default_target_schema": schema})


def target_jsonl(folder: Path) -> End:
    """Ours."""
    return End("target-jsonl", "targets/target-jsonl", {"path": str(folder)})


def target_duckdb(file: Path) -> End:
    """Ours."""
    return End("target-duckdb", "targets/target-duckdb", {"path": str(file)})


def foreign_tap_postgres(arena: Arena, table: str) -> End:
    """meltanolabs-tap-postgres, unmodified."""
    config = {**reach(arena, "database"), "filter_schemas": ["public"]}
    return End("tap-postgres", TAP_POSTGRES.packages[0], config, {"select": [f"public-{table}.*"]})


def foreign_target_postgres(arena: Arena, schema: str) -> End:
    """meltanolabs-target-postgres, unmodified."""
    config = {**reach(arena, "database"), "default_target_schema": schema}
    return End("target-postgres", TARGET_POSTGRES.packages[0], config)


def foreign_target_jsonl(folder: Path) -> End:
    """target-jsonl of the package index, unmodified."""
    section = {"sandbox": {"write": ["{config:destination_path}"]}}
    return End("target-jsonl", TARGET_JSONL.packages[0], {"destination_path": str(folder)}, section)
