"""The pairs of unmodified plugins that load every row without Dativo, each with its settings and where its rows end up.

Measured without Dativo on the same tables: pipelinewise-tap-postgres writes draft-4 `exclusiveMaximum: true` in its
SCHEMA, which both Meltano SDK targets refuse, so target-jsonl is its only partner here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pipelines import rows
from tests.servers.postgres import Postgres
from tests.workspace import Workspace

STREAMS = tuple(f"public-{table}" for table in rows.COLUMNS)
FULL = {"replication-method": "FULL_TABLE"}
BY_CHANGE = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
SELECTION = {
    "select": [f"{stream}.*" for stream in STREAMS],
    "metadata": {stream: BY_CHANGE if stream == "public-planes" else FULL for stream in STREAMS},
}


def meltanolabs_tap(server: Postgres) -> dict[str, Any]:
    """Settings of meltanolabs-tap-postgres."""
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return {**reach, "database": server.database, "filter_schemas": ["public"]}


def pipelinewise_tap(server: Postgres) -> dict[str, Any]:
    """Settings of pipelinewise-tap-postgres."""
    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return {**reach, "dbname": server.database, "filter_schemas": "public"}


@dataclass
class Destination:
    """Where a target puts rows: what it is told, and how to take out what it has put there since the last time."""

    target: str
    config: dict[str, Any]
    take: Callable[[str], rows.Table]
    writes: tuple[str, ...] = ()
    """What its owner grants it: its manifest says nothing about files."""


Place = Callable[[Path, Postgres], Destination]


def jsonl(folder: Path, _server: Postgres | None) -> Destination:
    """target-jsonl: one file per stream and second."""
    folder.mkdir()

    def take(table: str) -> rows.Table:
        files = sorted(folder.glob(f"public-{table}*.jsonl"))
        found = rows.of_jsonl(table, files)
        for file in files:
            file.unlink()
        return found

    return Destination("target-jsonl", {"destination_path": str(folder)}, take, ("{config:destination_path}",))


def csv(folder: Path, _server: Postgres) -> Destination:
    """meltanolabs-target-csv: one file per stream, written anew by each run."""
    folder.mkdir()

    def take(table: str) -> rows.Table:
        file = folder / f"public-{table}.csv"
        found = rows.of_csv(table, file)
        file.unlink(missing_ok=True)
        return found

    return Destination("target-csv", {"output_path": str(folder)}, take, ("{config:output_path}",))


def tables(folder: Path, server: Postgres) -> Destination:
    """meltanolabs-target-postgres: one table per stream, in a database of its own."""
    database = server.create_database(f"to_{folder.parent.name}")

    def take(table: str) -> rows.Table:
        found = rows.of_postgres(server, table, database=database)
        server.sql(f"drop table if exists {table}", database=database)
        return found

    reach = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return Destination("target-postgres", {**reach, "database": database, "default_target_schema": "public"}, take)


@dataclass
class Pipeline:
    """A tap and a destination in a project of their own, run as a shell pipe or by `dativo run`."""

    workspace: Workspace
    tap: dict[str, Any]
    destination: Destination
    line: str

    @property
    def job(self) -> str:
        """What Dativo calls the pair."""
        return f"tap-postgres-to-{self.destination.target}"

    def configure(self, selection: dict[str, Any] = SELECTION, mapper: dict[str, Any] | None = None) -> None:
        """Write the project file."""
        plugins = {
            "tap-postgres": {"config": self.tap, **selection},
            self.destination.target: {
                "config": self.destination.config,
                "sandbox": {"write": list(self.destination.writes)},
            },
        }
        self.workspace.configure({**plugins, **({"meltano-map-transform": mapper} if mapper else {})})

    def bookmark(self) -> Any:
        """What Dativo has kept for the pair."""
        return self.workspace.bookmark(self.job)

    def set_bookmark(self, value: dict[str, Any]) -> None:
        """`dativo state set`."""
        self.workspace.dativo("state", "set", self.job, json.dumps(value)).expect()

    @property
    def command(self) -> str:
        """The line that a user types."""
        target = self.destination.target
        return f"dativo tap-postgres | dativo {target}" if self.line == "pipe" else f"dativo run tap-postgres {target}"
