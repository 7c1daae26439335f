"""A run of several attempts as one summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dativo.observe.summary import Summary


def joined(earlier: Sequence[Summary], last: Summary, seconds: float) -> Summary:
    """The last attempt's summary with what the earlier ones moved; `seconds` is the run's time, waits included."""
    if not earlier:
        return last
    every = [*earlier, last]
    return replace(
        last,
        seconds=seconds,
        streams=_added(one.streams for one in every),
        bytes=sum(one.bytes for one in every),
        states=sum(one.states for one in every),
        confirmed=sum(one.confirmed for one in every),
        covered=sum(one.covered for one in every),
        junk=_numbers(one.junk for one in every),
        repeated=sum(one.records - one.covered for one in earlier),
        notes=list(dict.fromkeys(note for one in every for note in one.notes)),
        books=_books(one.books for one in every),
        parallel=_together(every),
        confined={name: held for one in every for name, held in one.confined.items()},
        connections=_connections(every),
    )


def _numbers(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total


def _added(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for part in parts:
        for stream, numbers in part.items():
            total[stream] = _numbers((total.get(stream, {}), numbers))
    return total


def _books(parts: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The attempts' books as one: each begins behind the bookmark of the one before."""
    total: dict[str, dict[str, Any]] = {}
    for stream, book in (item for part in parts for item in part.items()):
        held = total.setdefault(stream, {"records": 0, "hash": "0"})
        whole = (int(held["hash"], 16) + int(book["hash"], 16)) % (1 << 128)
        total[stream] = {"records": held["records"] + book["records"], "hash": f"{whole:032x}"}
    return total


def _together(every: Sequence[Summary]) -> dict[str, Any]:
    """Of the attempts that had several taps at once the last, with the highest figures of all."""
    found = [one.parallel for one in every if one.parallel]
    most = {key: max(one[key] for one in found) for key in ("taps", "peak_memory")} if found else {}
    return {**found[-1], **most} if found else {}


def _connections(every: Sequence[Summary]) -> list[dict[str, Any]]:
    total: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in (connection for summary in every for connection in summary.connections):
        held = total.setdefault((one["plugin"], one["host"], one["port"]), {})
        for key, value in one.items():
            counts = isinstance(value, int) and key != "port" and isinstance(held.get(key), int)
            held[key] = held[key] + value if counts else value if value is not None else held.get(key)
    return list(total.values())
