"""The jobs that are broken: a source, a target, a kind of command line; and what of the source has arrived.

Sources are a file of rows and four PostgreSQL tables. Every row has a number, and a bookmark covers the rows below a
number, so that "the bookmark is ahead of the target" and "a row came twice" are questions about numbers.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tests.chaos import landing
from tests.servers.postgres import Postgres
from tests.workspace import Workspace

BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
"""When row 0 of a table was changed; every later row a second later."""
LINES = ("run", "pipe")
TABLES = tuple(f"t{number}" for number in range(4))

PADDING = "." * 400
"""Rows are so long that few of them fill all the pipes: the tap waits for the target."""
GROUP = 100
"""Rows of a row group."""

Row = tuple[int, str, int]
COLUMNS = ("id", "name", "value")


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
    keyed: bool = True

    @property
    def server(self) -> bool:
        """Whether it needs PostgreSQL."""
        return self.tap.endswith("tap-postgres") or not self.on_disk

    @property
    def foreign(self) -> bool:
        """Whether one of its plugins is somebody else's."""
        return "foreign-" in self.tap + self.target

    @property
    def once(self) -> bool:
        """Whether no row may ever be there twice."""
        return self.target != "foreign-jsonl" and not self.inclusive

    @property
    def inclusive(self) -> bool:
        """A tap of tables reads the row of its bookmark again: an appending target has that one more than once."""
        return self.tap.endswith("tap-postgres") and self.target in ("target-jsonl", "target-parquet")

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of its streams."""
        return tuple(f"{self.schema}-{table}" for table in TABLES) if self.schema else ("rows",)

    @property
    def schema(self) -> str:
        """Where its tables are: our tap is so fast that it needs more rows for anything to happen meanwhile."""
        return {"foreign-tap-postgres": "chaos", "tap-postgres": "many"}.get(self.tap, "")

    @property
    def on_disk(self) -> bool:
        """Whether its target writes files, so that a disk can be full."""
        return not self.target.endswith("target-postgres")


VARIANTS = (
    Variant("csv-duckdb-keyed", "tap-csv", "target-duckdb", 6_000),
    Variant("csv-duckdb-keyless", "tap-csv", "target-duckdb", 6_000, keyed=False),
    Variant("csv-jsonl", "tap-csv", "target-jsonl", 12_000),
    Variant("csv-csv", "tap-csv", "target-csv", 12_000),
    Variant("csv-parquet", "tap-csv", "target-parquet", 80_000),
    Variant("csv-postgres", "tap-csv", "target-postgres", 40_000),
    Variant("csv-postgres-keyless", "tap-csv", "target-postgres", 160_000, keyed=False),
    Variant("csv-foreign-jsonl", "tap-csv", "foreign-jsonl", 4_000),
    Variant("csv-foreign-postgres", "tap-csv", "foreign-target-postgres", 2_000),
    Variant("jsonl-jsonl", "tap-jsonl", "target-jsonl", 12_000),
    Variant("parquet-duckdb", "tap-parquet", "target-duckdb", 6_000, keyed=False),
    Variant("postgres-duckdb", "foreign-tap-postgres", "target-duckdb", 500),
    Variant("postgres-jsonl", "foreign-tap-postgres", "target-jsonl", 500),
    Variant("postgres-foreign-postgres", "foreign-tap-postgres", "foreign-target-postgres", 500),
    Variant("ours-postgres-postgres", "tap-postgres", "target-postgres", 20_000),
    Variant("ours-postgres-parquet", "tap-postgres", "target-parquet", 20_000),
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

    def rows_file(self, variant: Variant) -> Path:
        """A file with the variant's rows, of the kind that its tap reads."""
        ending, rows = variant.tap.removeprefix("tap-"), variant.rows
        write = {"jsonl": write_lines, "parquet": write_groups}.get(ending, write_rows)
        path = self.folder / f"{rows}" / f"rows.{ending}"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write(path, 0, rows)
        return path

    def load_tables(self, server: Postgres, schema: str, rows: int) -> None:
        """A schema of four tables, each with the rows 0 to `rows`."""
        self.server = server
        for table in TABLES:
            server.sql(
                f"create schema if not exists {schema};"
                f"create table {schema}.{table} (id int primary key, name text, value int, updated_at timestamptz);"
                f"insert into {schema}.{table} select n, 'the name of ' || n || ' {PADDING}', n * 7,"
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


def write_lines(path: Path, first: int, after: int) -> None:
    """A file of JSON lines."""
    records = (dict(zip(COLUMNS, row(number), strict=True)) for number in range(first, after))
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")


def write_groups(path: Path, first: int, after: int) -> None:
    """A Parquet file of many row groups: a bookmark is at the end of one."""
    columns = zip(*map(row, range(first, after)), strict=True)
    parquet.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path, row_group_size=GROUP)


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
        """The DuckDB file, or the folder of other files."""
        return self.place / self._file

    @property
    def seen_output(self) -> Path:
        """The same as others than the job see it."""
        return (self.seen or self.place) / self._file

    @property
    def _file(self) -> str:
        return "out.duckdb" if self.variant.target == "target-duckdb" else "out"

    @property
    def schema(self) -> str:
        """The schema of target-postgres."""
        return self.name.replace("-", "_")

    def configure(self) -> None:
        """Write the project file."""
        sections = {self.variant.tap: self._tap(), self.variant.target: self._target()}
        for name, section in sections.items():
            section["limits"] = self.limits.get(name, {})
        self.workspace.configure(sections)
        with_state = json.loads((self.workspace.folder / "dativo.yml").read_text("utf-8"))
        with_state["state"] = {"path": str(self.state)}
        (self.workspace.folder / "dativo.yml").write_text(json.dumps(with_state, indent=1), "utf-8")

    def _reach(self) -> dict[str, Any]:
        server = self.bench.postgres
        return {"host": server.host, "port": server.port, "user": server.user, "password": server.password}

    def _tap(self) -> dict[str, Any]:
        """Settings with which bookmarks come often."""
        variant, name = self.variant, self.variant.tap
        if not name.endswith("tap-postgres"):
            often = {} if name == "tap-parquet" else {"state_every": 100}
            keys = {"key_properties": {"rows": ["id"]}} if variant.keyed else {}
            return {"config": {"files": str(self.rows_file), **often, **keys}}
        source = self.bench.postgres.database
        own = {"dbname": source, "batch_rows": 500} if name == "tap-postgres" else {"database": source}
        change = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
        return {
            "config": {**self._reach(), **own, "filter_schemas": [variant.schema]},
            "select": [f"{stream}.*" for stream in variant.streams],
            "metadata": dict.fromkeys(variant.streams, change),
        }

    def _target(self) -> dict[str, Any]:
        """Settings with which it commits often, where it can be told."""
        match self.variant.target:
            case "target-duckdb":
                return {"config": {"path": str(self.output), "batch_rows": 200}}
            case "target-parquet":
                return {"config": {"path": str(self.output), "commit_bytes": 10_000}}
            case "target-postgres":
                into = {"dbname": self.database, "default_target_schema": self.schema}
                return {"config": {**self._reach(), **into}}
            case "foreign-target-postgres":
                into = {"database": self.database, "default_target_schema": self.schema}
                return {"config": {**self._reach(), **into, "batch_size_rows": 200}}
            case "foreign-jsonl":
                self.seen_output.mkdir(exist_ok=True)
                granted = {"write": ["{config:destination_path}"]}
                return {"config": {"destination_path": str(self.output)}, "sandbox": granted}
            case _:
                return {"config": {"path": str(self.output)}}

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
            if "files" in part:
                found[stream] = sum(rows_of(file) for file in part["files"].values())
            elif part.get("replication_key_value"):
                since = datetime.fromisoformat(part["replication_key_value"]) - BEGAN
                found[stream] = since // timedelta(seconds=1) + 1
        return found

    def arrived(self) -> dict[str, Counter[Row]]:
        """By stream, the rows that are in the target; half a line that a killed writer left is none."""
        return {stream: Counter(self._arrived(stream)) for stream in self.variant.streams}

    def _arrived(self, stream: str) -> list[Row]:
        output = self.seen_output
        match self.variant.target:
            case "target-duckdb":
                # DuckDB would look for the path in the namespace that is not the disk's.
                aside = None if self.seen is None else self.workspace.folder / "copy"
                return landing.of_duckdb(output, stream, aside)
            case "target-parquet":
                return landing.of_parquet(output / stream)
            case "target-postgres" | "foreign-target-postgres" as name:
                table = stream if name == "target-postgres" else stream.removeprefix(f"{self.variant.schema}-")
                return landing.of_postgres(self.bench.postgres, self.database, f'{self.schema}."{table}"')
            case "target-csv":
                return [one for file in sorted(output.glob(f"{stream}*.csv")) for one in landing.of_csv(file)]
            case _:
                return [one for file in sorted(output.glob(f"{stream}*.jsonl")) for one in landing.of_lines(file)]

    def must_be_whole(self, arrived: dict[str, Counter[Row]]) -> None:
        """Every row of the source is there, and nothing that is no row of the source."""
        for stream in self.variant.streams:
            wanted = {row(number) for number in range(self.rows)}
            found = set(arrived[stream])
            lost, strange = wanted - found, found - wanted
            assert not lost, f"{stream}: {len(lost)} rows are lost, the first {min(lost)}"
            assert not strange, f"{stream}: {len(strange)} rows that the source does not have, {min(strange)}"


def rows_of(file: dict[str, Any]) -> int:
    """The rows of a file that its part of a bookmark covers."""
    return int(file["rows"]) if "rows" in file else int(file["groups"]) * GROUP
