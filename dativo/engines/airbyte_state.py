"""Bookmarks of Airbyte sources: what is handed to the source, and what the data plane goes on from.

A bookmark is `{"bookmarks": {STREAM: AirbyteStreamState}, "airbyte": {"type": "STREAM" | "GLOBAL" | "LEGACY", …}}`
(SPEC.md, section 15).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dativo import errors


def read(state: Mapping[str, Any] | str | None, plugin: str) -> dict[str, Any] | None:
    """The bookmark with every digit of its numbers, None if there is none; `state.invalid` when it is another tap's."""
    from dativo_protocol import codec

    if state is None or state in ("", "{}", "null") or not state:
        return None
    try:
        value = codec.decode(state.encode()) if isinstance(state, str) else dict(state)
        streams, kind = value.get("bookmarks") or {}, value.get("airbyte") or {}
        sound = isinstance(streams, dict) and isinstance(kind, dict) and all(_is_state(one) for one in streams.values())
    except (ValueError, AttributeError, RecursionError):
        sound = False
    if not sound or not set(value) <= {"bookmarks", "airbyte"}:
        raise errors.ConfigError(
            "state.invalid",
            f"{plugin} cannot go on from this bookmark: it is not that of an Airbyte source",
            hint="another tap has written it; to read all again: --full-refresh",
            context={"plugin": plugin},
        )
    return {"bookmarks": streams, "airbyte": kind}


def _is_state(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("stream_descriptor"), dict)


def split(
    bookmark: dict[str, Any] | None, incremental: Collection[str], configured: Collection[str]
) -> tuple[str | None, str | None]:
    """What the source is given with --state, and what of the bookmark stays until it says something else; JSON texts.

    A stream that is read in full begins anew: with a state it would go on, or find that nothing is left.
    """
    from dativo_protocol import codec

    if bookmark is None:
        return None, None
    streams, kind = bookmark["bookmarks"], bookmark["airbyte"]
    known = {name: one for name, one in streams.items() if name in incremental}
    stays = {name: one for name, one in streams.items() if name in incremental or name not in configured}
    handed: Any = None
    match kind.get("type"):
        case "LEGACY":
            handed = kind.get("data") if incremental else None
        case "GLOBAL" if incremental:
            shared = {"shared_state": kind.get("shared_state"), "stream_states": list(known.values())}
            handed = [{"type": "GLOBAL", "global": shared}]
        case _:
            handed = [{"type": "STREAM", "stream": one} for one in known.values()]
    base = codec.encode({"bookmarks": stays, "airbyte": kind}).decode()
    return (codec.encode(handed).decode() if handed else None), base
