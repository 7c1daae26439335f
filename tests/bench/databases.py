"""The PostgreSQL that rows come from and go to: one server for all, outside what is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.tables import Files
from tests.servers import postgres
from tests.servers.postgres import Postgres

FEW = "_few"
"""What the table with fewer rows is called behind the table's name."""


@dataclass(frozen=True)
class Database:
    """The server, and what contests ask of it."""

    server: Postgres

    @property
    def uri(self) -> str:
        """As libpq and most programs read it."""
        one = self.server
        return f"postgresql://{one.user}:{one.password}@{one.host}:{one.port}/{one.database}"

    def load(self, files: Files, few: int) -> None:
        """The table, and another with its first rows."""
        name = files.table.name
        self.server.sql(files.table.create(name))
        with files.csv.open("rb", buffering=0) as lines:
            self.server.sql(f"copy {name} from stdin with (format csv, header)", stdin=lines)
        key = files.table.columns[0][0]
        self.server.sql(files.table.create(name + FEW))
        self.server.sql(f"insert into {name}{FEW} select * from {name} order by {key} limit {few}")
        self.server.sql("vacuum analyze")

    def empty_schema(self, name: str) -> None:
        """A schema with nothing in it."""
        self.server.sql(f"drop schema if exists {name} cascade")
        self.server.sql(f"create schema {name}")

    def count(self, table: str) -> int:
        """Its rows."""
        return int(self.server.sql(f"select count(*) from {table}"))

    def settle(self) -> None:
        """What one run left to be written is not the next one's burden."""
        self.server.sql("checkpoint")


@contextlib.contextmanager
def served() -> Iterator[Database]:
    """For as long as the block lasts."""
    with postgres.cluster() as server:
        yield Database(server)
