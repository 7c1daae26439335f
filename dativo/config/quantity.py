"""Sizes and durations as people write them: `64M`, `1.5G`, `90s`, `2h`."""

from __future__ import annotations

import re
from decimal import Decimal

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"ms": Decimal("0.001"), "": Decimal(1), "s": Decimal(1)} | {
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", re.ASCII)


def parse_size(value: object) -> int:
    """Bytes from `1G`, `64 MiB`, `1.5K` or a number. K is 1024. ValueError says what is expected."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError("a size is expected, like 64M or 1G")
    return int(Decimal(found[1]) * _SIZES[found[2].upper()])


def parse_duration(value: object) -> float:
    """Seconds from `90s`, `15m`, `2h`, `1d` or a number. ValueError says what is expected."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        found = _TIME.fullmatch(text)
        if found:
            return float(Decimal(found[1]) * _TIMES[found[2]])
        parts = re.findall(r"(\d+)(d|h|m|s)", text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return float(sum(int(number) * int(_TIMES[unit]) for number, unit in parts))
    raise ValueError("a duration is expected, like 90s, 15m or 2h")


def size_text(size: int) -> str:
    """Bytes as `parse_size` reads them: `4G`, `64M`, `1000`."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]}{unit}"
    return str(size)


def duration_text(seconds: float) -> str:
    """Seconds as `parse_duration` reads them: `2h`, `90s`, `0.5s`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % int(_TIMES[unit]) == 0:
            return f"{int(seconds) // int(_TIMES[unit])}{unit}"
    return f"{seconds:g}s"
