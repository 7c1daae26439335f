"""Every value of a table of all types, as tap-postgres sends it on both encodings, against what the server says."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.pipelines.tap_postgres import Tap, connection, exact, spooled
from tests.servers.postgres import Postgres
from tests.workspace import unique

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

TABLE = '"odd schema.x"."my ""types"".1"'
STREAM = 'odd schema.x-my "types".1'
KEY = 'the "id".x'
BYTES = {"bytes"}
DECIMALS = {"wide": (38, 20), "widest": (76, 10), "whole": (38, 0), "price": (12, 2)}
DIGITS = {"free", "rounded"}
DOCUMENTS = {"doc", "docs"}
LISTS = {
    *("ints", "smalls", "larges", "texts", "numerics", "doubles", "singles", "flags", "uuids", "moods", "tagged"),
    *("documents", "blobs", "days", "pair", "pairs"),
}
AS_TEXT = {"clock_zone", "span", "range", "place", "address", "money", "mark", "markup", "bits"}


def instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


TIMES: dict[str, Callable[[str], Any]] = {
    "day": date.fromisoformat,
    "clock": time.fromisoformat,
    "at": instant,
    "instant": instant,
}


@pytest.fixture(scope="module")
def tap(program: Path, source: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Tap:
    database = source.create_database(unique("types"))
    source.sql('create schema "odd schema.x"', database=database)
    source.sql(Path(__file__).with_name("type_table.sql").read_text("utf-8"), database=database)
    return Tap(program, tmp_path_factory.mktemp("types"), connection(source, database))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def told(server: Postgres, database: str, table: str = TABLE) -> list[dict[str, Any]]:
    """The rows in the server's own words: times, digits and odd types as texts, bytes in hexadecimal."""
    names = server.sql(
        f"select attname from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 order by attnum",
        database=database,
    ).splitlines()
    selected = []
    for name in names:
        place = quoted(name)
        if name in BYTES:
            place = f"encode({place}, 'hex')"
        elif name in AS_TEXT | DIGITS | DECIMALS.keys() | TIMES.keys():
            place = f"{place}::text"
        elif name == "object":  # a number, which row_to_json takes for a text
            place = f"{place}::int8"
        elif name == "doc":  # without the line breaks that it was written with
            place = f"translate({place}::text, E'\n\r', '')::json"
        selected.append(f"{place} as {quoted(name)}")
    server.sql(f'alter database "{database}" set intervalstyle = iso_8601')
    return server.rows(f"select {', '.join(selected)} from {table} order by {quoted(KEY)}", database=database)


def of_server(name: str, value: Any) -> Any:
    return TIMES[name](value) if name in TIMES and value is not None else value


def of_record(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in TIMES:
        return TIMES[name](value)
    return base64.b64decode(value, validate=True).hex() if name in BYTES else value


def of_arrow(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in DOCUMENTS | LISTS:
        return exact(value)
    if name in BYTES:
        return value.hex()
    if isinstance(value, float):
        return Decimal(repr(value))
    return f"{value:f}" if isinstance(value, Decimal) else value


def must_equal(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(rows) == len(expected)
    for row, server in zip(rows, expected, strict=True):
        assert row.keys() == server.keys()
        for name, value in server.items():
            assert row[name] == value, f"{name} of row {server[KEY]}: {row[name]!r:.200} is not {value!r:.200}"


@pytest.fixture(scope="module")
def expected(tap: Tap, source: Postgres) -> list[dict[str, Any]]:
    rows = told(source, tap.config["dbname"])
    assert len(rows) == 5
    return [{name: of_server(name, value) for name, value in row.items()} for row in rows]


def test_records_hold_every_value(tap: Tap, expected: list[dict[str, Any]]) -> None:
    records = tap.run().expect().records[STREAM]
    must_equal([{name: of_record(name, value) for name, value in one.items()} for one in records], expected)


def test_columns_hold_every_value(tap: Tap, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    sent = tap.run(spool=tmp_path / "spool").expect()
    assert "R" not in sent.order
    table = spooled(sent)[STREAM]
    must_equal([{name: of_arrow(name, value) for name, value in row.items()} for row in table.to_pylist()], expected)
    schema = table.schema
    assert {schema.field(name).type for name in ("small", "medium", "large", "object")} == {pa.int64()}
    for name, (precision, scale) in DECIMALS.items():
        wide = pa.decimal128 if precision <= 38 else pa.decimal256
        assert schema.field(name).type == wide(precision, scale)
    assert schema.field("instant").type == schema.field("at").type == pa.timestamp("us", "UTC")
    assert (schema.field("clock").type, schema.field("day").type) == (pa.time64("us"), pa.date32())
    assert schema.field("bytes").type == pa.binary()
    for name in DOCUMENTS | LISTS:
        assert schema.field(name).type.extension_name == "arrow.json", name


def test_the_schema_says_what_they_are(tap: Tap) -> None:
    offered = tap.discover()[STREAM]
    properties = offered["schema"]["properties"]
    assert properties[KEY] == {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    assert properties["large"] == {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1}
    for name, (precision, scale) in DECIMALS.items():
        decimal = {"type": ["string", "null"], "format": "x-singer.decimal", "precision": precision, "scale": scale}
        assert properties[name] == decimal
    assert properties["free"] == properties["rounded"] == {"type": ["string", "null"], "format": "x-singer.decimal"}
    assert properties["bytes"] == {"type": ["string", "null"], "contentEncoding": "base64"}
    assert properties["at"] == properties["instant"] == {"type": ["string", "null"], "format": "date-time"}
    assert properties["id"] == {"type": ["string", "null"], "format": "uuid"}
    assert properties["doc"] == properties["docs"] == {}
    assert (properties["ints"], properties["pair"]) == ({"type": ["array", "null"]}, {"type": ["object", "null"]})
    assert {name for name in AS_TEXT if properties[name] != {"type": ["string", "null"]}} == set()
    metadata = {tuple(one["breadcrumb"]): one["metadata"] for one in offered["metadata"]}
    assert metadata[("properties", "price")]["sql-datatype"] == "cents"
    assert metadata[("properties", KEY)]["inclusion"] == "automatic"
    assert metadata[()]["table-key-properties"] == offered["key_properties"] == [KEY]


@pytest.mark.parametrize(
    ("sql_type", "value", "word"),
    [
        ("float8", "NaN", "NaN"),
        ("float4", "-Infinity", "-Infinity"),
        ("numeric", "Infinity", "Infinity"),
        ("numeric(5, 2)", "NaN", "NaN"),
        ("date", "infinity", "infinity"),
        ("date", "0001-12-31 BC", "year"),
        ("timestamp", "-infinity", "-infinity"),
        ("timestamptz", "10000-01-01 00:00:00+00", "year"),
        ("time", "24:00:00", "24:00:00"),
    ],
)
def test_values_that_json_schema_has_not(
    tap: Tap, source: Postgres, sql_type: str, value: str, word: str, tmp_path: Path
) -> None:
    database = source.create_database(unique("others"))
    source.sql(
        f"create table t (name text, x {sql_type}, id int primary key);"
        f"insert into t values ('a', null, 1), ('b', '{value}', 22)",
        database=database,
    )
    other = Tap(tap.program, tmp_path, {**tap.config, "dbname": database})
    refused = other.run().expect(4)
    assert "error[data.bad_source]" in refused.stderr
    for part in ('"public-t"', "id 22", '"x"', word, "nonfinite"):
        assert part in refused.stderr
    nulled = other.run(nonfinite="null").expect()
    assert [one["x"] for one in nulled.records["public-t"]] == [None, None]
    texts = other.run(nonfinite="text").expect()
    assert [one["x"] for one in texts.records["public-t"]] == [None, value]
    assert texts.schemas["public-t"]["schema"]["properties"]["x"] == {"type": ["string", "null"]}
