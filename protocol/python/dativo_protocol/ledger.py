"""When a target's line confirms a STATE: SPEC.md section 6, as a small state machine.

The data plane has its own in Rust; this one serves tests and the conformance suite, and runs the same vectors.
I1: only a STATE that was sent, and that the target read, can be confirmed. I4: after a confirmed STATE no earlier one
counts.
"""

from __future__ import annotations

from typing import Any, Literal

from dativo_protocol import bookmark
from dativo_protocol.codec import decode
from dativo_protocol.fault import WireError

Answer = Literal["confirmed", "known", "empty", "foreign", "log"]


class StateLedger:
    """The STATEs that were sent, and how far the target has confirmed them."""

    def __init__(self) -> None:
        self.confirmed: int | None = None  # index of the STATE that is the bookmark
        self.values: list[Any] = []
        self._newest: dict[bytes, int] = {}

    def sent(self, value: Any) -> None:
        """A STATE was sent, and the target has read it."""
        self._newest[bookmark.canonical(value)] = len(self.values)
        self.values.append(value)

    def answer(self, line: bytes) -> Answer:
        """What a line on the target's stdout means. `known` is a STATE no newer than the bookmark: it moves nothing."""
        try:
            value = decode(line)
        except WireError:
            return "log"
        if bookmark.is_empty(value):
            return "empty"
        index = self._newest.get(bookmark.canonical(value)) if isinstance(value, dict) else None
        if index is None:
            return "foreign"
        if self.confirmed is not None and index <= self.confirmed:
            return "known"
        self.confirmed = index
        return "confirmed"
