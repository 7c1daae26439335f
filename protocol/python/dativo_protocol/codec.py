"""JSON in and out, losing no digit: orjson wherever it tells the truth, `exact` where it would not.

orjson returns an int for every integer that fits 64 bits and a float for every other number, so only a value that holds a
float can have lost digits. `decode` looks for floats first (C speed, most records have none) and reads the line's numbers
again only where there are some.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import orjson

from dativo_protocol import exact
from dativo_protocol.exact import NonFinite

LOOK_INSIDE = frozenset((float, dict, list))  # types of values that may be, or hold, a float
_CONTAINERS = (dict, list)

# What may follow a number. Numbers inside strings match too: that costs time, never a digit.
_TRAILING_ZERO = re.compile(rb"\.[0-9]+0[\s,\]}]")
_LONG_FRACTION = re.compile(rb"\.[0-9]{8,}")
_LONG_INTEGER = re.compile(rb"(?:^|[:,\[\s])-?[0-9]{19,}(?:[\s,\]}]|$)")
_EXPONENT = re.compile(rb"[eE][-+]?[0-9]+(?:[\s,\]}]|$)")
_AS_ONES = bytes.maketrans(b"023456789E", b"111111111e")
_MINUS_AND_DIGITS = frozenset(b"-0123456789")


def decode(data: bytes) -> Any:
    """The value of one JSON text (one line): int, float or Decimal for numbers. Raises WireError.

    NaN, Infinity and -Infinity are accepted and become floats.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return exact.decode(data)[0]
    return exact.decode(data)[0] if holds_float(value) and needs_exact(data) else value


def encode(value: Any, *, nonfinite: NonFinite = "refuse") -> bytes:
    """Compact JSON text of a value: Decimals and big ints with their digits, floats at their shortest.

    NaN and Infinity have no JSON text: `nonfinite` says whether they raise ValueError, become null, or are written bare.
    """
    try:
        text = orjson.dumps(value, default=_decimal)
    except (TypeError, RecursionError):  # an int beyond 64 bits, a lone surrogate, deep nesting
        return exact.encode(value, nonfinite=nonfinite)
    if nonfinite != "null" and b"null" in text and holds_float(value):  # orjson writes NaN as null
        return exact.encode(value, nonfinite=nonfinite)
    return text


def _decimal(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(exact.decimal_text(value))
    raise TypeError(type(value).__name__)


def holds_float(value: Any) -> bool:
    """Whether a decoded value is or holds a float at any depth."""
    if type(value) not in _CONTAINERS:
        return type(value) is float
    todo: list[Any] = [value]
    while todo:
        container = todo.pop()
        values = container.values() if type(container) is dict else container
        if LOOK_INSIDE.isdisjoint(map(type, values)):
            continue
        for item in values:
            kind = type(item)
            if kind is float:
                return True
            if kind in _CONTAINERS:
                todo.append(item)
    return False


def needs_exact(data: bytes) -> bool:
    """Whether a line may hold a number that a float would alter. Errs on the side of yes."""
    if _TRAILING_ZERO.search(data):
        return True
    ones = data.translate(_AS_ONES)  # every digit is 1, every exponent's letter e: shapes can be searched as bytes
    if b"1e" in ones and _has_exponent(data, ones):
        return True
    # more than 15 digits: at least 9 before the point or at least 8 behind it
    if b"111111111." in ones:
        return True
    if b"1111111111111111111" in ones and _LONG_INTEGER.search(data):
        return True
    return b".11111111" in ones and not all(map(_is_a_float, _long_decimals(data)))


def _has_exponent(data: bytes, ones: bytes) -> bool:
    at = ones.find(b"1e")
    while at >= 0:
        if _EXPONENT.match(data, at + 1):
            return True
        at = ones.find(b"1e", at + 1)
    return False


def _long_decimals(data: bytes) -> list[bytes]:
    found = []
    for match in _LONG_FRACTION.finditer(data):
        start = match.start()
        while start and data[start - 1] in _MINUS_AND_DIGITS:
            start -= 1
        found.append(data[start : match.end()])
    return found


def _is_a_float(text: bytes) -> bool:
    try:
        return repr(float(text)) == text.decode("ascii")
    except ValueError:  # digits of a string
        return False
