"""Types: what goes in comes out, and a column that cannot hold a value grows instead of losing it."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

UTC = dt.UTC


def test_values_come_back_exactly(target, singer) -> None:
    text = {"type": ["null", "string"]}
    properties = {
        "i": {"type": "integer"},
        "price": {"type": "number", "multipleOf": 0.01},
        "f": {"type": "number"},
        "b": {"type": "boolean"},
        "d": {**text, "format": "date"},
        "at": {**text, "format": "date-time"},
        "t": {**text, "format": "time"},
        "s": text,
        "o": {"type": "object"},
        "l": {"type": "array"},
    }
    row = {
        "i": 9223372036854775807,
        "f": 0.30000000000000004,
        "b": True,
        "d": "2026-11-23",
        "at": "2026-11-23T06:10:00.123456+05:30",
        "t": "23:59:59.999999",
        "s": "naïve 🚢 a\0b \" ' \\ \n",
        "o": {"a": [1, {"b": None}]},
        "l": [1.5, "x"],
    }
    line = json.dumps(row)[:-1] + ', "price": 12345678901234567890.10}'
    assert target.load(singer.schema(properties) + singer.record(line)).code == 0
    assert target.sql("SELECT i, price, f, b, d, t, s FROM t") == [
        (
            9223372036854775807,
            Decimal("12345678901234567890.10"),
            0.30000000000000004,
            True,
            dt.date(2026, 11, 23),
            dt.time(23, 59, 59, 999999),
            row["s"],
        )
    ]
    assert target.sql("SELECT t.\"at\" = TIMESTAMPTZ '2026-11-23 00:40:00.123456+00' FROM t") == [(True,)]
    (nested,) = target.sql("SELECT o, l FROM t")
    assert [json.loads(str(value)) for value in nested] == [row["o"], row["l"]]
    assert target.columns("t")["at"] == "TIMESTAMP WITH TIME ZONE"


def grow(target, singer, declared: dict, *values: str) -> tuple[str, list[str]]:
    """Load the values one run after the other; the column's type at the end and the values as text."""
    for at, value in enumerate(values):
        result = target.load(
            singer.schema({"n": {"type": "integer"}, "c": declared}) + singer.record(f'{{"n":{at},"c":{value}}}')
        )
        assert result.code == 0, result.err
    return target.columns("t")["c"], [str(c) for (c,) in target.sql("SELECT c::VARCHAR FROM t ORDER BY n")]


INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}


def test_integer_to_hugeint(target, singer) -> None:
    assert grow(target, singer, INTEGER, "1", "18446744073709551616") == ("HUGEINT", ["1", "18446744073709551616"])


def test_hugeint_to_text(target, singer) -> None:
    huge = "9" * 45
    assert grow(target, singer, INTEGER, "1", str(2**64), huge) == ("VARCHAR", ["1", str(2**64), huge])


def test_integer_to_double(target, singer) -> None:
    assert grow(target, singer, INTEGER, "1", "2.5") == ("DOUBLE", ["1.0", "2.5"])


def test_integer_to_text_where_a_double_would_round(target, singer) -> None:
    odd = str(2**53 + 1)
    assert grow(target, singer, INTEGER, odd, "2.5") == ("VARCHAR", [odd, "2.5"])


def test_whole_floats_stay_integers(target, singer) -> None:
    assert grow(target, singer, INTEGER, "1.0", "1e3", "7.00") == ("BIGINT", ["1", "1000", "7"])


def test_double_to_decimal(target, singer) -> None:
    kind, values = grow(target, singer, NUMBER, "0.1", "12345678901234.123456789012")
    assert kind == "DECIMAL(38,12)"
    assert [Decimal(value) for value in values] == [Decimal("0.1"), Decimal("12345678901234.123456789012")]


def test_double_to_text_where_a_decimal_would_round(target, singer) -> None:
    kind, values = grow(target, singer, NUMBER, "1e-20", "12345678901234.123456789012")
    assert (kind, values) == ("VARCHAR", ["1e-20", "12345678901234.123456789012"])


def test_decimal_with_more_places(target, singer) -> None:
    cents = {"type": "number", "multipleOf": 0.01, "minimum": -10000, "maximum": 10000}
    kind, values = grow(target, singer, cents, "1.10", "1.125")
    assert kind == "DECIMAL(38,3)"
    assert values == ["1.100", "1.125"]


def test_dates_that_are_none(target, singer) -> None:
    stamp = {"type": "string", "format": "date-time"}
    kind, values = grow(
        target, singer, stamp, '"2026-11-23T06:10:00Z"', '"0000-00-00 00:00:00"', '"2026-11-24T00:00:00Z"'
    )
    assert kind == "VARCHAR"
    assert values == ["2026-11-23T06:10:00.000000Z", "0000-00-00 00:00:00", "2026-11-24T00:00:00Z"]


def test_nanoseconds_are_not_cut_off(target, singer) -> None:
    stamp = {"type": "string", "format": "date-time"}
    assert grow(target, singer, stamp, '"2026-11-23T06:10:00.123456789Z"') == (
        "VARCHAR",
        ["2026-11-23T06:10:00.123456789Z"],
    )


def test_a_date_with_a_time_keeps_it(target, singer) -> None:
    day = {"type": "string", "format": "date"}
    assert grow(target, singer, day, '"2026-11-23"', '"2026-11-23T10:00:00Z"') == (
        "VARCHAR",
        ["2026-11-23", "2026-11-23T10:00:00Z"],
    )


def test_a_time_with_a_zone_keeps_it(target, singer) -> None:
    time = {"type": "string", "format": "time"}
    assert grow(target, singer, time, '"10:00:00+02:00"') == ("VARCHAR", ["10:00:00+02:00"])


def test_true_is_not_one(target, singer) -> None:
    assert grow(target, singer, INTEGER, "1", "true") == ("VARCHAR", ["1", "true"])


def test_mixed_values_in_one_batch(target, singer) -> None:
    lines = singer.schema({"c": NUMBER})
    for value in ("1", "2.5", '"x"', "true", "null", "[1, 2.5]", "18446744073709551616", '{"a":1.1}', "NaN"):
        lines += singer.record(f'{{"c":{value}}}')
    result = target.load(lines)
    assert result.code == 0
    assert result.err.count("warning:") == 1
    values = [value for (value,) in target.sql("SELECT c FROM t")]
    assert values == ["1", "2.5", "x", "true", None, "[1,2.5]", "18446744073709551616", '{"a":1.1}', "NaN"]


def test_text_columns_keep_how_numbers_were_spelled(target, singer) -> None:
    unbounded = {"type": "number", "multipleOf": 1e-38, "minimum": -1e62, "maximum": 1e62}
    lines = singer.schema({"c": unbounded, "j": {"type": "object"}})
    lines += singer.record('{"c":2.50,"j":{"x":2.50}}') + singer.record('{"c":3,"j":{"x":1E400}}')
    assert target.load(lines).code == 0
    assert target.sql("SELECT c, j FROM t") == [("2.50", '{"x":2.50}'), ("3", '{"x":1E+400}')]


def test_deep_nesting(target, singer) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    assert target.load(singer.schema({"c": {"type": "array"}}) + singer.record(f'{{"c":{deep}}}')).code == 0
    assert target.sql("SELECT length(c) FROM t") == [(100_000,)]


def test_lone_surrogates_are_spelled_out(target, singer) -> None:
    lines = singer.schema({"c": {"type": "string"}, "j": {"type": "array"}})
    assert target.load(lines + singer.record('{"c":"a\\ud800b","j":["\\udc00","\\ud83d\\ude00"]}')).code == 0
    assert target.sql("SELECT c, j->>0, j->>1 FROM t") == [("a\\ud800b", "\\udc00", "😀")]
