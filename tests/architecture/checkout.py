"""The files of this checkout that git knows, or would know."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def files() -> tuple[Path, ...]:
    """Tracked files and new ones that are not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file())


def sources(*suffixes: str) -> list[Path]:
    """Those with one of the suffixes."""
    return [path for path in files() if path.suffix in suffixes]


def name(path: Path) -> str:
    """The path as git shows it."""
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    """The content; bytes that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")
