"""Long work in a thread of its own, while this one keeps the lease and listens to Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TICK = 0.25


def aside(work: Callable[[], T], *, stop: Callable[[], None], beat: Callable[[], None] | None = None) -> T:
    """What `work` returns or raises. `stop` makes it end early: after a signal, or when `beat` raises."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            while True:
                try:
                    return future.result(TICK)
                except TimeoutError:
                    if future.done():
                        raise
                if beat is not None:
                    beat()
        finally:
            if not future.done():
                stop()
