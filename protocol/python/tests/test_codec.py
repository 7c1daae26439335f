"""The codec loses no digit, and its two paths agree."""

import json
import math
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dativo_protocol import WireError, decode, encode, exact
from dativo_protocol.codec import has_delicate_number, holds_float

DIGITS = st.text("0123456789", min_size=1, max_size=25)
INTEGERS = st.tuples(st.sampled_from(["", "-"]), DIGITS).map(lambda p: p[0] + (p[1].lstrip("0") or "0"))
FRACTIONS = st.tuples(INTEGERS, DIGITS).map(".".join)
EXPONENTS = st.tuples(
    st.one_of(INTEGERS, FRACTIONS),
    st.sampled_from("eE"),
    st.sampled_from(["", "+", "-"]),
    st.text("0123456789", min_size=1, max_size=3),
).map("".join)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
MONEY = st.decimals(-(10**6), 10**6, places=2).map(str)
TOKENS = st.one_of(INTEGERS, FRACTIONS, EXPONENTS, FLOATS, MONEY)
STRINGS = st.one_of(st.text(max_size=12), TOKENS, TOKENS.map(lambda t: f": {t}, [{t}]")).map(
    lambda s: json.dumps(s, ensure_ascii=False)
)
SPACE = st.sampled_from(["", " ", "\t", "\r"])


def _joined(opening, items, closing):
    return st.tuples(SPACE, st.lists(items, max_size=5), SPACE).map(
        lambda p: opening + p[0] + (p[0] + "," + p[2]).join(p[1]) + p[2] + closing
    )


def _containers(values):
    pairs = st.tuples(st.text(max_size=6).map(json.dumps), SPACE, SPACE, values).map(
        lambda p: f"{p[0]}{p[1]}:{p[2]}{p[3]}"
    )
    return st.one_of(_joined("[", values, "]"), _joined("{", pairs, "}"))


TEXTS = st.recursive(st.one_of(TOKENS, STRINGS, st.sampled_from(["null", "true", "false"])), _containers, max_leaves=25)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    TOKENS.map(lambda t: Decimal(t) if not set(t) <= set("-0123456789") else int(t)),
    st.text(st.characters(exclude_categories=[])),
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=4), max_leaves=20
)


def typed(value):
    """A value with the type and the digits of every number."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, str(value))


def numeric(value):
    """A value with Decimals and floats compared by value."""
    if isinstance(value, dict):
        return {key: numeric(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [numeric(inner) for inner in value]
    return (isinstance(value, bool), Decimal(repr(value)) if isinstance(value, float) else value)


@given(TEXTS)
def test_the_fast_path_gives_what_the_exact_path_gives(text):
    fast, slow = decode(text.encode()), exact.decode(text.encode())[0]
    assert typed(fast) == typed(slow)


@given(TOKENS, TOKENS)
def test_what_a_number_becomes_does_not_depend_on_its_neighbours(one, other):
    assert typed(decode(f"[{one},{other}]".encode())) == typed(
        decode(f"[{one}]".encode()) + decode(f"[{other}]".encode())
    )


@given(TOKENS)
def test_a_number_keeps_its_value(token):
    value = decode(token.encode())
    assert Decimal(repr(value) if isinstance(value, float) else value) == Decimal(token)


@given(FRACTIONS)
def test_a_fraction_keeps_its_digits(token):
    assert encode(decode(b"[" + token.encode() + b"]")) == b"[" + token.encode() + b"]" or "e" in repr(float(token))


@given(VALUES)
def test_round_trip(value):
    assert numeric(decode(encode(value))) == numeric(value)


@given(VALUES)
def test_both_encoders_write_the_same(value):
    assert typed(decode(encode(value))) == typed(decode(exact.encode(value)))


@given(TEXTS)
def test_decoding_again_changes_nothing(text):
    value = decode(text.encode())
    assert typed(decode(encode(value))) == typed(value)


@given(st.floats())
def test_floats_come_back_bit_by_bit(value):
    back = decode(encode(value, nonfinite="keep"))
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)
    assert type(back) is float
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_wire_error(data):
    try:
        decode(data)
    except WireError as error:
        assert error.code in ("data.invalid_json", "data.invalid_utf8")


@given(st.text('[]{},:"0 ', max_size=30))
def test_the_deep_parser_agrees_with_the_shallow_one(text):
    try:
        shallow = json.loads(text)
    except ValueError:
        with pytest.raises(WireError):
            exact.decode_deep(text, json.JSONDecoder())
    else:
        assert exact.decode_deep(text, json.JSONDecoder()) == shallow


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b'{"a":1,"b":"2.50"}', False),
        (b'{"a":1.5,"b":[0.25, 1.0]}', False),
        (b'{"lat":40.712776123,"lon":-74.00597412345}', False),
        (b'{"a":0.30000000000000004,"id":"9f1e4b2a-1e10-4e3b-8e5d-0123456789ab"}', False),
        (b'{"a":1.5,"b":"12345678901234567890"}', False),
        (b'{"a":1.5,"b":18446744073709551615,"c":-9223372036854775808}', False),
        (b'{"a":1.5,"b":18446744073709551616}', True),
        (b'{"a":1.5,"b":-9223372036854775809}', True),
        (b'{"a":12345678901234567890.5}', True),
        (b'{"at":"2026-11-23T06:10:00.000000Z","b":"06:10:00.100","c":1.5}', False),
        (b'{"at":1732342260.123456,"t":-73.98765432109876}', False),
        (b'{"at":1732342260.1234567}', False),
        (b'{"at":1732342260.12345678}', True),
        (b'{"a":2.50}', True),
        (b"[2.50]", True),
        (b'{"a":1e3}', True),
        (b'{"a":1E400 }', True),
        (b'{"a":123456789.123456789}', True),
        (b'{"a":0.12345678901234567890}', True),
    ],
)
def test_the_exact_path_is_taken_where_it_must_be(line, wanted):
    assert has_delicate_number(line) is wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(1, False), (1.5, True), ([], False), ({"a": [1, {"b": [None, 0.5]}]}, True), ({"a": ["1.5", {}], "b": 2}, False)],
)
def test_floats_are_found_at_any_depth(value, wanted):
    assert holds_float(value) is wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), [1, {"a": float("-inf")}]])
def test_what_has_no_json_text(value):
    with pytest.raises(ValueError, match="has no JSON text"):
        encode(value)
    assert b"null" in encode(value, nonfinite="null")
    assert b"null" not in encode(value, nonfinite="keep")


@pytest.mark.parametrize("value", [{1: "a"}, object(), {"a": {"b": {2, 3}}}, {"a": 2**70, 3: 4}])
def test_what_is_not_json(value):
    with pytest.raises(TypeError):
        encode(value)


def test_nesting_has_a_limit():
    deepest = exact.DEEPEST
    text = b"[" * deepest + b"]" * deepest
    assert encode(decode(text)) == text
    with pytest.raises(WireError, match="nested deeper"):
        decode(b"[" + text + b"]")


def test_an_exponent_beyond_every_type_is_refused():
    with pytest.raises(WireError, match="exponent"):
        decode(b'{"a":1e99999999999999999999}')


def test_importing_is_cheap():
    """The package loads no module of its own until a name is used, and never one that is not orjson's or Python's."""
    code = (
        "import sys, dativo_protocol; print([m for m in sys.modules if m.startswith('dativo_protocol.')]);"
        "import dativo_protocol.reader, dativo_protocol.catalog, dativo_protocol.types, dativo_protocol.ledger;"
        "print([m for m in ('singer', 'singer_sdk', 'jsonschema', 'pyarrow', 'hypothesis') if m in sys.modules]);"
        "print([n for n in dativo_protocol.__all__ if not hasattr(dativo_protocol, n)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n[]\n"
