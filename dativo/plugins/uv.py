"""Runs uv, the installer. The only module that does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from dativo import errors

_OWN = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "CONDA_PREFIX")
_SEARCH = threading.Lock()  # uv asks sysconfig, whose first use is not safe in two threads before Python 3.12


@cache
def find() -> Path:
    """The uv executable: DATIVO_UV, the one of the package uv, else the one on PATH; the error lists each place."""
    tried = []
    given = os.environ.get("DATIVO_UV")
    if given:
        if os.access(given, os.X_OK):
            return Path(given)
        tried.append(f"DATIVO_UV={given}")
    try:
        from uv import find_uv_bin

        with _SEARCH:
            return Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        tried.append("the Python package uv")
    found = shutil.which("uv")
    if found:
        return Path(found)
    raise errors.EnvironmentFault("env.uv_missing", "uv was not found", details=(*tried, "uv on PATH"))


def run(arguments: Sequence[str], *, what: str, offline: bool = False, timeout: float = 1800) -> str:
    """Run uv and return its stdout; a failure becomes one error whose details are uv's last lines."""
    command = [str(find()), *arguments, *(["--offline"] if offline else [])]
    environment = {key: value for key, value in os.environ.items() if key not in _OWN}
    environment |= {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "SOURCE_DATE_EPOCH": "315532800"}
    environment.setdefault("UV_LINK_MODE", "copy")  # a file shared with uv's cache could be changed for every plugin
    try:
        with tempfile.TemporaryDirectory(prefix="dativo-uv-") as empty:  # no project's uv settings apply here
            done = subprocess.run(
                command,
                cwd=empty,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
    except subprocess.TimeoutExpired as problem:
        raise errors.EnvironmentFault("plugin.install_failed", f"{what}: uv took over {timeout:.0f} s") from problem
    except OSError as problem:
        raise errors.EnvironmentFault("env.uv_missing", f"uv cannot be started: {problem.strerror}") from problem
    if done.returncode:
        raise failure(what, done.stderr or done.stdout, offline=offline)
    return done.stdout


def failure(what: str, output: str, *, offline: bool) -> errors.DativoError:
    """The error for uv's output: who and why in a line, uv's own words below it, credentials in URLs hidden (I13)."""
    text = re.sub(r"//[^/@\s]+@", "//***@", output).strip()
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    details = tuple(lines[-16:])
    if "No space left on device" in text:
        return errors.EnvironmentFault("env.disk_full", f"{what}: the disk is full", details=details)
    if "Read-only file system" in text or "Permission denied" in text:
        return errors.EnvironmentFault("env.read_only", f"{what}: a place is not writable", details=details)
    unknown = re.search(r"Because (\S+) was not found in the (?:package registry|provided package locations)", text)
    if unknown and not offline:
        return errors.ConfigError("plugin.unknown", f"{what}: there is no package {unknown[1]}", hint="check the name")
    hint = "leave --offline out once to fill the cache" if offline else None
    return errors.EnvironmentFault("plugin.install_failed", f"{what} failed", details=details, hint=hint)
