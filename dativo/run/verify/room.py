"""The private folder that a check works in: beside the state store, because it may grow beyond what a tmpfs holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dativo.run import places, rundirs


@contextlib.contextmanager
def room(state_path: Path) -> Iterator[Path]:
    """A new folder (0700) that is gone afterwards; those of runs that crashed are swept first."""
    parent = state_path.parent / places.VERIFY
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rundirs.sweep(parent)
    import tempfile

    folder = Path(tempfile.mkdtemp(dir=parent))
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        with contextlib.suppress(OSError):
            parent.rmdir()
