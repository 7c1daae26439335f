"""What the two sides of a shell pipe tell each other: small private files named after the pipe's inode.

No byte is added to the stream. Each file is written whole (rename) with mode 0600 in the private runtime directory and
carries its author's pid and start time, so that a file left by a dead process is never taken for a living one's.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from dativo.config.paths import runtime_dir
from dativo.run.neighbours import Process

Kind = Literal["left", "right", "answer", "left-end", "right-end"]
"""The two adverts, the target side's answer to the tap side, and how each side ended."""

KEEP = 300.0
"""Seconds for which a dead author's file may still be awaited by a slow neighbour."""


class Rendezvous:
    """The files of one pipe, for one of its sides."""

    def __init__(self, key: str) -> None:
        self._folder = runtime_dir() / "pipes"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._key = key
        self._me = Process.this()

    def write(self, kind: Kind, content: dict[str, Any], reader: Process | None = None) -> None:
        """Publish, or replace what was published."""
        path = self._path(kind)
        text = json.dumps({**content, "by": asdict(self._me), "for": asdict(reader) if reader else None})
        fresh = path.with_name(f"{path.name}.{self._me.pid}")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)

    def read(self, kind: Kind, author: Process | None = None) -> dict[str, Any] | None:
        """What the other side has published; None if nothing, or if somebody else than `author` wrote it."""
        content = _load(self._path(kind))
        if content is None or (author is not None and content["by"] != asdict(author)):
            return None
        return content

    def for_us(self, content: dict[str, Any]) -> bool:
        """Whether a file was written for this process, or for whoever comes."""
        return content.get("for") in (None, asdict(self._me))

    def author(self, content: dict[str, Any]) -> Process:
        """Who wrote a file."""
        return Process(**content["by"])

    def remove(self, *kinds: Kind) -> None:
        """Take files away: ours, or all of them when nobody is left to read them."""
        for kind in kinds:
            self._path(kind).unlink(missing_ok=True)

    def _path(self, kind: Kind) -> Path:
        return self._folder / f"{self._key}.{kind}.json"


def _load(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("by"), dict) else None


def sweep() -> None:
    """Remove what dead processes left behind and no living one waits for."""
    folder = runtime_dir() / "pipes"
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            content = _load(path)
            with contextlib.suppress(OSError, TypeError):
                if content is None:
                    stale = time.time() - path.stat().st_mtime > KEEP
                else:
                    reader = content.get("for")
                    waited = Process(**reader).alive if reader else time.time() - path.stat().st_mtime < KEEP
                    stale = not Process(**content["by"]).alive and not waited
                if stale:
                    path.unlink()
