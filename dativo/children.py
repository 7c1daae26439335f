"""Programs that this process starts and waits for itself, known as such: whoever looks for orphans passes them over.

A data plane that was killed leaves its plugins to this process (`dativo.bus.orphans`); a `uv` or `git` that runs in
another thread at that moment is nobody's orphan. Imports nothing of Dativo; anyone may import it.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from typing import Any

LOCK = threading.RLock()
CLAIMED: set[int] = set()
"""Children that somebody here waits for."""
SEARCH = threading.Lock()
"""Held while a program is looked for: sysconfig's first use is not safe in two threads before Python 3.12."""


def popen(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a child that is no orphan until `release` says so."""
    with LOCK:  # between its start and its being known nobody looks for orphans
        process = subprocess.Popen(command, **options)
        CLAIMED.add(process.pid)
    return process


def release(pid: int) -> None:
    """The child was waited for: its number may be another's from now on."""
    with LOCK:
        CLAIMED.discard(pid)


def run(
    command: Sequence[str],
    *,
    timeout: float | None = None,
    given: str | None = None,
    undecodable: str = "replace",
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end: its texts and its code. OSError and TimeoutExpired as of `subprocess.run`.

    `undecodable` is what becomes of bytes that are no text, as for `bytes.decode`.
    """
    process = popen(
        command,
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors=undecodable,
        **options,
    )  # fmt: skip
    try:
        stdout, stderr = process.communicate(given, timeout=timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    finally:
        release(process.pid)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
