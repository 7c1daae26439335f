"""JSON in and out, losing no digit: orjson wherever it tells the truth, `exact` where it would not.

orjson returns an int for every integer that fits 64 bits and a float for every other number, so only a value that holds
a float can have lost digits. `decode` looks for floats first (at C speed, and most records have none); where there are
some it looks at the numbers of the line.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import orjson

from dativo_protocol import exact
from dativo_protocol.exact import NonFinite

_CONTAINERS = (dict, list)
_FIRST_BEYOND_64_BITS = (-(2**63) - 1, 2**64)

# A number whose digits a float may not keep: one with an exponent, of 19 digits without a point, with a last 0 behind
# the point (but for x.0), or of 16 digits and a point. What a string holds may match: that costs time, never a digit.
_END = rb"(?=[\s,\]}])"
_NUMBER = (
    rb"(-?[0-9]++(?:[eE]|(?<=[0-9]{19})" + _END + rb"|\.[0-9]++(?:[eE]|(?:(?<=[0-9]0)|(?<=[0-9.]{17}))" + _END + b")))"
)
_IN_OBJECTS = re.compile(rb":[ \t\r\n]*+" + _NUMBER)
_IN_LISTS_TOO = re.compile(rb"[:,\[][ \t\r\n]*+" + _NUMBER)


def decode(data: bytes) -> Any:
    """The value of one JSON text (one line): int, float or Decimal for numbers. Raises WireError.

    NaN, Infinity and -Infinity are accepted and become floats.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return exact.decode(data)[0]
    return exact.decode(data)[0] if is_altered(value, data) else value


def encode(value: Any, *, nonfinite: NonFinite = "refuse") -> bytes:
    """Compact JSON text of a value: Decimals and big ints with their digits, floats at their shortest.

    NaN and Infinity have no JSON text: `nonfinite` says whether they raise ValueError, become null or are written bare.
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


def is_altered(value: Any, data: bytes) -> bool:
    """Whether orjson may have altered a number when it made `value` of `data`. Errs on the side of yes."""
    if type(value) not in _CONTAINERS:
        return type(value) is float
    kinds: set[type] = set()
    todo: list[Any] = [value]
    while todo:
        container = todo.pop()
        values = container.values() if type(container) is dict else container
        inside = set(map(type, values))
        kinds |= inside
        if not inside.isdisjoint(_CONTAINERS):
            todo += [item for item in values if type(item) in _CONTAINERS]
    return float in kinds and has_delicate_number(data, lists=list in kinds or type(value) is list)


def has_delicate_number(data: bytes, *, lists: bool = True) -> bool:
    """Whether a JSON text may hold a number that orjson alters. `lists`: whether there are floats in lists."""
    pattern = _IN_LISTS_TOO if lists else _IN_OBJECTS
    match = pattern.search(data)
    while match:
        if not _is_kept(match[1]):
            return True
        match = pattern.search(data, match.end())
    return False


def holds_float(value: Any) -> bool:
    """Whether a decoded value is or holds a float at any depth."""
    todo: list[Any] = [[value]]
    while todo:
        container = todo.pop()
        values = container.values() if type(container) is dict else container
        inside = set(map(type, values))
        if float in inside:
            return True
        if not inside.isdisjoint(_CONTAINERS):
            todo += [item for item in values if type(item) in _CONTAINERS]
    return False


def _is_kept(number: bytes) -> bool:
    if b"." in number:
        try:
            return repr(float(number)) == number.decode("ascii")
        except ValueError:  # it broke off at its exponent
            return False
    if not number.lstrip(b"-").isdigit() or len(number) > 20:
        return False
    return _FIRST_BEYOND_64_BITS[0] < int(number) < _FIRST_BEYOND_64_BITS[1]
