"""The selected streams of a tap, divided: each share is read by a tap of its own, at its own time.

Streams that depend on each other are one share: children with their parent, where the catalog names it, and what the
job says belongs together. Of very many streams several are one share: a tap's start is not free.

A tap is handed the bookmarks of its share only, and has a say in those only. So a stream that depends on another in a
way that nobody has told is read again rather than missed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from dativo.dataclass import dataclass
from dativo.run.catalog import deselected
from dativo.state import bookmark

PER_TAP = 8
"""Shares that each of the taps may have one after the other; more streams than that share them."""
PARENT = ("parent-tap-stream-id", "parent_tap_stream_id", "parent-stream", "parent_stream", "parent")
"""How catalogs name a stream's parent: in the entry, or in its metadata."""


@dataclass(frozen=True)
class Share:
    """Some streams for one tap."""

    streams: tuple[str, ...]
    """As the tap's messages call them."""
    catalog: str
    """The tap's catalog with no other stream selected."""
    others: frozenset[str]
    """The names and ids of every other stream of the catalog."""

    def state(self, text: str | None) -> str | None:
        """What the tap is handed of the job's bookmark."""
        if text is None:
            return None
        whole = bookmark.parse(text)
        entries = whole.get("bookmarks")
        if not isinstance(entries, dict):
            return text
        own = {name: part for name, part in entries.items() if name not in self.others}
        rest = {key: value for key, value in whole.items() if key != "currently_syncing"}
        return bookmark.exact_text({**rest, "bookmarks": own}) if own or len(rest) > 1 else None


def divided(catalog: str, taps: int, together: Sequence[Sequence[str]] = ()) -> list[Share]:
    """The shares of a catalog, in its order. `together`: patterns of names that belong together."""
    from dativo_protocol.catalog import selected_streams

    document = json.loads(catalog)
    entries = document["streams"]
    chosen = set(selected_streams(document))
    picked = [at for at, one in enumerate(entries) if _names(one) & chosen]
    groups = _bundled(_grouped(entries, picked, together), taps * PER_TAP)
    return [_share(document, group) for group in groups]


def _share(document: dict[str, Any], group: Sequence[int]) -> Share:
    entries = document["streams"]
    catalog = {**document, "streams": [one if at in group else deselected(one) for at, one in enumerate(entries)]}
    own = {name for at in group for name in _names(entries[at])}
    others = {name for one in entries for name in _names(one)} - own
    names = tuple(str(entries[at].get("stream", entries[at].get("tap_stream_id"))) for at in group)
    return Share(names, json.dumps(catalog, ensure_ascii=False), frozenset(others))


def _grouped(
    entries: Sequence[dict[str, Any]], picked: Sequence[int], together: Sequence[Sequence[str]]
) -> list[list[int]]:
    """Positions of the streams that belong together: each its own root until something joins it to another."""
    root = {at: at for at in picked}

    def find(at: int) -> int:
        while root[at] != at:
            at = root[at]
        return at

    def join(members: Sequence[int]) -> None:
        for at in members[1:]:
            one, other = sorted((find(members[0]), find(at)))
            root[other] = one

    for patterns in together:
        join([at for at in picked if any(fnmatchcase(name, one) for name in _names(entries[at]) for one in patterns)])
    for parent in {name for at in picked if (name := _parent(entries[at]))}:
        join([at for at in picked if parent in _names(entries[at]) or _parent(entries[at]) == parent])
    groups: dict[int, list[int]] = {}
    for at in picked:
        groups.setdefault(find(at), []).append(at)
    return list(groups.values())


def _bundled(groups: list[list[int]], most: int) -> list[list[int]]:
    if len(groups) <= most:
        return groups
    return [[one for group in groups[at::most] for one in group] for at in range(most)]


def _parent(entry: dict[str, Any]) -> str | None:
    own = next((one.get("metadata") for one in entry.get("metadata", []) if not one.get("breadcrumb")), None) or {}
    found = (place.get(key) for place in (entry, own) for key in PARENT)
    return next((one for one in found if isinstance(one, str) and one), None)


def _names(entry: dict[str, Any]) -> set[str]:
    return {str(entry[key]) for key in ("tap_stream_id", "stream") if entry.get(key) is not None}
