"""--continue-on-error: which stream a failure is blamed on, and the catalog without it.

The evidence, best first: the stream that the error names, the last log line of the failed plugin that names exactly one
selected stream, the stream whose records came last. Where a stream cannot be told, nothing is isolated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from dativo.run.attempt import Seen
from dativo.run.catalog import deselected
from dativo.run.causes import Cause

_NOT_A_STREAMS = ("env.", "state.", "secret.", "sandbox.", "job.", "run.", "bus.", "config.", "usage")
"""Failures of the whole run, whichever stream it was at."""


def selected(catalog: str) -> list[str]:
    """The selected streams of a catalog, as the tap's messages call them."""
    from dativo_protocol.catalog import selected_streams

    document = json.loads(catalog)
    chosen = set(selected_streams(document))
    return [_name(one) for one in document["streams"] if {_id(one), _name(one)} & chosen]


def blamed(cause: Cause, seen: Seen, lines: Sequence[str], streams: Sequence[str]) -> str | None:
    """The selected stream that the failure is blamed on, None when it is not one stream's."""
    if cause.kind == "never" or cause.reason.startswith(_NOT_A_STREAMS):
        return None
    if cause.stream is not None:
        return cause.stream if cause.stream in streams else None
    return _named(lines, streams) or (seen.flowing if seen.flowing in streams else None)


def _named(lines: Sequence[str], streams: Sequence[str]) -> str | None:
    for line in reversed(lines):
        found = [one for one in streams if re.search(rf"(?<![\w.-]){re.escape(one)}(?![\w-])", line)]
        if len(found) == 1:
            return found[0]
    return None


def without(catalog: str, streams: Sequence[str]) -> str | None:
    """The catalog with these streams deselected; None when nothing is left."""
    document = json.loads(catalog)
    document["streams"] = [deselected(one) if _name(one) in streams else one for one in document["streams"]]
    text = json.dumps(document, ensure_ascii=False)
    return text if selected(text) else None


def _id(stream: dict[str, Any]) -> str:
    return str(stream.get("tap_stream_id", stream.get("stream")))


def _name(stream: dict[str, Any]) -> str:
    return str(stream.get("stream", stream.get("tap_stream_id")))
