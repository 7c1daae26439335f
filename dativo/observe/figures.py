"""Numbers, durations and bookmarks as short text for people."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

WIDTH = 40


def count(number: int, noun: str = "") -> str:
    """`336,776`, or with a noun `1 row`, `336,776 rows`."""
    shown = f"{number:,}"
    return f"{shown} {noun}{'' if number == 1 else 's'}" if noun else shown


def scaled(number: float, unit: str = "") -> str:
    """`412 k`, `1.3 M`: three digits are enough for a rate."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            value = number / limit
            return f"{value:.1f} {prefix}{unit}" if value < 10 else f"{value:.0f} {prefix}{unit}"
    return f"{number:.0f} {unit}".rstrip() if unit else f"{number:.0f}"


def rate(number: float, seconds: float, unit: str = "") -> str:
    """A number a second, `412 k/s`; nothing when it was too short to tell."""
    return f"{scaled(number / seconds, unit)}/s" if seconds > 0.5 and number else ""


def seconds(value: float) -> str:
    """`0.4 s`, `41 s`, `2 min 05 s`, `3 h 12 min`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def local_time(moment: str | None) -> str:
    """An RFC 3339 time as people read it: local, to the minute."""
    if not moment:
        return "the last run"
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return moment


def clean(text: str) -> str:
    """A plugin's text, safe on a terminal: control characters are shown, not obeyed (I12)."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "    " if one == "\t" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def short(text: str, width: int = WIDTH) -> str:
    """One clean line of at most `width` characters."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def bookmark(text: str | None, stream: str) -> str:
    """Where a stream stands, in a few characters, by the habits of real taps; empty when that cannot be told."""
    if text is None:
        return ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    parts = value.get("bookmarks") if isinstance(value, dict) else None
    if not isinstance(parts, dict) or stream not in parts:
        return ""
    return short(_position(parts[stream]))


def _position(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    if "stream_descriptor" in part:  # Airbyte's: what matters is the state in it
        state = part.get("stream_state")
        return _position(state) if isinstance(state, dict) else ""
    if part.get("replication_key_value") is not None:
        return str(part["replication_key_value"])
    files = part.get("files")
    if isinstance(files, dict) and files:
        path, mark = list(files.items())[-1]
        rows = mark.get("rows") if isinstance(mark, dict) else mark
        if isinstance(rows, int | str):
            return f"{path.rpartition('/')[2]}:{rows}"
    plain = {key: value for key, value in part.items() if not isinstance(value, dict | list) and value is not None}
    if len(plain) == 1:
        key, value = list(plain.items())[-1]
        return f"{key}:{value}"
    return " ".join(f"{key} {value}" for key, value in plain.items()) or json.dumps(part, ensure_ascii=False)
