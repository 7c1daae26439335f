"""Every value of a table of all types: PostgreSQL, each of our targets, and back, on both encodings and in `strict`."""

from __future__ import annotations

import base64
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.pipelines import test_tap_postgres_types as types
from tests.pipelines.tap_postgres import connection, exact
from tests.servers.postgres import Postgres
from tests.workspace import ROOT, Workspace, installed, unique

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1_200)]

TARGETS = ("duckdb", "parquet", "postgres", "jsonl", "csv")
NULL = "\\N"
TEXTS = {"TEXT", "short", "padded", "ident", "caseless", "mood 😀", "id"}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Our tap and all of our targets."""
    folders = [ROOT / "taps" / "tap-postgres", *(ROOT / "targets" / f"target-{name}" for name in TARGETS)]
    return installed("types-everywhere", folders, tmp_path_factory.mktemp("types-everywhere"))


@pytest.fixture(scope="module")
def database(source: Postgres) -> str:
    """The table; jsonb keeps neither a NUL nor a key that comes twice, which is refused elsewhere."""
    name = source.create_database(unique("types"))
    source.sql('create schema "odd schema.x"', database=name)
    source.sql(Path(types.__file__).with_name("type_table.sql").read_text("utf-8"), database=name)
    source.sql(f"""update {types.TABLE} set doc = '{{"b": [1.50, 1e400], "a": null}}' where {KEY} = 1""", database=name)
    return name


KEY = types.quoted(types.KEY)


def of_columns(rows: Rows) -> Rows:
    return [{name: types.of_arrow(name, value) for name, value in row.items()} for row in rows]


def from_duckdb(place: Path) -> Rows:
    with duckdb.connect(str(place / "out.duckdb"), read_only=True) as connected:
        ((table,),) = connected.execute(
            "select table_name from duckdb_tables() where table_name like '%types%'"
        ).fetchall()
        found = connected.sql(f"select * from {types.quoted(table)} order by {KEY}").to_arrow_table()
        return of_columns(found.to_pylist())


def from_parquet(place: Path) -> Rows:
    files = sorted((place / "out").glob("*/part-*.parquet"))
    return of_columns([row for file in files for row in pq.ParquetFile(file).read().to_pylist()])


def from_jsonl(place: Path) -> Rows:
    (file,) = (place / "out").glob("*.jsonl")
    rows = [exact(line) for line in file.read_bytes().splitlines()]
    return [{name: types.of_record(name, value) for name, value in row.items()} for row in rows]


def from_csv(place: Path) -> Rows:
    (file,) = (place / "out").glob("*.csv")
    csv.field_size_limit(10_000_000)
    with file.open(encoding="utf-8", newline="") as text:
        return [{name: of_text(name, value) for name, value in row.items()} for row in csv.DictReader(text)]


def of_text(name: str, value: str) -> Any:
    if value == NULL:
        return None
    if name in types.BYTES:
        return base64.b64decode(value, validate=True).hex()
    if name in types.TIMES:
        return types.TIMES[name](value)
    if name in TEXTS | types.AS_TEXT | types.DIGITS | types.DECIMALS.keys():
        return value
    try:
        return exact(value)
    except ValueError:  # a document that is a text
        return value


def without_sdc(rows: Rows) -> Rows:
    return [{name: value for name, value in row.items() if not name.startswith("_sdc_")} for row in rows]


READERS: dict[str, Callable[[Path], Rows]] = {
    "duckdb": from_duckdb,
    "parquet": from_parquet,
    "jsonl": from_jsonl,
    "csv": from_csv,
}


@pytest.mark.parametrize("encoding", ["auto", "records"])
@pytest.mark.parametrize("target", TARGETS)
def test_there_and_back(
    project: Workspace, source: Postgres, database: str, target: str, encoding: str, tmp_path: Path
) -> None:
    made = project.branch(tmp_path / "project")
    back = source.create_database(unique("back")) if target == "postgres" else ""
    settings: dict[str, dict[str, Any]] = {
        "duckdb": {"path": str(tmp_path / "out.duckdb")},
        "csv": {"path": str(tmp_path / "out"), "null": NULL},
        "postgres": connection(source, back),
    }
    made.configure(
        {
            "tap-postgres": {"config": connection(source, database)},
            f"target-{target}": {"config": settings.get(target, {"path": str(tmp_path / "out")})},
        }
    )
    words = ("--sandbox", "strict", "--encoding", encoding, "--json")
    done = made.dativo("run", "tap-postgres", f"target-{target}", *words).expect()
    assert done.json["streams"][types.STREAM]["records"] == 5
    if target == "postgres":
        table = source.sql("select quote_ident(tablename) from pg_tables where tablename like '%types%'", database=back)
        rows = told(source, back, table.strip())
    else:
        rows = READERS[target](tmp_path)
    rows.sort(key=lambda row: row[types.KEY])
    types.must_equal(without_sdc(rows), told(source, database, types.TABLE))


def told(server: Postgres, database: str, table: str) -> Rows:
    rows = types.told(server, database, table)
    return [{name: types.of_server(name, value) for name, value in row.items()} for row in without_sdc(rows)]
