"""The same rows as RECORDs, as Arrow's own types and as `arrow.json`: the same table."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dativo_protocol.vectors import Case, cases

CASES = list(cases("types"))
FITTING: dict[str, tuple[str, ...]] = {
    "bool": ("true", "null", "false"),
    "int64": ("1", "-9223372036854775808", "9223372036854775807", "null"),
    "float64": ("1.5", "-0.1", "3.0", "1e+22", "null", "5e-324"),
    "timestamp[us, UTC]": ('"2026-11-23T06:10:00.123456Z"', "null", '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"'),
    "date32": ('"2026-11-23"', "null", '"0001-01-01"', '"9999-12-31"'),
    "time64[us]": ('"06:10:00"', "null", '"23:59:59.999999"'),
    "binary": ('"YWJj"', "null", '""', '"/+8="'),
    "string": ('"naïve 🚢"', "null", '""', r'"a\"b\\c\n\u0000"', '"2026-11-23"', '"1"'),
}
ANY = ('{"b":[1,2.50,{"c":null}],"a":"x"}', '"text"', "null", "12", "true", "[]", "123456789012345678901234567890")
# what widens nearly every column, one run each, so that both ways hold it as a chunk of its own
ODD = (
    '"x"',
    "1.5",
    "7",
    "true",
    '{"a":[1]}',
    "1180591620717411303424",
    '"2026-11-23T06:10:00Z"',
    "0.12345678901234567890",
)


def texts(case: Case, name: str) -> tuple[str, ...]:
    """Values of a case's column as JSON texts."""
    if case.spec["duckdb"] == "JSON" or case.spec.get("extension"):
        return ANY if "decimal" not in name else ("1" * 90, "null", "0.5")
    digits = re.fullmatch(r"decimal\d+\((\d+), (\d+)\)", case.spec["arrow"])
    if digits is None:
        return FITTING[case.spec["arrow"]]
    scale = int(digits[2])
    numbers = ["9" * int(digits[1]), "-" + "9" * int(digits[1]), "1", "0"]
    spelled = [f"{number[:-scale] or '0'}.{number[-scale:]}" if scale else number for number in padded(numbers, scale)]
    quote = '"' if "string" in json.dumps(case.spec["schema"]) else ""
    return (*(quote + number + quote for number in spelled), "null")


def padded(numbers: list[str], scale: int) -> list[str]:
    """With at least one digit before the point."""
    return [("-" if n.startswith("-") else "") + n.lstrip("-").rjust(scale + 1, "0") for n in numbers]


def arrow_type(name: str) -> pa.DataType:
    digits = re.fullmatch(r"decimal(\d+)\((\d+), (\d+)\)", name)
    if digits:
        return (pa.decimal128 if digits[1] == "128" else pa.decimal256)(int(digits[2]), int(digits[3]))
    named = {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "timestamp[us, UTC]": pa.timestamp("us", "UTC"),
        "date32": pa.date32(),
        "time64[us]": pa.time64("us"),
        "binary": pa.binary(),
        "string": pa.string(),
    }
    return named[name]


def value(text: str, kind: pa.DataType) -> object:
    """A JSON text as what Arrow's type takes."""
    plain = json.loads(text, parse_float=Decimal)
    if plain is None or pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_int64(kind):
        return plain
    if pa.types.is_float64(kind):
        return float(plain)
    if pa.types.is_binary(kind):
        return base64.b64decode(plain)
    if pa.types.is_decimal(kind):
        return Decimal(plain)
    read = {pa.timestamp("us", "UTC"): dt.datetime, pa.date32(): dt.date, pa.time64("us"): dt.time}[kind]
    return read.fromisoformat(plain)


def native(case: Case, values: tuple[str, ...], spool) -> pa.Table:
    if case.spec["duckdb"] == "JSON" or case.spec.get("extension"):
        return spool.json_table(p=[None if text == "null" else text for text in values])
    kind = arrow_type(case.spec["arrow"])
    return pa.table({"p": pa.array([value(text, kind) for text in values], kind)})


def as_json(_: Case, values: tuple[str, ...], spool) -> pa.Table:
    return spool.json_table(p=[None if text == "null" else text for text in values])


def schema(case: Case) -> str:
    full = {**case.spec.get("root", {}), "properties": {"p": case.spec["schema"]}}
    return json.dumps({"type": "SCHEMA", "stream": case.name, "schema": full, "key_properties": []}) + "\n"


def everything(target) -> dict[str, tuple[str, list[tuple]]]:
    """The type of each case's column, and its values."""
    with duckdb.connect(str(target.path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {
            case.name: (
                str(connection.execute(f'DESCRIBE "{case.name}"').fetchall()[0][:2]),
                connection.execute(f'SELECT p::VARCHAR FROM "{case.name}" ORDER BY rowid').fetchall(),
            )
            for case in CASES
        }


def other(target, folder: Path):
    """A second target beside the first."""
    folder.mkdir()
    return type(target)(folder)


@pytest.mark.parametrize("made", [native, as_json], ids=["native", "json"])
def test_type_vectors(target, singer, spool, tmp_path, made) -> None:
    twin = other(target, tmp_path / "records")
    records = batches = ""
    for case in CASES:
        fitting = texts(case, case.name)
        records += schema(case)
        batches += schema(case) + spool.batch(made(case, fitting, spool), stream=case.name)
        records += "".join(singer.record(f'{{"p":{text}}}', stream=case.name) for text in fitting)
    for loaded, data in ((target, batches), (twin, records)):
        result = loaded.load(data)
        assert (result.code, result.err.count("warning")) == (0, 0), result.err
    found, expected = everything(target), everything(twin)
    for case in CASES:
        assert found[case.name] == expected[case.name], case.name
    for odd in ODD:  # and on from there, with what the columns were not made for
        records = "".join(schema(case) + singer.record(f'{{"p":{odd}}}', stream=case.name) for case in CASES)
        files = {case.name: spool.batch(spool.json_table(p=[odd]), stream=case.name) for case in CASES}
        batches = "".join(schema(case) + files[case.name] for case in CASES)
        assert (target.load(batches).code, twin.load(records).code) == (0, 0)
        found, expected = everything(target), everything(twin)
        for case in CASES:
            assert found[case.name] == expected[case.name], (case.name, odd)


WIDENING = {
    "integers": ([pa.array([1]), pa.array([2.0]), pa.array([2.5])], "DOUBLE", ["1.0", "2.0", "2.5"]),
    "exact": ([pa.array([2**53 + 1]), pa.array([2.5])], "VARCHAR", ["9007199254740993", "2.5"]),
    "huge": ([pa.array([1]), pa.array([Decimal(2**70)]), pa.array([3])], "HUGEINT", ["1", str(2**70), "3"]),
    "places": (
        [pa.array([Decimal("1.5")]), pa.array([Decimal("1.125")]), pa.array([Decimal("7")])],
        "DECIMAL(38,3)",
        ["1.500", "1.125", "7.000"],
    ),
    "days": (
        [
            pa.array([dt.date(2026, 11, 23)]),
            pa.array([dt.datetime(2026, 11, 23, 6)]),
            pa.array([dt.date(2026, 11, 24)]),
        ],
        "VARCHAR",
        ["2026-11-23", "2026-11-23T06:00:00Z", "2026-11-24"],
    ),
    "bytes": ([pa.array([b"a"]), pa.array(["x"]), pa.array([b"b"])], "VARCHAR", ["YQ==", "x", "Yg=="]),
    "truth": ([pa.array([True]), pa.array([1]), pa.array([None, False])], "VARCHAR", ["true", "1", None, "false"]),
    "nested": ([pa.array([[1]]), pa.array(["x"])], "JSON", ["[1]", '"x"']),
}


@pytest.mark.parametrize("states", [True, False], ids=["states", "no states"])
def test_widening_in_the_middle(target, singer, spool, states) -> None:
    """Files of one run whose types differ, written one by one or (between STATEs) together."""
    text = ""
    for name, (arrays, _, _) in WIDENING.items():
        text += singer.schema({}, stream=name)
        for at, array in enumerate(arrays):
            text += spool.batch(pa.table({"p": array}), stream=name)
            text += singer.state({"at": [name, at]}) if states else ""
    result = target.load(text)
    assert result.code == 0, result.err
    for name, (_, kind, values) in WIDENING.items():
        assert target.columns(name) == {"p": kind}, name
        assert target.sql(f"SELECT p::VARCHAR FROM {name} ORDER BY rowid") == [(each,) for each in values], name


def test_spelling_of_json(target, singer, spool, tmp_path) -> None:
    """Spaces, needless escapes and exponents of a tap's JSON come out as from RECORDs."""
    values = [
        '{ "a" : [ 1 , 2.50 ],\t"b": " x : , [ y ] " }',
        r'"\u00e9\/ \ud83d\ude00 \ud800 \"q\" \\"',
        r'{"k\u00fc": "\u0041", "n": -1e3, "m": 1E400}',
        "1.50",
        " [ ] ",
        r'"back\\slash, space"',
        "null",
    ]
    twin = other(target, tmp_path / "records")
    declared = {"j": {}, "m": {"type": ["string", "object", "null"]}}
    records = singer.schema(declared)
    records += "".join(singer.record(f'{{"j":{text},"m":{text}}}') for text in values)
    assert twin.load(records).code == 0
    assert target.load(singer.schema(declared) + spool.batch(spool.json_table(j=values, m=values))).code == 0
    assert target.columns("t") == twin.columns("t") == {"j": "JSON", "m": "VARCHAR"}
    everything = "SELECT j::VARCHAR, m FROM t ORDER BY rowid"
    assert target.sql(everything) == twin.sql(everything)


def test_bytes_are_the_same_bytes(target, singer, spool) -> None:
    """BLOB on both encodings; what is no base64 widens the column to the texts that RECORDs have."""
    target.sql("CREATE TABLE t (b BLOB)")
    text = {"b": {"type": "string", "contentEncoding": "base64"}}
    both = singer.schema(text) + singer.record('{"b":"AAH/"}') + spool.batch(pa.table({"b": [b"\0\1\xff", None]}))
    assert target.load(both).code == 0
    assert target.columns("t") == {"b": "BLOB"}
    assert target.sql("SELECT b FROM t") == [(b"\0\1\xff",), (b"\0\1\xff",), (None,)]
    for odd in ('"no base64"', '"YR=="'):  # the second stands for "a" too, but is not how "a" is written
        assert target.load(singer.schema(text) + singer.record(f'{{"b":{odd}}}')).code == 0
    assert target.load(singer.schema(text) + spool.batch(pa.table({"b": [b"a"]}))).code == 0
    assert target.columns("t") == {"b": "VARCHAR"}
    assert target.sql("SELECT b FROM t") == [("AAH/",), ("AAH/",), (None,), ("no base64",), ("YR==",), ("YQ==",)]


DECIMALS = [
    ({"type": "integer"}, ["7", "-9223372036854775808"], "BIGINT"),
    ({"type": "integer"}, ["18446744073709551616"], "HUGEINT"),
    ({"type": "integer"}, ["1" + "0" * 37], "HUGEINT"),
    ({"type": "number"}, ["1.50", "0.1"], "DOUBLE"),
    ({"type": "number"}, ["0.1000000000000000055"], "DECIMAL(38,19)"),
    ({"type": "number", "precision": 10, "scale": 2}, ["12.50"], "DECIMAL(10,2)"),
    ({"type": "number", "precision": 10, "scale": 2}, ["12.125"], "DECIMAL(38,3)"),
    ({"type": "number", "precision": 38, "scale": 30}, ["123456789012"], "VARCHAR"),
]


def holds(made: pa.DataType, number: str) -> bool:
    _, digits, exponent = Decimal(number).as_tuple()
    return -exponent <= made.scale and len(digits) + exponent <= made.precision - made.scale


FITTING_DECIMALS = [
    (*each, made)
    for each in DECIMALS
    for made in (pa.decimal128(38, 0), pa.decimal128(38, 19), pa.decimal256(76, 30))
    if all(holds(made, number) for number in each[1])
]


@pytest.mark.parametrize(("declared", "numbers", "kind", "made"), FITTING_DECIMALS)
def test_decimals_in_columns_of_other_numbers(target, singer, spool, tmp_path, declared, numbers, kind, made) -> None:
    array = pa.array([Decimal(number) for number in numbers], made)
    twin = other(target, tmp_path / "records")
    assert twin.load(singer.schema({"n": declared}) + "".join(singer.record(f'{{"n":{n}}}') for n in numbers)).code == 0
    assert target.load(singer.schema({"n": declared}) + spool.batch(pa.table({"n": array}))).code == 0
    assert target.columns("t") == twin.columns("t") == {"n": kind}
    exact = [Decimal(str(n)) for (n,) in target.sql("SELECT n::VARCHAR FROM t")]
    assert exact == [Decimal(number) for number in numbers]


def test_foreign_types(target, singer, spool) -> None:
    """What Arrow can hold and a SCHEMA cannot say: narrower numbers become wider, what has parts becomes JSON."""
    day = dt.datetime(2026, 11, 23, 6, 10, tzinfo=dt.UTC)
    columns = {
        "small": pa.array([-1, None], pa.int8()),
        "unsigned": pa.array([2**64 - 1, None], pa.uint64()),
        "single": pa.array([0.5, None], pa.float32()),
        "words": pa.array(["a", None]).dictionary_encode(),
        "large": pa.array(["a", None], pa.large_string()),
        "fixed": pa.array([b"ab", None], pa.binary(2)),
        "naive": pa.array([day.replace(tzinfo=None), None], pa.timestamp("ms")),
        "berlin": pa.array([day, None], pa.timestamp("s", "Europe/Berlin")),
        "nanos": pa.array([1, None], pa.timestamp("ns", "UTC")),
        "clock": pa.array([dt.time(6, 10), None], pa.time32("s")),
        "money": pa.array([Decimal("1.10"), None], pa.decimal128(5, 2)),
        "list": pa.array([[1, None], None]),
        "three": pa.array([[b"a", b"b"], None], pa.list_(pa.binary(), 2)),
        "struct": pa.array([{"at": day, "n": [Decimal("1.10")], "é": True}, None]),
        "map": pa.array([[("k", {"x": 1.5})], None], pa.map_(pa.string(), pa.struct([("x", pa.float64())]))),
        "pairs": pa.array([[(1, "a")], None], pa.map_(pa.int8(), pa.string())),
        "nothing": pa.nulls(2),
    }
    result = target.load(singer.schema({}) + spool.batch(pa.table(columns)) + spool.batch(pa.table(columns).slice(1)))
    assert result.code == 0, result.err
    assert target.columns("t") == {
        "small": "BIGINT", "unsigned": "HUGEINT", "single": "DOUBLE", "words": "VARCHAR", "large": "VARCHAR",
        "fixed": "BLOB", "naive": "TIMESTAMP WITH TIME ZONE", "berlin": "TIMESTAMP WITH TIME ZONE", "nanos": "VARCHAR",
        "clock": "TIME", "money": "DECIMAL(5,2)", "list": "JSON", "three": "JSON", "struct": "JSON", "map": "JSON",
        "pairs": "JSON",
    }  # fmt: skip
    first, *rest = target.sql("SELECT COLUMNS(*)::VARCHAR FROM t")
    assert first == (
        "-1", "18446744073709551615", "0.5", "a", "a", "ab", "2026-11-23 06:10:00+00", "2026-11-23 06:10:00+00",
        "1970-01-01T00:00:00.000000001Z", "06:10:00", "1.10", "[1,null]", '["YQ==","Yg=="]',
        '{"at":"2026-11-23T06:10:00Z","n":["1.10"],"é":true}', '{"k":{"x":1.5}}', '[{"key":1,"value":"a"}]',
    )  # fmt: skip
    assert rest == [(None,) * 16] * 2
