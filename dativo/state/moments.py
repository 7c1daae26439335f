"""A job's bookmark as it stood: after a run (`run:41`), at a line of its history (`log:3`), at a time (`at:…`), now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dativo import errors
from dativo.dataclass import dataclass
from dativo.state import position
from dativo.state.record import Entry

WORDS = "now, run:41, log:2 (the second line of `dativo state log`), at:2026-11-22T06:00 or a file"


@dataclass(frozen=True)
class Moment:
    """A bookmark and where it comes from."""

    name: str
    text: str
    """The exact text; `{}` where there was none yet."""
    newer: int
    """How many lines of the history came after it."""


def is_reference(word: str) -> bool:
    """Whether a word names a moment and not a value or a file."""
    return word == "now" or word.partition(":")[0] in ("run", "log", "at")


def found(word: str, job: str, log: Sequence[Entry], now: str | None) -> Moment:
    """The moment that a word names; `log` is the job's whole history, newest first."""
    kind, _, rest = word.partition(":")
    if word == "now":
        return Moment("now", now or "{}", 0)
    if kind == "run":
        places = [place for place, entry in enumerate(log) if str(entry.number) == rest]
    elif kind == "log":
        places = [int(rest) - 1] if rest.isdecimal() and 0 < int(rest) <= len(log) else []
    else:
        time = _time(rest)
        places = [place for place, entry in enumerate(log) if datetime.fromisoformat(entry.at) <= time]
        places = places or [len(log)]  # before everything
    if not places:
        raise errors.ConfigError(
            "state.unknown", f"{job} has no {word} in its history", hint=f"see `dativo state log {job}`"
        )
    place = places[0]
    text = next((entry.text for entry in log[place:] if entry.text is not None), "{}")
    return Moment(word, text, place)


def _time(text: str) -> datetime:
    try:
        found_time = datetime.fromisoformat(text)
    except ValueError:
        raise errors.ConfigError(
            "state.invalid", f"at:{text} names no time", hint="write it like at:2026-11-22T06:00, or with its zone"
        ) from None
    return found_time.astimezone()  # a time without a zone is local


@dataclass(frozen=True)
class Reread:
    """What going back would read again, as far as the history knows it."""

    records: int | None
    """None where it does not."""
    runs: tuple[int, ...]


def reread(log: Sequence[Entry], stream: str | None, to: Moment | None, value: position.Value | None) -> Reread:
    """The records of the runs that moved the bookmark past a moment, or a stream past a value."""
    from dativo.state.bookmark import streams

    total, runs = 0, list[int]()
    for place, entry in enumerate(log):
        if to is not None and place >= to.newer:
            return Reread(total, tuple(runs))
        if to is None and entry.text is not None and stream is not None:
            order = position.compare(position.of(streams(entry.text).get(stream)), value)
            if order is not None and order <= 0:
                return Reread(total, tuple(runs))
        counts = entry.stats.get("streams", {})
        chosen = counts if stream is None else {stream: counts.get(stream, {})}
        read = sum(one.get("records", 0) for one in chosen.values())
        if read and entry.number is not None and entry.number not in runs:
            total += read
            runs.append(entry.number)
    return Reread(total if to is not None else None, tuple(runs))
