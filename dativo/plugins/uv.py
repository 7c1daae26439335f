"""Runs uv, the installer. The only module that does."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cache
from pathlib import Path

from dativo import children, errors
from dativo.dataclass import dataclass
from dativo.plugins import work
from dativo.secrets.redact import REDACTOR

_OWN = (
    "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "CONDA_PREFIX",
    "UV_COMPILE_BYTECODE", "UV_REQUIRE_HASHES", "UV_NO_BUILD", "UV_NO_BINARY")  # fmt: skip
STEADY = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "SOURCE_DATE_EPOCH": "315532800"}
"""What every uv is given, so that it says and builds the same everywhere."""


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

        with children.SEARCH:
            return Path(find_uv_bin())
    except (ImportError, FileNotFoundError):
        tried.append("the Python package uv")
    found = shutil.which("uv")
    if found:
        return Path(found)
    raise errors.EnvironmentFault("env.uv_missing", "uv was not found", details=(*tried, "uv on PATH"))


@dataclass(frozen=True)
class Uv:
    """How uv is run by one command: with the cache only or not, with what in its environment (never in argv, I13)."""

    offline: bool = False
    refresh: bool = False
    """Whether the pages of an index are asked for again, however young they are in the cache."""
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Indexes and their credentials, as `index.environment` makes them."""

    def run(self, arguments: Sequence[str], *, what: str) -> str:
        """As `run`, for this command."""
        words = [*arguments, "--refresh"] if self.refresh and list(arguments[:2]) == ["pip", "compile"] else arguments
        return run(words, what=what, offline=self.offline, given=self.given)


def run(
    arguments: Sequence[str],
    *,
    what: str,
    offline: bool = False,
    given: Mapping[str, str] | None = None,
    timeout: float = 1800,
) -> str:
    """Run uv and return its stdout; a failure becomes one error whose details are uv's last lines."""
    command = [str(find()), *arguments, *(["--offline"] if offline else [])]
    environment = {key: value for key, value in os.environ.items() if key not in _OWN} | STEADY | dict(given or {})
    environment.setdefault("UV_LINK_MODE", "copy")  # a file shared with uv's cache could be changed for every plugin
    try:
        with work.folder("uv") as empty:  # no project's uv settings apply here
            done = children.run(command, cwd=empty, env=environment, timeout=timeout)
    except subprocess.TimeoutExpired as problem:
        raise errors.EnvironmentFault("plugin.install_failed", f"{what}: uv took over {timeout:.0f} s") from problem
    except OSError as problem:
        raise errors.EnvironmentFault("env.uv_missing", f"uv cannot be started: {problem.strerror}") from problem
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        hint = "is there enough memory? else run it again: nothing was changed"
        raise errors.EnvironmentFault("plugin.install_failed", f"{what}: uv was killed by {name}", hint=hint)
    if done.returncode:
        raise failure(what, done.stderr or done.stdout, offline=offline)
    return done.stdout


def failure(what: str, output: str, *, offline: bool) -> errors.DativoError:
    """The error for uv's output: who and why in a line, uv's own words below it, credentials in URLs hidden (I13)."""
    text = REDACTOR.text(re.sub(r"//[^/@\s]+@", "//***@", output)).strip()
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    details = tuple(lines[-16:])
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return errors.EnvironmentFault("env.disk_full", f"{what}: the disk is full", details=details)
    if "Read-only file system" in text or "Permission denied" in text:
        return errors.EnvironmentFault("env.read_only", f"{what}: a place is not writable", details=details)
    said = unfolded(text)
    if offline:
        hint = "leave --offline out once to fill the cache"
        return errors.EnvironmentFault("plugin.install_failed", f"{what} failed", details=details, hint=hint)
    return _told(what, said, details) or errors.EnvironmentFault(
        "plugin.install_failed", f"{what} failed", details=details
    )


def unfolded(text: str) -> str:
    """What uv says on one line: it folds its sentences and draws frames beside them (box-drawing signs and arrows)."""
    return " ".join(re.sub("[\u2500-\u257f\u25a0-\u25ff\u00d7]", " ", text).split())


def _told(what: str, said: str, details: tuple[str, ...]) -> errors.DativoError | None:  # noqa: PLR0911 - a table
    """The error of a cause that uv names."""
    if re.search(
        r"Missing credentials|\b40[13] (?:Unauthorized|Forbidden)|due to a lack of valid authentication", said
    ):
        return errors.ConfigError("index.denied", f"{what}: the package index wants credentials", details=details)
    if unknown := re.search(
        r"Because (\S+) was not found in the (?:package registry|provided package locations)", said
    ):
        return errors.ConfigError("plugin.unknown", f"{what}: there is no package {unknown[1]}", hint="check the name")
    if re.search(r"Failed to fetch|error sending request|Could not connect|Connection refused|dns error", said):
        return errors.RunError("index.unreachable", f"{what}: the package index cannot be reached", details=details)
    python = re.search(r"(?:depends on|requires|satisfy) Python\s?([<>=!~][^\s,]*(?:,[<>=!~][^\s,]*)*)", said)
    if python and "unsatisfiable" in said:
        return errors.ConfigError(
            "plugin.python", f"{what}: it needs Python {python[1]}", details=details,
            hint="install it with another Python: --python VERSION (uv fetches one where it can)",
        )  # fmt: skip
    absent = re.search(
        r"No (?:interpreter|download) found for (?:Python )?([^\s,;]+)|[Ii]nvalid version request:? (\S+)", said
    )
    if absent:
        return errors.ConfigError(
            "plugin.python", f"{what}: there is no Python {absent[1] or absent[2]} here, nor to be had",
            details=details,
            hint="name another: --python 3.11",
        )  # fmt: skip
    if "unsatisfiable" in said or "cannot be used" in said:
        return errors.ConfigError("plugin.conflict", f"{what}: {_reason(said)}", details=details)
    return None


def _reason(said: str) -> str:
    """uv's first reason, without what it concludes from it."""
    found = re.search(r"Because (.+?)(?:, we can conclude|\. And because|\.(?: |$))", said)
    return found[1] if found else "no versions fit together"
