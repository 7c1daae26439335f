"""The jobs that are broken: a source, a target, a kind of command line; and what of the source has arrived.

Sources are CSV rows and four PostgreSQL tables. Every row has a number, and a bookmark covers the rows below a number,
so that "the bookmark is ahead of the target" and "a row came twice" are questions about numbers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tests.servers.postgres import Postgres
from tests.workspace import Workspace

BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
"""When row 0 of a table was changed; every later row a second later."""
LINES = ("run", "pipe")
TABLES = tuple(f"t{number}" for number in range(4))

PADDING = "." * 400
"""Rows are so long that few of them fill all the pipes: the tap waits for the target."""

Row = tuple[int, str, int]


def row(number: int) -> Row:
    """The row of that number, the same in every source."""
    return number, f"the name of {number} {PADDING}", number * 7


@dataclass(frozen=True)
class Variant:
    """Where rows come from and go to, how many, and whether the target can tell a row that it has already."""

    name: str
    tap: str
    target: str
    rows: int
    """Of each stream."""
    ours: bool
    keyed: bool = True
    server: bool = False
    """Whether it needs PostgreSQL."""

    @property
    def once(self) -> bool:
        """Whether no row may ever be there twice."""
        return (self.ours or self.target == "target-postgres") and not self.inclusive

    @property
    def inclusive(self) -> bool:
        """The SDK's tap reads the row of its bookmark again: an appending target has that one more than once."""
        return self.tap == "tap-postgres" and self.target == "target-jsonl"

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of its streams."""
        return ("rows",) if self.tap == "tap-csv" else tuple(f"chaos-{table}" for table in TABLES)

    @property
    def on_disk(self) -> bool:
        """Whether its target writes files, so that a disk can be full."""
        return self.target != "target-postgres"


VARIANTS = (
    Variant("csv-duckdb-keyed", "tap-csv", "target-duckdb", 6_000, ours=True),
    Variant("csv-duckdb-keyless", "tap-csv", "target-duckdb", 6_000, ours=True, keyed=False),
    Variant("csv-jsonl", "tap-csv", "target-jsonl", 12_000, ours=True),
    Variant("csv-foreign-jsonl", "tap-csv", "foreign-jsonl", 4_000, ours=False),
    Variant("csv-foreign-postgres", "tap-csv", "target-postgres", 2_000, ours=False, server=True),
    Variant("postgres-duckdb", "tap-postgres", "target-duckdb", 500, ours=True, server=True),
    Variant("postgres-jsonl", "tap-postgres", "target-jsonl", 500, ours=True, server=True),
    Variant("postgres-foreign-postgres", "tap-postgres", "target-postgres", 500, ours=False, server=True),
)


@dataclass
class Bench:
    """What all jobs share: installed plugins, the rows, the server, the compiled shim."""

    plugins: Workspace
    folder: Path
    shim: Path
    server: Postgres | None = None
    whole: dict[str, int] = field(default_factory=dict)
    """How many bytes the tap of a variant writes when nobody stops it."""

    def rows_file(self, rows: int) -> Path:
        """A CSV file with the rows 0 to `rows`."""
        path = self.folder / f"{rows}" / "rows.csv"
        if not path.exists():
            path.parent.mkdir()
            write_rows(path, 0, rows)
        return path

    def load_tables(self, server: Postgres, rows: int) -> None:
        """The four tables, each with the rows 0 to `rows`, and a database for targets."""
        self.server = server
        for table in TABLES:
            server.sql(
                f"create schema if not exists chaos;"
                f"create table chaos.{table} (id int primary key, name text, value int, updated_at timestamptz);"
                f"insert into chaos.{table} select n, 'the name of ' || n || ' {PADDING}', n * 7,"
                f" timestamptz '{BEGAN.isoformat()}' + n * interval '1 second' from generate_series(0, {rows - 1}) n"
            )

    @property
    def postgres(self) -> Postgres:
        """The server, for jobs that have one."""
        assert self.server is not None
        return self.server


def write_rows(path: Path, first: int, after: int) -> None:
    """Append rows to a CSV file; a new one gets its header."""
    new = not path.exists()
    with path.open("a", encoding="utf-8") as out:
        if new:
            out.write("id,name,value\n")
        out.writelines("{},{},{}\n".format(*row(number)) for number in range(first, after))


@dataclass
class Job:
    """One variant on one kind of command line, in a project of its own."""

    name: str
    variant: Variant
    line: str
    bench: Bench
    workspace: Workspace
    rows: int
    """How many rows each stream has now."""
    place: Path
    """Where its target writes files."""
    state: Path
    """The state store."""
    rows_file: Path
    database: str = "destinations"
    """Where target-postgres writes, each job into a schema of its own."""
    seen: Path | None = None
    """`place` as others than the job see it."""
    flags: str = ""
    retries: int = 0
    """How often `dativo run` may try again, by itself or under a living plugin."""
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By plugin, for the line that is broken."""

    @property
    def output(self) -> Path:
        """The DuckDB file, or the folder of JSON lines."""
        return self.place / self._file

    @property
    def _file(self) -> str:
        return "out.duckdb" if self.variant.target == "target-duckdb" else "out"

    @property
    def schema(self) -> str:
        """The schema of target-postgres."""
        return self.name.replace("-", "_")

    def _reach(self) -> dict[str, Any]:
        server = self.bench.postgres
        return {"host": server.host, "port": server.port, "user": server.user, "password": server.password}

    def configure(self) -> None:
        """Write the project file."""
        variant = self.variant
        tap: dict[str, Any] = {"config": {"files": str(self.rows_file), "state_every": 100}}
        if variant.keyed:
            tap["config"]["key_properties"] = {"rows": ["id"]}
        if variant.tap == "tap-postgres":
            change = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
            tap = {
                "config": {**self._reach(), "database": self.bench.postgres.database, "filter_schemas": ["chaos"]},
                "select": [f"{stream}.*" for stream in variant.streams],
                "metadata": dict.fromkeys(variant.streams, change),
            }
        target: dict[str, Any] = {"config": {"path": str(self.output)}}
        if variant.target == "target-duckdb":
            target["config"]["batch_rows"] = 200
        elif variant.target == "foreign-jsonl":
            ((self.seen or self.place) / self._file).mkdir(exist_ok=True)
            target = {
                "config": {"destination_path": str(self.output)},
                "sandbox": {"write": ["{config:destination_path}"]},
            }
        elif variant.target == "target-postgres":
            into = {"database": self.database, "default_target_schema": self.schema, "batch_size_rows": 200}
            target["config"] = {**self._reach(), **into}
        for name, section in ((variant.tap, tap), (variant.target, target)):
            section["limits"] = self.limits.get(name, {})
        self.workspace.configure({variant.tap: tap, variant.target: target})
        with_state = json.loads((self.workspace.folder / "dativo.yml").read_text("utf-8"))
        with_state["state"] = {"path": str(self.state)}
        (self.workspace.folder / "dativo.yml").write_text(json.dumps(with_state, indent=1), "utf-8")

    @property
    def command(self) -> str:
        """The line that is typed, broken, and typed again."""
        tap, target = self.variant.tap, self.variant.target
        if self.line == "pipe":
            return f"dativo {tap} {self.flags} | dativo {target} {self.flags}"
        return f"dativo run {tap} {target} --retries {self.retries} {self.flags}"

    # -- what a bookmark covers, and what has arrived

    def covered(self, bookmark: Any) -> dict[str, int]:
        """By stream, the number below which every row is covered by the bookmark."""
        found = dict.fromkeys(self.variant.streams, 0)
        for stream, part in ((bookmark or {}).get("bookmarks") or {}).items():
            if self.variant.tap == "tap-csv":
                found[stream] = sum(file["rows"] for file in part["files"].values())
            elif part.get("replication_key_value"):
                since = datetime.fromisoformat(part["replication_key_value"]) - BEGAN
                found[stream] = since // timedelta(seconds=1) + 1
        return found

    def arrived(self) -> dict[str, Counter[Row]]:
        """By stream, the rows that are in the target; half a line that a killed writer left is none."""
        return {stream: Counter(self._arrived(stream)) for stream in self.variant.streams}

    def _arrived(self, stream: str) -> list[Row]:
        if self.variant.target == "target-postgres":
            server, table = self.bench.postgres, stream.removeprefix("chaos-")
            if not server.sql(f"select to_regclass('{self.schema}.{table}')", database=self.database).strip():
                return []
            listing = server.sql(f"select id, name, value from {self.schema}.{table}", database=self.database)
            cells = [line.split("|") for line in listing.splitlines()]
            return [(int(number), name, int(value)) for number, name, value in cells]
        output = (self.seen or self.place) / self._file
        if self.variant.target == "target-duckdb":
            if not output.exists():
                return []
            if self.seen is not None:  # DuckDB would look for the path in the namespace that is not the disk's
                output = self._brought(output)
            try:
                connection = duckdb.connect(str(output), read_only=True)
            except duckdb.IOException:  # a file that could not be made whole holds no row; the next run must cope
                return []
            with connection:
                names = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
                if stream not in names:
                    return []
                return connection.execute(f'select id::int, name, value::int from "{stream}"').fetchall()
        return [one for file in sorted(output.glob(f"{stream}*.jsonl")) for one in of_lines(file)]

    def _brought(self, database: Path) -> Path:
        """A copy of the database and its log."""
        folder = self.workspace.folder / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in database.parent.glob(f"{database.name}*"):
            shutil.copy(file, folder)
        return folder / database.name

    def must_be_whole(self, arrived: dict[str, Counter[Row]]) -> None:
        """Every row of the source is there, and nothing that is no row of the source."""
        for stream in self.variant.streams:
            wanted = {row(number) for number in range(self.rows)}
            found = set(arrived[stream])
            lost, strange = wanted - found, found - wanted
            assert not lost, f"{stream}: {len(lost)} rows are lost, the first {min(lost)}"
            assert not strange, f"{stream}: {len(strange)} rows that the source does not have, {min(strange)}"


def of_lines(file: Path) -> list[Row]:
    """The rows of a file of JSON lines."""
    found = []
    for line in file.read_text("utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found.append((record["id"], record["name"], record["value"]))
    return found
