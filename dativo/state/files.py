"""The state store as plain files: one JSON document a job in a folder, for state kept under version control or on NFS.

A document is replaced as a whole: written beside the old one, synced, renamed over it, and the folder synced (I2). One
lock file (flock) lets one process at a time compare and replace, so that a stale holder's write finds out (I5).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.state.documents import ENDING, Changed, DocumentStore
from dativo.state.faults import translated
from dativo.state.location import Location

LOCK_TIMEOUT = 10.0
LOCK = ".lock"


class FileStore(DocumentStore):
    """A folder of documents."""

    def __init__(self, folder: Path, *, to_read: bool = False) -> None:
        super().__init__()
        self.path = folder
        self.place = str(folder)
        self._to_read = to_read

    @classmethod
    def opened(cls, at: Location, *, to_read: bool = False) -> FileStore:
        """Make the folder (mode 0700) where there is none, unless it is only to be read."""
        assert at.path is not None
        store = cls(at.path, to_read=to_read)
        with store._translated():
            if at.path.exists() and not at.path.is_dir():
                raise errors.EnvironmentFault(
                    "state.store",
                    f"{at.path} is a file, and this store is a folder of files",
                    hint="name a folder in state.url, or write sqlite:///PATH for a SQLite file",
                )
            if not to_read:
                at.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                with store._locked():
                    pass  # says now, not at the first bookmark, that the folder cannot be written
        return store

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self.path):
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        held = os.open(self.path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            give_up = time.monotonic() + LOCK_TIMEOUT
            while True:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise errors.EnvironmentFault(
                            "state.store",
                            f"the state store {self.path} is locked by another process",
                            hint=f"end the process that holds {self.path / LOCK}, then run it again",
                        ) from None
                    time.sleep(0.005)
                else:
                    break
            yield
        finally:
            os.close(held)

    def _get(self, name: str) -> tuple[bytes, Any] | None:
        try:
            content = (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content, hashlib.sha256(content).hexdigest()

    def _set(self, name: str, content: bytes, version: Any) -> Any:
        with self._locked():
            there = self._get(name)
            if (there[1] if there else None) != version:
                raise Changed
            self._put(name, content)
        return hashlib.sha256(content).hexdigest()

    def _put(self, name: str, content: bytes) -> None:
        place = self.path / name
        if not place.parent.is_dir():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (place.parent.parent, self.path):
                _sync(folder)
        beside = place.with_name(f".{os.getpid()}.new")
        opened = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(opened, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync(place.parent)

    def _names(self) -> list[str]:
        if not self.path.is_dir():
            return []
        return sorted(
            one.name for one in self.path.iterdir() if one.name.endswith(ENDING) and not one.name.startswith(".")
        )

    def describe(self) -> str:
        """How many documents and how large."""
        sizes = [one.stat().st_size for one in self.path.rglob(f"*{ENDING}")]
        return f"{len(self._names())} files, {sum(sizes) / (1 << 20):.1f} MiB  {self.path}"


def _sync(folder: Path) -> None:
    """Make names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
