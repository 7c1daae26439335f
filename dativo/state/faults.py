"""What a SQLite error means for the user: which code, which file, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dativo import errors
from dativo.state.schema import NotOurs

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say about the store into our errors."""
    try:
        yield
    except NotOurs as problem:
        raise errors.EnvironmentFault(
            "state.store", f"{path} is not Dativo's state store: {problem}", hint="move it away, or set state.path"
        ) from problem
    except sqlite3.Error as problem:
        raise _fault(problem, path) from problem
    except OSError as problem:
        raise _os_fault(problem, path) from problem


def _fault(problem: sqlite3.Error, path: Path) -> errors.DativoError:
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return errors.EnvironmentFault("env.disk_full", f"the disk is full: the state store {path} cannot grow")
    if code == sqlite3.SQLITE_READONLY:
        return errors.EnvironmentFault("env.read_only", f"the state store {path} is read-only")
    if code in _DAMAGED:
        return errors.EnvironmentFault(
            "state.store",
            f"the state store {path} is damaged ({problem})",
            details=(f"its companions: {path.name}-wal, {path.name}-shm",),
            hint="move all three away and restore a backup; without one, the next runs start from the beginning",
        )
    if code == sqlite3.SQLITE_BUSY:
        return errors.EnvironmentFault(
            "state.store",
            f"the state store {path} is locked by another process",
            hint="end the process that holds it open (a database browser, a backup), then run it again",
        )
    return errors.EnvironmentFault("state.store", f"the state store {path} cannot be used: {problem}")


def _os_fault(problem: OSError, path: Path) -> errors.DativoError:
    import errno

    reason = problem.strerror or str(problem)
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.EnvironmentFault("env.disk_full", f"the disk is full: the state store {path} cannot be made")
    if problem.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return errors.EnvironmentFault("env.read_only", f"the state store {path} cannot be written: {reason}")
    return errors.EnvironmentFault("state.store", f"the state store {path} cannot be used: {reason}")
