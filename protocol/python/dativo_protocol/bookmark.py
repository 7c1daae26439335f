"""The algebra of bookmarks: the values of STATE messages, SPEC.md section 6.

A bookmark is the tap's own affair: it is compared and kept, never understood. What little is known of its inside is the
convention `{"bookmarks": {tap_stream_id: …}, "currently_syncing": …}`; each stream's entry is atomic.
"""

from __future__ import annotations

from typing import Any

from dativo_protocol import exact

_SYNCING = "currently_syncing"


def canonical(value: Any) -> bytes:
    """One spelling for all equal values: keys in order, integers by their digits, other numbers as 64-bit floats."""
    return exact.encode(value, nonfinite="keep", sort_keys=True, rounded=True)


def same(a: Any, b: Any) -> bool:
    """Whether two STATE values are equal: key order, spacing and escapes apart."""
    return canonical(a) == canonical(b)


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: `{}` and null. It is never a bookmark, and never clears one."""
    return value is None or value == {}


def streams(value: Any) -> dict[str, Any] | None:
    """The entries of a conventional bookmark by stream; None where the value is opaque."""
    entries = value.get("bookmarks") if isinstance(value, dict) else None
    return entries if isinstance(entries, dict) else None


def merge(base: Any, update: Any) -> Any:
    """`update` on top of `base`, stream by stream. An opaque value replaces all; an empty one replaces nothing."""
    if is_empty(update) or (isinstance(update, dict) and update.get("bookmarks", 0) is None):
        return base
    ours, theirs = streams(base), streams(update)
    if ours is None or theirs is None:
        return update
    merged = {**base, **update, "bookmarks": {**ours, **theirs}}
    if _SYNCING not in update:  # it speaks of the run that wrote it
        merged.pop(_SYNCING, None)
    return merged


def get_stream(value: Any, stream: str) -> Any:
    """A stream's entry; None where there is none."""
    return (streams(value) or {}).get(stream)


def set_stream(value: Any, stream: str, entry: Any) -> dict[str, Any]:
    """The bookmark with one stream's entry replaced. Raises ValueError where it is opaque."""
    conventional = _conventional(value)
    return {**conventional, "bookmarks": {**conventional["bookmarks"], stream: entry}}


def clear_stream(value: Any, stream: str) -> dict[str, Any]:
    """The bookmark without a stream's entry. Raises ValueError where it is opaque."""
    conventional = _conventional(value)
    kept = {name: entry for name, entry in conventional["bookmarks"].items() if name != stream}
    cleared = {**conventional, "bookmarks": kept}
    if cleared.get(_SYNCING) == stream:
        del cleared[_SYNCING]
    return cleared


def _conventional(value: Any) -> dict[str, Any]:
    if is_empty(value):
        return {"bookmarks": {}}
    if streams(value) is None:
        raise ValueError("this bookmark has no entries by stream: it can only be set or cleared as a whole")
    whole: dict[str, Any] = value
    return whole
