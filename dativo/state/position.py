"""How far one stream has come, where its part of the bookmark says so in a single value: read, replaced, compared.

Most taps keep `{"replication_key": "updated_at", "replication_key_value": "2026-11-22T23:10:04Z"}`; others one member
like `{"id": 7}`. Anything else is opaque, and only the tap knows its order.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from dativo import errors
from dativo.state.bookmark import exact_text, members, parse

VALUE = "replication_key_value"
Value = str | int | float | Decimal


def member(part: str) -> str | None:
    """The member that holds the position, if there is exactly one that can."""
    known = parse(part)
    if not isinstance(known, dict):
        return None
    if VALUE in known:
        return VALUE
    plain = [key for key, value in known.items() if _is_value(value)]
    return plain[0] if len(plain) == 1 else None


def of(part: str | None) -> Value | None:
    """The position of a stream's part; None where it has none in a single value."""
    key = member(part) if part is not None else None
    value = parse(part)[key] if key is not None and part is not None else None
    return value if _is_value(value) else None


def at(part: str | None, value: str, stream: str) -> str:
    """A stream's part that stands at a value: the text given where it is an object, else the part with the value in it.

    Every other byte stays. Raises state.invalid where the part does not show which member that would be.
    """
    if value.lstrip().startswith("{"):
        return exact_text(value)
    key = member(part) if part is not None else None
    if part is None or key is None:
        raise errors.ConfigError(
            "state.invalid",
            f"the bookmark of {stream} does not show which of its members {value} would be",
            hint="give the stream's whole part as JSON, like '{\"id\": 7}'",
        )
    place = next(one for one in reversed(members(part) or []) if one.key == key)
    return part[: place.value] + _as_text(value, parse(part)[key], stream) + part[place.end :]


def _as_text(value: str, like: Any, stream: str) -> str:
    """The value as JSON of the kind that is there."""
    number = isinstance(like, int | float | Decimal) and not isinstance(like, bool)
    kind = "number" if number else "time" if moment(like) is not None else None
    fits = {"number": _number(value) is not None, "time": moment(value) is not None}
    if kind is not None and not fits[kind]:
        raise errors.ConfigError(
            "state.invalid",
            f"{value} is no {kind}, and the bookmark of {stream} holds one",
            hint=f"give a {kind}, or run:N for where a run left it",
        )
    return value if number else json.dumps(value, ensure_ascii=False)


def compare(one: Any, other: Any) -> int | None:
    """-1, 0 or 1; None where the two have no order, as a number or a time beside another kind of text."""
    numbers = _number(one), _number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return int(numbers[0] > numbers[1]) - int(numbers[0] < numbers[1])
    times = moment(one), moment(other)
    if times[0] is not None and times[1] is not None:
        return int(times[0] > times[1]) - int(times[0] < times[1])
    plain = all(found is None for found in (*numbers, *times))
    if plain and isinstance(one, str) and isinstance(other, str):
        return int(one > other) - int(one < other)
    return None


def moment(value: Any) -> datetime | None:
    """A value as a time, UTC where it names no zone."""
    if not isinstance(value, str) or "-" not in value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _is_value(value: Any) -> bool:
    return isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)
