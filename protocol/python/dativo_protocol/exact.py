"""JSON without loss: the slow path behind `codec`, for what orjson would alter or refuse.

orjson turns integers beyond 64 bits and long decimals into floats, and refuses NaN, lone surrogates and deep nesting.
Here every number keeps its digits, and nesting is limited by `DEEPEST` alone, not by the stack.

A number with a fraction or an exponent becomes a float when the float's own shortest text has the same digits and the
same exponent, else a Decimal: so `1.5` is a float, `1.50`, `1e3` and `0.1000000000000000055` are Decimals. What it
becomes depends on its own text alone, never on its neighbours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import orjson

from dativo_protocol.fault import WireError

DEEPEST = 100_000
_WHITESPACE = " \t\n\r"
_LARGEST_INT_TEXT = 4_300  # Python's own limit for int(text): longer integers become Decimals

NonFinite = Literal["refuse", "keep", "null"]


def number(text: str) -> float | Decimal:
    """The value of a number with a fraction or an exponent, digits and all."""
    value = float(text)
    shortest = repr(value)
    if shortest == text:
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise WireError("data.invalid_json", f"the exponent of {text[:40]} is beyond any number type") from None
    if exact.as_tuple().exponent == 0:  # 1.5e1 is no integer: it keeps a place behind the point
        exact = Decimal(f"{exact}.0")
    if math.isfinite(value) and exact.compare_total(Decimal(shortest)) == 0:
        return value
    return exact


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LARGEST_INT_TEXT else Decimal(text)


class _NonStandard(Exception):
    """Raised by `_STANDARD` when it meets NaN: not an error, a reason to look again."""


def _stop(name: str) -> float:
    raise _NonStandard(name)


_STANDARD = json.JSONDecoder(parse_float=number, parse_constant=_stop)
_LENIENT = json.JSONDecoder(parse_float=number, parse_constant=float)
_LONG = json.JSONDecoder(parse_float=number, parse_int=_integer, parse_constant=float)
_LONG_STANDARD = json.JSONDecoder(parse_float=number, parse_int=_integer, parse_constant=_stop)


def decode(data: bytes) -> tuple[Any, bool]:
    """The value of one JSON text, and whether it holds NaN or Infinity, which JSON lacks."""
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise WireError("data.invalid_utf8", f"byte {error.start} of the line is not UTF-8") from None
    try:
        return _decode(text, _STANDARD, _LONG_STANDARD), False
    except _NonStandard:
        return _decode(text, _LENIENT, _LONG), True


def _decode(text: str, decoder: json.JSONDecoder, fallback: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _broken(error.pos) from None
    except WireError:
        raise
    except (RecursionError, ValueError):  # nested deeper than the stack, or an integer longer than int() takes
        return decode_deep(text, fallback)


def decode_deep(text: str, scalars: json.JSONDecoder) -> Any:
    """Parse with a stack of our own; scalars are left to the decoder."""
    holder: list[Any] = []
    stack: list[tuple[Any, str | None]] = [(holder, None)]  # containers that are open, each with the key that waits
    at = _skip(text, 0)
    while True:
        container, key = stack[-1]
        char = text[at : at + 1]
        if char in ("{", "[") and char:
            if len(stack) > DEEPEST:
                raise WireError("data.invalid_json", f"nested deeper than {DEEPEST:,} levels")
            value: Any = {} if char == "{" else []
            _put(container, key, value)
            at = _skip(text, at + 1)
            if text[at : at + 1] != ("}" if char == "{" else "]"):
                name, at = _key(text, at, scalars) if char == "{" else (None, at)
                stack.append((value, name))
                continue
            at = _skip(text, at + 1)
        else:
            value, at = _scalar(text, at, scalars)
            _put(container, key, value)
            at = _skip(text, at)
        while len(stack) > 1:  # what follows a value: a comma and the next one, or the end of its container
            container, _ = stack[-1]
            char = text[at : at + 1]
            if char == ",":
                at = _skip(text, at + 1)
                name, at = _key(text, at, scalars) if isinstance(container, dict) else (None, at)
                stack[-1] = (container, name)
                break
            if char != ("}" if isinstance(container, dict) else "]"):
                raise _broken(at)
            stack.pop()
            at = _skip(text, at + 1)
        else:
            if at != len(text):
                raise _broken(at)
            return holder[0]


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def _put(container: Any, key: str | None, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        container.append(value)


def _scalar(text: str, at: int, scalars: json.JSONDecoder) -> tuple[Any, int]:
    try:
        return scalars.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _broken(error.pos) from None


def _key(text: str, at: int, scalars: json.JSONDecoder) -> tuple[str, int]:
    if text[at : at + 1] != '"':
        raise _broken(at)
    name, at = _scalar(text, at, scalars)
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise _broken(at)
    return name, _skip(text, at + 1)


def _broken(at: int) -> WireError:
    return WireError("data.invalid_json", f"not JSON at character {at + 1}")


def decimal_text(value: Decimal) -> str:
    """A Decimal as a JSON number with all of its digits."""
    if not value.is_finite():
        raise ValueError(f"{value} has no JSON text")
    text = str(value)
    # str() goes to exponents below 1E-6; columns of small decimals read better, and come back as they were, without
    return format(value, "f") if "E-" in text and value.adjusted() >= -60 else text


def integer_text(value: int) -> str:
    """An int as a JSON number, however long."""
    return str(Decimal(value)) if value.bit_length() > 64 else str(int(value))


def encode(value: Any, *, nonfinite: NonFinite = "refuse", sort_keys: bool = False, rounded: bool = False) -> bytes:
    """JSON text of anything `decode` returns. `rounded` writes Decimals as the floats they are nearest to."""
    parts: list[bytes] = []
    stack: list[tuple[Iterator[Any], bytes]] = []
    todo: Iterator[Any] = iter((value,))
    closing = b""
    first = True
    while True:
        for item in todo:
            if not first:
                parts.append(b",")
            first = False
            child = item
            if closing == b"}":
                name, child = item
                parts += (_text(name), b":")
            if isinstance(child, dict):
                stack.append((todo, closing))
                items: Iterable[Any] = sorted(child.items(), key=lambda pair: pair[0]) if sort_keys else child.items()
                todo, closing, first = iter(items), b"}", True
                parts.append(b"{")
                break
            if isinstance(child, list | tuple):
                stack.append((todo, closing))
                todo, closing, first = iter(child), b"]", True
                parts.append(b"[")
                break
            parts.append(_scalar_text(child, nonfinite, rounded))
        else:
            parts.append(closing)
            if not stack:
                return b"".join(parts)
            todo, closing = stack.pop()
            first = False


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"the key of an object must be a string, not {type(value).__name__}")
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate has no UTF-8, only an escape
        return json.dumps(value).encode("ascii")


def _scalar_text(value: Any, nonfinite: NonFinite, rounded: bool) -> bytes:
    if isinstance(value, Decimal) and value.is_finite():
        # an integer too long for int() is an integer all the same
        if not rounded or value.as_tuple().exponent == 0:
            return decimal_text(value).encode("ascii")
        value = float(value)
    if isinstance(value, float | Decimal):
        return _float_text(float(value), nonfinite, rounded)
    if isinstance(value, int) and not isinstance(value, bool):
        return integer_text(value).encode("ascii")
    return _text(value) if isinstance(value, str) else orjson.dumps(value)


def _float_text(value: float, nonfinite: NonFinite, rounded: bool) -> bytes:
    if math.isfinite(value):
        return orjson.dumps(value + 0.0 if rounded else value)  # -0.0 equals 0.0
    if nonfinite == "refuse":
        raise ValueError(f"{value} has no JSON text")
    if nonfinite == "null":
        return b"null"
    return json.dumps(value).encode("ascii")
