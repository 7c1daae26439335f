"""Replacing a file so that a reader sees the old or the new text, never half of it, and one writer at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from dativo import errors
from dativo.config.paths import state_dir


def write(path: Path, text: str, *, private: bool = False) -> None:
    """Replace a file's text atomically and durably, keeping its mode. Read-only places become `env.read_only`.

    A `private` file is its owner's alone, whatever it was before (I13).
    """
    import tempfile

    path = path.resolve()
    handle, name = -1, ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if private else path.stat().st_mode & 0o777 if path.exists() else 0o644
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(path)
        name = ""
        _sync_folder(path.parent)
    except OSError as problem:
        raise fault(problem, path) from problem
    finally:
        if name:
            with contextlib.suppress(OSError):
                Path(name).unlink()


def move(made: Path, path: Path) -> None:
    """Put a finished file where it belongs, from another file system if need be. Raises OSError."""
    import shutil

    partial = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        shutil.move(made, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def fault(problem: OSError, path: Path) -> errors.EnvironmentFault:
    """The error for a failed write: a full disk or a read-only place."""
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    code = "env.disk_full" if full else "env.read_only"
    return errors.EnvironmentFault(code, f"{path} cannot be written: {problem.strerror or problem}")


@contextlib.contextmanager
def editing(path: Path) -> Iterator[None]:
    """Hold the right to change a file and its neighbours: two commands at once take turns. Leaves nothing beside it."""
    folder = state_dir() / "locks"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = folder / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:24]
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise fault(problem, folder) from problem
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
