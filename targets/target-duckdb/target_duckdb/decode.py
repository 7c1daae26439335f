"""Turns input lines into messages: orjson for almost all of them, `exact` where orjson would lose something.

orjson rounds numbers beyond 64 bits or 17 digits to floats and refuses NaN, lone surrogates and deep nesting. One
translation of the whole chunk finds out whether any number could be affected, so that most chunks cost nothing more.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from target_duckdb import exact
from target_duckdb.errors import TargetError

SHAPE = bytes(
    48 if 48 <= code < 58 or code == 46 else 101 if code in (69, 101) else 45 if code == 45 else 32
    for code in range(256)
)
MANY_DIGITS = b"0" * 16
TINY = b"0e-000"
LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9][0-9.]{15}|[0-9.][eE]-[0-9]{3}")
BLANK = b" \t\r\n"
MESSAGES = ("RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH")


def risky(chunk: bytes) -> bool:
    """Whether some number in here may have more digits than a float or an int64 holds."""
    shape = chunk.translate(SHAPE)
    return MANY_DIGITS in shape or TINY in shape


def messages(lines: list[bytes], chunk_is_risky: bool) -> list[Any]:
    """The decoded lines; a line that needs care (or is junk, or broken) stays bytes for `careful`."""
    if chunk_is_risky:
        found = LONG_NUMBER.search
        return [line if found(line) else quick(line) for line in lines]
    try:
        return list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return [quick(line) for line in lines]


def quick(line: bytes) -> Any:
    """One line, or its bytes where orjson cannot read it."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return line


def careful(line: bytes, number: int, read: Any = exact.message) -> Any:
    """Decode one line the exact way: a dict, or the kind of junk it is; TargetError when it is a broken message."""
    text = line.strip(BLANK)
    if not text:
        return "blank"
    if text[:1] == b"[":
        return "array"
    if text[:1] != b"{":
        return "text"
    try:
        return read(text.decode())
    except UnicodeDecodeError as error:
        raise TargetError("data.invalid_utf8", f"line {number} is not UTF-8 at byte {error.start + 1}") from None
    except ValueError as error:
        why = str(error).split(" (char", 1)[0].removeprefix("not JSON").lstrip(": ")
        raise TargetError(
            "data.invalid_json", f"line {number} is not JSON: {why}", "report it to the tap's author"
        ) from None


def state_text(line: bytes) -> str:
    """The STATE's value as the tap wrote it."""
    return exact.member_text(line.strip(BLANK).decode(), "value")
