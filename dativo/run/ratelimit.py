"""How long a source said to wait, found in the last lines of the plugin that was turned away.

Seconds, an HTTP date or a moment in Unix time, in the words of HTTP's own headers and of the libraries that log them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

_LIMITED = re.compile(
    r"(?:http|status|code|error|response)\D{0,20}429\b|\b429\W{0,3}(?:client|too|rate|retry)|too many requests"
    r"|rate[ _-]?limit|throttl|(?<!disk )quota|\bslow ?down\b",
    re.IGNORECASE,
)
_NUMBER = r"(?P<number>\d{1,13}(?:\.\d+)?)"
_UNIT = r"\s*(?P<unit>milliseconds?|msecs?|ms|minutes?|mins?|m|hours?|h|seconds?|secs?|s)?\b"
_HEADER = re.compile(rf"\bretry[-_]after(?:[-_](?P<ms>ms))?\b[\"']?\s*[:=,]?\s*b?[\"']?{_NUMBER}{_UNIT}", re.IGNORECASE)
_DATE = re.compile(
    r"\bretry[-_]after\b[\"']?\s*[:=,]?\s*b?[\"']?"
    r"(?P<date>(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s[^\"'})\]]{10,40}?(?:gmt|utc|[+-]\d{4}))",
    re.IGNORECASE,
)
_RESET = re.compile(
    rf"\bx?-?rate-?limit-?reset(?:-after)?\b[\"']?\s*[:=,]?\s*b?[\"']?{_NUMBER}(?P<unit>)", re.IGNORECASE
)
_WORDS = re.compile(
    rf"\b(?:retry(?:ing)?|try(?:ing)? again|wait(?:ing)?|sleep(?:ing)?|available)(?: again)?(?: after| in| for)?:? "
    rf"{_NUMBER}{_UNIT}",
    re.IGNORECASE,
)
_SECONDS = {"m": 60.0, "h": 3600.0}
_EPOCH = 1e8
"""A larger number of seconds than anybody waits: it is a moment."""


def is_limited(line: str) -> bool:
    """Whether a line says that too much was asked for."""
    return _LIMITED.search(line) is not None


def told_wait(lines: Sequence[str], now: float | None = None) -> float | None:
    """Seconds that the source asked for in the last line that says so, None if none does."""
    moment = time.time() if now is None else now
    limited = any(map(is_limited, lines))
    for line in reversed(lines):
        found = _told(line, moment, limited=limited)
        if found is not None:
            return max(0.0, found)
    return None


def _told(line: str, now: float, *, limited: bool) -> float | None:
    dated = _DATE.search(line)
    if dated:
        from email.utils import parsedate_to_datetime

        try:
            return parsedate_to_datetime(dated["date"]).timestamp() - now
        except ValueError:
            return None
    header = _HEADER.search(line)
    if header:
        return _seconds(header["number"], "ms" if header["ms"] else header["unit"], now)
    if not limited:
        return None  # other words about waiting are a plugin's own affair
    reset = _RESET.search(line) or _WORDS.search(line)
    return _seconds(reset["number"], reset["unit"], now) if reset else None


def _seconds(number: str, unit: str | None, now: float) -> float:
    value, name = float(number), (unit or "s").lower()
    if name.startswith(("ms", "milli")):
        return value / 1000
    if value > _EPOCH:
        return (value / 1000 if value > 1e11 else value) - now
    return value * _SECONDS.get(name[0], 1.0)
