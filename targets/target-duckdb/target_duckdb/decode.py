"""Turns input lines into records: orjson for almost all of them, `dativo_protocol` where orjson would lose something.

orjson rounds numbers beyond 64 bits or 17 digits to floats and refuses NaN, lone surrogates and deep nesting. One
translation of the whole chunk finds out whether any number could be affected, so that most chunks cost nothing more.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's C scanner
from typing import Any

import orjson

from dativo_protocol import WireError, codec
from dativo_protocol.messages import Message, read
from target_duckdb.errors import TargetError

SHAPE = bytes(
    48 if 48 <= code < 58 or code == 46 else 101 if code in (69, 101) else 45 if code == 45 else 32
    for code in range(256)
)
MANY_DIGITS = b"0" * 16
TINY = b"0e-000"
LONG_NUMBER = re.compile(rb"[:,\[\s]-?[0-9][0-9.]{15}|[0-9.][eE]-[0-9]{3}")
BLANK = b" \t\r"
SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


def risky(chunk: bytes) -> bool:
    """Whether some number in here may have more digits than a float or an int64 holds."""
    shape = chunk.translate(SHAPE)
    return MANY_DIGITS in shape or TINY in shape


def values(lines: list[bytes], chunk_is_risky: bool) -> list[Any]:
    """The decoded lines; a line that needs care (or is junk, or broken) stays bytes, for `careful`."""
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


def careful(line: bytes, number: int, *, exactly: bool) -> tuple[Message | str, bool]:
    """The message on a line, or the kind of junk it is; and whether it holds NaN or Infinity."""
    body = line.lstrip(BLANK)
    if not body.startswith(b"{"):
        return ("blank" if not body else "array" if body.startswith(b"[") else "text"), False
    try:
        message, nonstandard = read(line, exactly=exactly)
    except WireError as error:
        raise placed(error, number) from None
    return ("unknown_type" if message is None else message), nonstandard


def record(line: bytes, number: int) -> dict[str, Any]:
    """A bare record, as BATCH files hold them."""
    value = line if risky(line) else quick(line)
    if type(value) is bytes:
        try:
            value = codec.decode(line)
        except WireError as error:
            raise placed(error, number) from None
    if type(value) is not dict:
        raise TargetError("data.bad_message", f"line {number}: a BATCH file holds a line that is no record")
    return value


def partial(line: bytes) -> bool:
    """Whether a BATCH says that its records have the fields of its files and no others."""
    return codec.decode(line).get("partial") is True


def placed(error: WireError, number: int) -> TargetError:
    """A fault on a line, in the plugin's words."""
    stream = f" ({json.dumps(error.stream)})" if error.stream else ""
    return TargetError(error.code, f"line {number}{stream}: {error.message}", "report it to the tap's author")


def state_text(line: bytes, value: Any) -> str:
    """The STATE's value as the tap wrote it: its text in the line, not an encoding of what it means."""
    text = line.decode()
    try:
        return _member(text, "value")
    except (ValueError, RecursionError):  # nested too deeply to be walked through
        return codec.encode(value).decode()


def _member(text: str, wanted: str) -> str:
    def skip(at: int) -> int:
        found = SPACE.match(text, at)
        return found.end() if found else at

    value = ""
    at = text.index("{") + 1
    while True:
        key, at = scanstring(text, skip(at) + 1, True)
        start = skip(skip(at) + 1)
        _, at = DECODER.raw_decode(text, start)
        if key == wanted:
            value = text[start:at]
        at = skip(at) + 1
        if text[at - 1] == "}":
            return value
