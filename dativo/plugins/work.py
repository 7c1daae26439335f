"""Scratch folders of an install, and the sweep of what a killed one left behind.

All of them are in two places, cache_dir()/work and data_dir()/envs. Whoever installs holds a shared lock; who finds
nobody holding it knows that whatever lies there unfinished belongs to nobody any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dativo.config import atomic
from dativo.config.paths import cache_dir, data_dir
from dativo.plugins import seal

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

MAKING, GONE = ".making-", ".gone-"
MARKER, USERS = "dativo-env.json", "dativo-users"
LOOK_UP = 0.5
"""Seconds."""

T = TypeVar("T")


@contextlib.contextmanager
def folder(name: str, parent: Path | None = None) -> Iterator[Path]:
    """A fresh private folder, removed at the end."""
    place = parent if parent is not None else cache_dir() / "work"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        import tempfile

        made = Path(tempfile.mkdtemp(prefix=f"{MAKING}{name}-", dir=place))
    except OSError as problem:
        raise atomic.fault(problem, place) from problem
    try:
        yield made
    finally:
        seal.clear(made)


@contextlib.contextmanager
def installing() -> Iterator[None]:
    """For the length of an add, sync or remove: first sweep, then tell others that somebody is at work."""
    place = data_dir() / "envs"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(data_dir() / ".installing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise atomic.fault(problem, place) from problem
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sweep(place)
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _sweep(environments: Path) -> None:
    """Remove unfinished environments, scratch folders, and environments that no lock file names."""
    scratch = cache_dir() / "work"
    twins = cache_dir() / "envs"
    stale = [path for path in twins.iterdir() if path.name.startswith(MAKING)] if twins.is_dir() else []
    for path in [*stale, *(scratch.iterdir() if scratch.is_dir() else ())]:
        seal.clear(path)
    for path in environments.iterdir():
        if path.name.startswith((MAKING, GONE)) or (path.is_dir() and not path.name.startswith(".") and _unused(path)):
            seal.clear(path)


def _unused(environment: Path) -> bool:
    """Whether no lock file names it. One whose folder is out of reach now may come back."""
    try:
        digest = str(json.loads((environment / MARKER).read_bytes())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return True  # half made
    notes = environment / USERS
    for note in notes.iterdir() if notes.is_dir() else ():
        lock = Path(note.read_text(encoding="utf-8", errors="replace"))
        if not lock.parent.is_dir() or named(lock, digest):
            return False
    return True


def named(lock: Path, digest: str) -> bool:
    """Whether a lock file names the environment with that digest."""
    try:
        return digest in lock.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def each(pool: Executor, function: Callable[..., T], *given: Iterable[Any]) -> list[T]:
    """What `function` makes of each, several at once, in their order; the first error ends it.

    The main thread looks up now and then: where a signal reaches another thread, it is handled no sooner than that.
    """
    futures = [pool.submit(function, *one) for one in zip(*given, strict=True)]
    try:
        return [_result(one) for one in futures]
    finally:
        for one in futures:
            one.cancel()


def _result(future: Future[T]) -> T:
    while True:
        try:
            return future.result(timeout=LOOK_UP)
        except TimeoutError:
            if future.done():
                raise
