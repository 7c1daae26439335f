"""A manifest's `errors` block: regular expressions that tell, in a plugin's own words, what passes and what does not.

They come from the plugin (I12): one that Python cannot read was left out when the manifest was read, and one that takes
for ever is stopped and means nothing.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Literal, NoReturn

PATIENCE = 1.0
LONGEST = 2000


class _TooLong(Exception):
    """A pattern was not done in time."""


def verdict(block: Mapping[str, Any], lines: Sequence[str]) -> Literal["transient", "permanent"] | None:
    """What the last line that any pattern matches says; permanent where both do."""
    if not block or not lines:
        return None
    try:
        with _within(PATIENCE):
            for line in reversed(lines):
                if _matches(block.get("permanent"), line):
                    return "permanent"
                if _matches(block.get("transient"), line):
                    return "transient"
    except _TooLong:
        return None
    return None


def _matches(expressions: Sequence[str] | None, line: str) -> bool:
    return any(re.search(one, line[:LONGEST], re.IGNORECASE) for one in expressions or ())


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise _TooLong when the time is over: the matcher of `re` looks at signals while it works."""

    def over(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _TooLong

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
