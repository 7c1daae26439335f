"""Which data plane this is: the version that the executable prints."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dativo import errors


def bus_version(path: Path) -> str:
    """What `dativo-bus --version` says, without the name. Raises EnvironmentFault bus.missing if it does not run."""
    try:
        done = subprocess.run(
            [str(path), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as problem:
        raise errors.EnvironmentFault("bus.missing", f"{path} does not run: {problem}") from problem
    words = done.stdout.split()
    if done.returncode != 0 or len(words) < 2:
        raise errors.EnvironmentFault("bus.missing", f"{path} --version ended with {done.returncode} and no version")
    return words[1]
