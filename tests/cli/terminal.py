"""How these tests run `dativo`: as a process with a home of its own, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A clean environment."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "DATIVO_BUS")}
    return {**kept, "HOME": str(home), "DATIVO_HOME": str(home / "dativo"), **more}


def command(*words: object) -> list[str]:
    """`dativo WORDS`, whatever is on PATH."""
    return [sys.executable, "-m", "dativo.cli.main", *map(str, words)]


def dativo(folder: Path, *words: object, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run `dativo WORDS` in `folder`, its home in `folder`/home."""
    return subprocess.run(
        command(*words),
        cwd=folder,
        env=environment(folder / "home", **more),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
