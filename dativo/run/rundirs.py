"""The private directory of each run: its name, and the sweep of what a crash left behind.

The data plane makes the directory (0700), holds a lock on `lock` in it while it lives, and removes it at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from dativo import errors
from dativo.config.paths import private_dir, runtime_dir

YOUNG = 60.0
"""Seconds in which a directory without a lock file may still get one."""


def fresh_id(prefix: str) -> str:
    """A name for something the state store does not number: a probe, or a tap beside a foreign program."""
    return f"{prefix}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(4).hex()}"


def run_dir(name: str) -> str:
    """Where a run's private files go; the parent exists, the directory itself is the bus's to make."""
    return str(_parent() / name)


def spool_dir(room: int) -> str:
    """A fresh name for a run's spool, in memory where there is room for it; the directory is the bus's to make."""
    return str(_spools(room) / f"spool-{os.urandom(6).hex()}")


def _spools(room: int) -> Path:
    shared = Path("/dev/shm")  # noqa: S108 - a private folder in it
    with contextlib.suppress(OSError, errors.EnvironmentFault):
        about = os.statvfs(shared)
        if shared.is_mount() and about.f_bavail * about.f_frsize > 2 * room:
            return private_dir(shared / f"dativo-{os.getuid()}")
    return private_dir(runtime_dir() / "spools")


def sweep(parent: Path | None = None) -> None:
    """Remove the directories of runs that are over: nobody holds their lock (I13: they may hold a config)."""
    for path in [one for folder in ([parent] if parent else [_parent(), _spools(0)]) for one in folder.iterdir()]:
        with contextlib.suppress(OSError):
            if _abandoned(path):
                remove(path)


def remove(path: Path) -> None:
    """Remove what a data plane that was killed could not tidy up; nothing happens if it did."""
    if path.exists():
        import shutil

        shutil.rmtree(path, ignore_errors=True)


def _parent() -> Path:
    folder = runtime_dir() / "runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _abandoned(path: Path) -> bool:
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - path.stat().st_mtime > YOUNG
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
