"""Crash reports: where a bug happened and in which versions, and nothing that a user typed or configured.

I13: an exception's message and a frame's variables can hold a secret, so neither is written; types and places are.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from pathlib import Path

from dativo import __version__, errors
from dativo.cli.main import COMMANDS
from dativo.secrets.redact import REDACTOR


def write_report(problem: BaseException) -> Path | None:
    """Write a report into the state directory; None if even that is not possible."""
    from dativo.config.paths import state_dir

    word = sys.argv[1] if len(sys.argv) > 1 else ""
    lines = [
        f"dativo {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {word if word in COMMANDS else '(a plugin, or none)'}",
        "Messages and values are left out on purpose. To see them on the terminal: DATIVO_DEBUG=1",
        "",
        *_places(problem),
    ]
    try:
        folder = state_dir() / "crashes"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = folder / f"{stamp}-{os.getpid()}.txt"
        path.write_text(REDACTOR.text("\n".join(lines)) + "\n", encoding="utf-8")
    except (OSError, errors.DativoError):
        return None
    return path


def _places(problem: BaseException) -> list[str]:
    """The chain of exceptions, innermost cause first, as types and frames."""
    chain: list[BaseException] = []
    link: BaseException | None = problem
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    lines = []
    for one in reversed(chain):
        kind = type(one)
        lines.append(f"{kind.__module__}.{kind.__qualname__}")
        for frame in traceback.extract_tb(one.__traceback__):
            lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}")
    return lines
