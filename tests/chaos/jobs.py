"""The job that is killed: 300,000 rows from a CSV file into DuckDB, with and without a key, or into JSON lines."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tests.workspace import Workspace

ROWS = 300_000
COLUMNS = ("year", "month", "day", "sched_dep_time", "carrier", "flight", "origin", "dest", "distance", "hour")
"""Columns without NULLs and without times: their text is the same everywhere."""


def write_rows(flights: Path, into: Path) -> Path:
    """The first rows of the flights with a number each, so that a row that comes twice is seen."""
    with flights.open(encoding="utf-8", newline="") as source, into.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("id", *COLUMNS))
        for number, row in zip(range(ROWS), csv.DictReader(source), strict=False):
            writer.writerow((number, *(row[column] for column in COLUMNS)))
    return into


@dataclass(frozen=True)
class Variant:
    """Where the rows go, and whether they have a key."""

    name: str
    target: str
    keyed: bool


VARIANTS = (
    Variant("duckdb-keyed", "target-duckdb", keyed=True),
    Variant("duckdb-keyless", "target-duckdb", keyed=False),
    Variant("jsonl", "target-jsonl", keyed=True),
)
LINES = ("run", "pipe")


@dataclass(frozen=True)
class Job:
    """One variant on one kind of command line, in a project of its own."""

    name: str
    variant: Variant
    line: str
    workspace: Workspace
    rows: Path

    @property
    def output(self) -> Path:
        """The DuckDB file, or the folder of JSON lines."""
        return self.workspace.folder / ("out.duckdb" if self.variant.target == "target-duckdb" else "out")

    @property
    def target_config(self) -> dict[str, Any]:
        """The target's settings."""
        return {"path": str(self.output)}

    def configure(self) -> None:
        """Write the project file."""
        tap: dict[str, Any] = {"files": str(self.rows)}
        if self.variant.keyed:
            tap["key_properties"] = {"rows": ["id"]}
        self.workspace.configure({"tap-csv": {"config": tap}, self.variant.target: {"config": self.target_config}})

    @property
    def command(self) -> str:
        """The line that is typed, killed, and typed again."""
        target = self.variant.target
        return f"dativo tap-csv | dativo {target}" if self.line == "pipe" else f"dativo run tap-csv {target}"

    def check_rows(self) -> None:
        """Every row of the source is in the target once, and nothing else is."""
        names = ", ".join(("id", *COLUMNS))
        texts = ", ".join(f"{name}::varchar as {name}" for name in ("id", *COLUMNS))
        with duckdb.connect() as connection:
            if self.variant.target == "target-duckdb":
                connection.execute(f"attach '{self.output}' as arrived (read_only)")
                arrived = f"select {texts} from arrived.rows"
            else:
                arrived = f"select {texts} from read_ndjson('{self.output}/rows*.jsonl')"
            source = f"select {names} from read_csv('{self.rows}', all_varchar = true, header = true)"
            count = f"select count(*), count(distinct id) from ({arrived})"
            assert connection.execute(count).fetchone() == (ROWS, ROWS)
            missing = f"select * from ({source} except all {arrived}) limit 3"
            assert connection.execute(missing).fetchall() == []
