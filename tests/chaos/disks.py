"""A small disk that can be full: a tmpfs in a mount namespace of its own, which goes away with its holder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SIZE = 64 << 20
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
ENTER = ["--mount"] if os.geteuid() == 0 else ["--user", "--preserve-credentials", "--mount"]


class SmallDisk:
    """A disk of `SIZE` bytes, mounted at `at` for those lines that are prefixed with `enter`."""

    def __init__(self, at: Path) -> None:
        at.mkdir()
        self.at = at
        script = f"mount -t tmpfs -o size={SIZE},mode=0755 tmpfs '{at}' && echo mounted && exec cat"
        self._holder = subprocess.Popen(
            [*UNSHARE, "bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "mounted\n", "no small disk can be made here"

    @property
    def enter(self) -> list[str]:
        """What a command is prefixed with to see the disk."""
        return ["nsenter", "--target", str(self._holder.pid), *ENTER, "--"]

    @property
    def seen(self) -> Path:
        """The disk as others see it."""
        return Path(f"/proc/{self._holder.pid}/root{self.at}")

    def fill(self) -> None:
        """Leave not a byte free."""
        with (self.seen / "filler").open("wb", buffering=0) as filler:
            for block in (b"x" * 65536, b"x" * 512, b"x"):
                try:
                    while True:
                        filler.write(block)
                except OSError:
                    continue

    def empty(self) -> None:
        """Give the room back."""
        (self.seen / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """The disk is gone with all that is on it."""
        self._holder.communicate()
