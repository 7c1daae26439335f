"""A bookmark's exact JSON text: checked, taken apart by stream and edited without touching any other byte.

A bookmark is opaque and its numbers may hold more digits than a float, so it is never re-serialised.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from json.decoder import JSONDecodeError
from typing import Any, NoReturn

from dativo import errors
from dativo.dataclass import dataclass

_SPACE = re.compile(r"[ \t\r\n]*")
_INT_DIGITS = 4000  # Python converts no longer digit strings to int


@dataclass(frozen=True)
class Bookmark:
    """A job's bookmark as it is stored."""

    job: str
    text: str
    """The exact JSON text: hand this to the tap."""
    origin: str
    """run, set, clear (then the text is `{}`), or adopted from the destination."""
    run: str | None
    at: str
    records: int | None
    of: int | None

    @property
    def value(self) -> dict[str, Any]:
        """The parsed value, for looking inside; digits beyond a float's are kept as Decimal."""
        parsed = parse(self.text)
        assert isinstance(parsed, dict)
        return parsed


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < _INT_DIGITS else Decimal(digits)


def _real(digits: str) -> float | Decimal:
    number = float(digits)
    return number if repr(number) == digits else Decimal(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_real, parse_constant=_refuse_constant)


def parse(text: str) -> Any:
    """Parse JSON text without losing a digit. Raises ConfigError state.invalid."""
    try:
        return _DECODER.decode(text)
    except JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise errors.ConfigError("state.invalid", f"the state is not JSON: {problem.msg} ({where})") from None
    except RecursionError:
        raise errors.ConfigError("state.invalid", "the state is nested too deeply") from None
    except ValueError as problem:
        raise errors.ConfigError("state.invalid", f"the state is not JSON: {problem}") from None


def exact_text(value: str | Mapping[str, Any]) -> str:
    """The text to store: a text as it is once checked to be an object, a mapping as compact JSON."""
    if isinstance(value, str):
        parsed, text = parse(value), value.strip()
    else:
        parsed, text = value, _serialise(value)
    if not isinstance(parsed, Mapping):
        raise errors.ConfigError("state.invalid", f"the state is {_kind(parsed)}, not a JSON object")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise errors.ConfigError("state.invalid", "the state is not UTF-8") from None
    return text


def _serialise(value: Mapping[str, Any]) -> str:
    """A mapping that may hold Decimals (as `parse` makes them) as JSON text with every digit."""
    numbers: list[str] = []
    mark = secrets.token_hex(16)  # in no string of the mapping

    def keep(item: Any) -> Any:
        if isinstance(item, Decimal):
            numbers.append(str(item))
            return f"{mark}{len(numbers) - 1}"
        if isinstance(item, Mapping):
            return {key: keep(inner) for key, inner in item.items()}
        return [keep(inner) for inner in item] if isinstance(item, list | tuple) else item

    try:
        text = json.dumps(keep(value), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise errors.ConfigError("state.invalid", f"the state is not JSON: {problem}") from None
    return re.sub(f'"{mark}(\\d+)"', lambda found: numbers[int(found[1])], text) if numbers else text


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


@dataclass(frozen=True)
class Member:
    """Where one member of a JSON object stands in the text."""

    key: str
    start: int
    value: int
    end: int


def members(text: str, start: int = 0) -> list[Member] | None:
    """The members of the object at `start` of a checked text, or None if something else is there."""
    at = _skip(text, start)
    if text[at] != "{":
        return None
    found: list[Member] = []
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, after = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, after) + 1)  # past the colon
        end = _DECODER.raw_decode(text, value)[1]
        found.append(Member(key, at, value, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    blank = _SPACE.match(text, at)
    assert blank is not None
    return blank.end()


def _member(text: str, key: str, start: int = 0) -> Member | None:
    """The member of that name; of duplicates the last, which is the one that parsers keep."""
    return next((one for one in reversed(members(text, start) or []) if one.key == key), None)


def streams(text: str) -> dict[str, str]:
    """The exact text of each stream's part, by the convention `{"bookmarks": {STREAM: …}}`; {} for other shapes."""
    bookmarks = _member(text, "bookmarks")
    if bookmarks is None:
        return {}
    return {one.key: text[one.value : one.end] for one in members(text, bookmarks.value) or []}


def with_stream(text: str, stream: str, part: str) -> str:
    """The text with one stream's part replaced or added; every other byte stays."""
    part = exact_text(part)
    bookmarks = _member(text, "bookmarks")
    if bookmarks is None:
        if members(text):
            _no_streams()
        return f'{{"bookmarks": {{{json.dumps(stream)}: {part}}}}}'
    inside = members(text, bookmarks.value)
    if inside is None:
        _no_streams()
    present = _member(text, stream, bookmarks.value)
    if present is not None:
        return text[: present.value] + part + text[present.end :]
    brace = _skip(text, bookmarks.value) + 1
    return text[:brace] + f"{json.dumps(stream)}: {part}" + (", " if inside else "") + text[brace:]


def without_stream(text: str, stream: str) -> str:
    """The text without one stream's part. Raises state.unknown if it has none."""
    bookmarks = _member(text, "bookmarks")
    inside = (members(text, bookmarks.value) if bookmarks else None) or []
    if not any(one.key == stream for one in inside):
        known = ", ".join(sorted({one.key for one in inside})) or "none"
        raise errors.ConfigError(
            "state.unknown", f"no bookmark for the stream {stream}", details=(f"streams: {known}",)
        )
    kept = [text[one.start : one.end] for one in inside if one.key != stream]
    assert bookmarks is not None
    return text[: bookmarks.value] + "{" + ", ".join(kept) + "}" + text[bookmarks.end :]


def _no_streams() -> NoReturn:
    raise errors.ConfigError(
        "state.invalid",
        "this bookmark keeps nothing per stream (it has no `bookmarks` object)",
        hint="set the whole bookmark, without --stream",
    )


def describe(text: str | None, stream: str | None = None) -> str:
    """A bookmark for people, on one short line."""
    if text is None or text == "{}":
        return "-"
    parts = streams(text)
    if stream is not None:
        return describe_part(parts[stream]) if stream in parts else "-"
    if len(parts) == 1:
        name, part = next(iter(parts.items()))
        return f"{name}: {describe_part(part)}"
    if parts:
        return f"{len(parts)} streams"
    return _short(text)


def describe_part(part: str) -> str:
    """A stream's part for people, on one short line."""
    value = parse(part)
    if isinstance(value, dict):
        key, at = value.get("replication_key"), value.get("replication_key_value")
        if isinstance(key, str) and at is not None:
            return _short(f"{key} {at}")
        plain = {k: v for k, v in value.items() if not isinstance(v, dict | list) and v is not None}
        if plain and len(plain) == len(value):
            return _short(" ".join(f"{k} {v}" for k, v in plain.items()))
    return _short(part)


def _short(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
