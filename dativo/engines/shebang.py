"""The interpreter that a script's first line names, and the folders that it is sought in.

A script (`executable: ./tap.py`) is started by the kernel, `#!/usr/bin/env python` seeks `python` on the plugin's PATH:
the system's folders. Debian has no `python` there; the user's own PATH mostly does, and other tools start the script
with that. Its folder is added then, and only then.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def words(path: Path) -> list[str]:
    """The first line's words; none for what is no script."""
    try:
        with path.open("rb") as stream:
            first = stream.readline(512)
    except OSError:
        return []
    return first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []


def sought(path: Path) -> str | None:
    """The name that `env` seeks for a script; None where its first line names a path, or there is none."""
    interpreter, *rest = words(path) or [""]
    if Path(interpreter).name != "env":
        return None
    return next((word for word in rest if not word.startswith("-") and "=" not in word), None)


def search_path(home: Path | None, executable: Path) -> str:
    """PATH of a plugin in the environment `home`, or of a script on its own."""
    if home:
        return f"{home}/bin:{SYSTEM_PATH}"
    name = sought(executable)
    if name is None or shutil.which(name, path=SYSTEM_PATH):
        return SYSTEM_PATH
    found = shutil.which(name, path=os.environ.get("PATH"))
    if found is None or not Path(found).is_absolute() or ":" in found:
        return SYSTEM_PATH
    return f"{SYSTEM_PATH}:{Path(found).parent}"
