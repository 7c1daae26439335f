"""Every limit of a plugin: its name in files, what it bounds, what holds without it, and which of two is tighter.

One table: the keys of dativo.yml and of a manifest are checked with it, and `docs/reference/limits.md` is made from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dativo.config.quantity import duration_text, parse_duration, parse_size, size_text


class Limit(NamedTuple):
    """One limit. `least` is the smallest value that makes sense."""

    kind: str
    """size, duration, count, nice, ionice or bus (a bound of the data plane itself, in bytes)."""
    meaning: str
    default: int | str | None = None
    least: float = 0


MIB, GIB = 1 << 20, 1 << 30
IO_CLASSES = ("best-effort", "idle")

LIMITS: dict[str, Limit] = {
    "memory": Limit("size", "Memory of all its processes together, and of each one.", 2 * GIB, MIB),
    "processes": Limit("count", "Processes at a time; the threads of all of them have a higher bound.", 64, 1),
    "cpu": Limit("duration", "CPU time of all its processes together."),
    "wall": Limit("duration", "Time from its start to its end."),
    "idle": Limit("duration", "Time in which it writes no line although it could."),
    "files": Limit("count", "Open files of each process.", 1024, 16),
    "file_size": Limit("size", "The largest file that it may write."),
    "scratch": Limit("size", "Its private /tmp and HOME.", 256 * MIB, 64 << 10),
    "nice": Limit("nice", "Added to its niceness, 0 to 19.", 0),
    "ionice": Limit("ionice", "Its I/O class: best-effort or idle."),
    "line": Limit("bus", "The longest message.", 64 * MIB, 1),
    "pipe": Limit("bus", "Bytes of each pipe (jobs only).", 256 << 10, 4096),
    "capture": Limit("bus", "Bytes of a probe's answer (jobs only).", 64 * MIB),
    "log_line": Limit("bus", "Bytes of a log line that are kept (jobs only).", 16 << 10, 80),
    "data": Limit("size", "RLIMIT_DATA alone, where it must differ from memory."),
    "nproc": Limit("count", "RLIMIT_NPROC alone, where it must differ from processes.", None, 1),
    "stack": Limit("size", "RLIMIT_STACK."),
    "memlock": Limit("size", "RLIMIT_MEMLOCK."),
}
ALIASES = {"nofile": "files", "fsize": "file_size", "max_line": "line"}
"""Other names of the same in a plugin's manifest, which is not ours to rewrite. In dativo.yml they are deprecated."""

OF_THE_BUS = frozenset(name for name, limit in LIMITS.items() if limit.kind == "bus")


def default(key: str) -> Any:
    """What holds where nobody says: a parsed value."""
    return LIMITS[named(key)].default


def named(key: str) -> str:
    """The name that a limit has in the table."""
    return ALIASES.get(key, key)


def parse(key: str, value: object) -> Any:
    """A limit's value: bytes, seconds, a count or a word; None where there is no bound. ValueError says what fits."""
    limit = LIMITS[named(key)]
    if limit.kind == "ionice":
        if value in IO_CLASSES:
            return value
        raise ValueError("best-effort or idle is expected")
    if value == "none":
        return None
    if limit.kind == "nice":
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 19:
            return value
        raise ValueError("a whole number from 0 to 19 is expected")
    if limit.kind == "duration":
        return parse_duration(value) or None
    number = _count(value) if limit.kind == "count" else parse_size(value)
    if number < limit.least:
        raise ValueError(f"at least {text(key, int(limit.least))} is expected")
    return number


def _count(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a whole number is expected")


def text(key: str, value: Any) -> str:
    """A parsed value as people write it, and as `parse` reads it."""
    kind = LIMITS[named(key)].kind
    if value is None:
        return "none"
    if kind in ("size", "bus"):
        return size_text(int(value))
    return duration_text(float(value)) if kind == "duration" else str(value)


def tighter(key: str, one: Any, other: Any) -> Any:
    """The stricter of two parsed values; None is no bound."""
    if one is None or other is None:
        return other if one is None else one
    kind = LIMITS[named(key)].kind
    if kind == "ionice":
        return "idle" if "idle" in (one, other) else one
    return max(one, other) if kind == "nice" else min(one, other)


def exceeds(key: str, value: Any, bound: Any) -> bool:
    """Whether `value` is looser than `bound`."""
    return bool(tighter(key, value, bound) != value)
