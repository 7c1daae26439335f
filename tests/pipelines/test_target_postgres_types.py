"""target-postgres and values: the extremes of every type, as RECORDs and as Arrow files, and what is refused."""

from __future__ import annotations

import base64
import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc

from tests.pipelines.postgres_target import INTEGER, NUMBER, TEXT, TIME, Target, record, schema, state
from tests.pipelines.test_target_postgres import server, target, workspace

__all__ = ["server", "target", "workspace"]
pytestmark = [pytest.mark.servers, pytest.mark.timeout(1_200)]

UUID = "0190163d-8694-739b-aea5-966c26f8ad91"
DIGITS = "12345678901234567.89012345678901234567"
LONG = "x" * 1_000_000
BINARY = bytes(range(256))
DECIMAL = {"type": "string", "format": "x-singer.decimal", "precision": 38, "scale": 20}
NULLABLE = {"type": ["string", "null"]}

# property -> (its SCHEMA, what is sent, the column's type, what PostgreSQL then says)
VALUES: dict[str, tuple[dict[str, Any], list[Any], str, list[str]]] = {
    "int": (INTEGER, [-(2**63), 2**63 - 1, 0], "bigint", [str(-(2**63)), str(2**63 - 1), "0"]),
    "huge": (
        {"type": "integer", "minimum": -(10**38) + 1, "maximum": 10**38 - 1},
        [10**38 - 1, -(10**38) + 1, 0],
        "numeric(38,0)",
        ["9" * 38, "-" + "9" * 38, "0"],
    ),
    "float": (
        NUMBER,
        [5e-324, 1.7976931348623157e308, -0.1],
        "double precision",
        ["5e-324", "1.7976931348623157e+308", "-0.1"],
    ),
    "decimal": (DECIMAL, [DIGITS, "-" + DIGITS, "0"], "numeric(38,20)", [DIGITS, "-" + DIGITS, "0." + "0" * 20]),
    "long": (
        {**DECIMAL, "precision": 76, "scale": 38},
        ["1" * 38 + "." + "2" * 38, "-0." + "0" * 37 + "1", "3"],
        "numeric(76,38)",
        ["1" * 38 + "." + "2" * 38, "-0." + "0" * 37 + "1", "3." + "0" * 38],
    ),
    "bool": ({"type": "boolean"}, [True, False, True], "boolean", ["true", "false", "true"]),
    "text": (TEXT, ["", "naïve 🍎\n\t\\N\\.", LONG], "text", ["", "naïve 🍎\n\t\\N\\.", LONG]),
    "time": (
        TIME,
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-03-29T02:30:00.123456+05:30"],
        "timestamp with time zone",
        ["0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "2026-03-28 21:00:00.123456+00"],
    ),
    "date": (
        {"type": "string", "format": "date"},
        ["0001-01-01", "9999-12-31", "1970-01-01"],
        "date",
        ["0001-01-01", "9999-12-31", "1970-01-01"],
    ),
    "clock": (
        {"type": "string", "format": "time"},
        ["00:00:00", "23:59:59.999999", "12:00:00.5"],
        "time without time zone",
        ["00:00:00", "23:59:59.999999", "12:00:00.5"],
    ),
    "uuid": ({"type": "string", "format": "uuid"}, [UUID] * 3, "uuid", [UUID] * 3),
    "bytes": (
        {"type": "string", "contentEncoding": "base64"},
        [base64.b64encode(BINARY).decode(), "", "AA=="],
        "bytea",
        ["\\x" + BINARY.hex(), "\\x", "\\x00"],
    ),
    "enum": ({"enum": ["red", "green"]}, ["red", "green", "red"], "text", ["red", "green", "red"]),
    "object": (
        {"type": "object"},
        [{"b": 1, "a": "🍎"}, {}, {"n": [1, None, {}]}],
        "jsonb",
        ['{"a": "🍎", "b": 1}', "{}", '{"n": [1, null, {}]}'],
    ),
    "array": ({"type": "array"}, [[1, 2.50], [], [[]]], "jsonb", ["[1, 2.5]", "[]", "[[]]"]),
    "several": ({"type": ["string", "integer"]}, ['a"b', 7, "7"], "text", ['a"b', "7", "7"]),
    "nothing": (NULLABLE, [None, None, None], "text", []),
}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    """A decimal's SCHEMA."""
    return {**DECIMAL, "precision": precision, "scale": scale}


def stored(target: Target, table: str, columns: list[str]) -> list[dict[str, Any]]:
    """Each value as PostgreSQL writes it."""
    written = ", ".join(f'"{name}"::text' for name in columns)
    return target.rows(f'select {written} from "{table}" order by "row"')


def test_the_extremes_of_every_type_by_records(target: Target) -> None:
    declared = {"row": INTEGER, **{name: value[0] for name, value in VALUES.items()}}
    records = [record("t", row=row, **{name: value[1][row] for name, value in VALUES.items()}) for row in range(3)]
    for keys in ((), ("row",), ("row",)):  # straight, straight with a key, staged
        table = f"t{len(keys)}"
        target.load(schema("t", declared, *keys), *records, table_name=f"{{stream}}{len(keys)}")
        types = target.types(table)
        for name, (_, _, kind, _) in VALUES.items():
            assert types[name] == kind, name
        for row, found in enumerate(stored(target, table, list(VALUES))):
            for name, (_, _, _, wanted) in VALUES.items():
                assert found[name] == (wanted[row] if wanted else None), name


def arrow_file(folder: Path, table: pa.Table) -> str:
    """A BATCH of one file of the Arrow IPC file format."""
    file = folder / "1.arrow"
    with ipc.new_file(str(file), table.schema) as writer:
        writer.write_table(table)
    message = {"type": "BATCH", "stream": "t", "encoding": {"format": "arrow"}, "manifest": [file.as_uri()]}
    return json.dumps(message)


def test_the_extremes_of_every_type_by_arrow(target: Target, tmp_path: Path) -> None:
    extremes = [-210866803200 * 10**6, 253402300799 * 10**6 + 999999, 0]
    arrays = {
        "row": pa.array([0, 1, 2]),
        "int": pa.array([-(2**63), 2**63 - 1, None]),
        "small": pa.array([-(2**31), 2**31 - 1, None], pa.int32()),
        "unsigned": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "float": pa.array([float("inf"), float("-inf"), float("nan")]),
        "decimal": pa.array([Decimal(DIGITS), Decimal("-" + DIGITS), None], pa.decimal128(38, 20)),
        "time": pa.array(extremes, pa.timestamp("us", "UTC")),
        "date": pa.array([-2_451_545 + 10_957, 2_932_896, 0], pa.int32()).cast(pa.date32()),
        "clock": pa.array([datetime.time(23, 59, 59, 999_999), datetime.time(), None], pa.time64("us")),
        "bytes": pa.array([BINARY, b"", None]),
        "list": pa.array([[1, None], [], None], pa.list_(pa.int64())),
        "struct": pa.array([{"a": "🍎"}, {"a": None}, None]),
    }
    properties = {
        **dict.fromkeys(("row", "int", "small"), INTEGER),
        "unsigned": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
        **{"float": NUMBER, "decimal": DECIMAL, "time": TIME, "date": {"type": "string", "format": "date"}},
        **{"clock": {"type": "string", "format": "time"}, "bytes": {"type": "string", "contentEncoding": "base64"}},
        **{"list": {"type": "array"}, "struct": {"type": "object"}},
    }
    batch = arrow_file(tmp_path, pa.table(arrays))
    done = target.load(schema("t", properties, "row"), batch, state(1))
    assert done.states == [json.loads(batch), 1]
    assert stored(target, "t", list(arrays)[1:]) == [
        {
            **{"int": str(-(2**63)), "small": str(-(2**31)), "unsigned": str(2**64 - 1), "float": "Infinity"},
            **{"decimal": DIGITS, "time": "4714-11-24 00:00:00+00 BC", "date": "4714-11-24 BC"},
            **{"clock": "23:59:59.999999", "bytes": "\\x" + BINARY.hex(), "list": "[1, null]", "struct": '{"a": "🍎"}'},
        },
        {
            **{"int": str(2**63 - 1), "small": str(2**31 - 1), "unsigned": "0", "float": "-Infinity"},
            **{"decimal": "-" + DIGITS, "time": "9999-12-31 23:59:59.999999+00", "date": "9999-12-31"},
            **{"clock": "00:00:00", "bytes": "\\x", "list": "[]", "struct": '{"a": null}'},
        },
        {
            **dict.fromkeys(("int", "small", "unsigned", "decimal", "clock", "bytes", "list", "struct")),
            **{"float": "NaN", "time": "1970-01-01 00:00:00+00", "date": "1970-01-01"},
        },
    ]


def test_what_postgresql_cannot_hold_is_refused_with_its_reason(target: Target, tmp_path: Path) -> None:
    declared = schema("t", {"id": INTEGER, "text": TEXT, "object": {"type": "object"}, "any": {}}, "id")
    for values, column, why in [
        ({"text": "a\0b"}, "text", "NUL (0x00)"),
        ({"object": {"a": "\0"}}, "object", "Unicode escape"),
        ({"any": "\0"}, "any", "Unicode escape"),
        ({"object": {"a": "\ud800"}}, "object", "json"),
    ]:
        refused = target.refuse(declared, record("t", id=1), record("t", id=77, **values), state(1), code=4)
        assert "error[data.rejected]" in refused, refused
        assert all(part in refused for part in ('stream "t"', f'column "{column}"', "id = 77", why)), refused
    late = pa.table({"id": pa.array([5]), "at": pa.array([-(2**63)], pa.timestamp("us", "UTC"))})
    at = schema("t", {"id": INTEGER, "at": TIME}, "id")
    refused = target.run([at, arrow_file(tmp_path, late)])
    assert refused.code == 4, refused.errors
    assert "range" in refused.errors
    assert target.sql("select count(*) from pg_tables where tablename = 't'") == "0"
    assert target.bookmark() is None


def test_a_table_of_the_users_own(target: Target) -> None:
    target.sql(
        "create type mood as enum ('sad', 'happy');"
        "create table t (id int primary key, s smallint, v varchar(5), c char(2), r real, p numeric(6,2), m mood,"
        " j json, n timestamp, z timestamptz(0), a inet, own text default 'kept')"
    )
    kinds = {
        "id": INTEGER,
        "s": INTEGER,
        "v": TEXT,
        "c": TEXT,
        "r": NUMBER,
        "p": decimal(6, 2),
    }
    declared = {**kinds, "m": TEXT, "j": {"type": "object"}, "n": TIME, "z": TIME, "a": TEXT}
    at = "2026-11-01T02:03:04.5Z"
    values = {"s": 7, "v": "éééé", "c": "DE", "r": 0.5, "p": "12.34", "m": "happy", "j": {"b": 1}, "n": at, "a": "::1"}
    target.load(schema("t", declared, "id"), record("t", id=1, **values), record("t", id=1, **values))
    before = target.types("t")
    assert before["s"] == "smallint"
    assert before["v"] == "character varying(5)"
    assert target.sql("select * from t") == '1|7|éééé|DE|0.5|12.34|happy|{"b": 1}|2026-11-01 02:03:04.5||::1|kept'
    wide = {"s": 70_000, "v": "longer than five", "r": 0.1, "p": "123456.789", "z": at}
    target.load(schema("t", {**declared, "p": decimal(9, 3)}, "id"), record("t", id=2, **wide))
    after = target.types("t")
    changed = {name: kind for name, kind in after.items() if kind != before[name]}
    assert changed == {
        **{"s": "bigint", "v": "text", "r": "double precision", "p": "numeric", "z": "timestamp with time zone"},
    }
    assert target.sql("select s, v, r, p, z from t order by id").splitlines() == [
        "7|éééé|0.5|12.34|",
        "70000|longer than five|0.1|123456.789|2026-11-01 02:03:04.5+00",
    ]
    refused = target.refuse(schema("t", declared, "id"), record("t", id=3, m="angry"), code=4)
    assert "angry" in refused or "mood" in refused
