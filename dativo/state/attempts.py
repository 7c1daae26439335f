"""One attempt of a run: what ended it, and how long the next one was put off."""

from __future__ import annotations

from dativo.dataclass import dataclass


@dataclass(frozen=True)
class AttemptEntry:
    """One attempt as the history has it."""

    number: int
    started: str
    ended: str | None
    """None while it lasts."""
    verdict: str | None
    cause: str | None
    """transient, permanent or never: whether another attempt could help."""
    reason: str | None
    """The error's code."""
    message: str | None
    waited: float | None
    """Seconds until the next attempt; None where none was to follow."""
