"""What can go wrong, as `error[code]  message` on stderr with the exit codes every Dativo plugin shares."""

from __future__ import annotations

import re

EXITS = {"usage": 2, "config": 2, "env": 3, "data": 4}
FULL = ("no space left", "file too large", "quota exceeded", "disk is full")
DENIED = ("permission denied", "read-only file system", "operation not permitted")
BROKEN = ("not a valid duckdb database", "is a directory", "could not read from file", "not a duckdb database")


class TargetError(Exception):
    """One error with its stable code; the exit code follows from the code's group."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def exit_code(self) -> int:
        """2 for what the user typed or configured, 3 for the machine, 4 for the data."""
        return EXITS.get(self.code.split(".", 1)[0], 1)

    def text(self) -> str:
        """The lines for stderr."""
        lines = f"error[{self.code}]  {self.message}"
        return f"{lines}\n  hint: {self.hint}" if self.hint else lines


def from_duckdb(error: Exception, path: str) -> TargetError:
    """Say in the plugin's codes what DuckDB reported: a lock, a full disk, a wrong file, a place it may not write."""
    text = str(error).strip().split("\n", 1)[0]
    low = str(error).lower()
    if "lock" in low and "conflicting" in low:
        found = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
        who = f"process {found[2]} ({found[1]})" if found else "another process"
        return TargetError(
            "env.locked",
            f"{path} is in use by {who}",
            "DuckDB lets one process write at a time: close it there, or end that process, and run this again",
        )
    if any(word in low for word in FULL):
        return TargetError(
            "env.disk_full", f"no room to write {path}: {text}", "free some space and run it again: it resumes"
        )
    if any(word in low for word in BROKEN):
        return TargetError(
            "config.invalid", f"{path} is not a DuckDB database", "set `path` to a DuckDB file or a new one"
        )
    if any(word in low for word in DENIED):
        return TargetError(
            "env.read_only", f"{path} cannot be written: {text}", "make the file and its folder writable"
        )
    if "no such file or directory" in low or "not a directory" in low:
        return TargetError("env.read_only", f"{path} cannot be made: {text}", "create its folder, or change `path`")
    return TargetError("env.duckdb", f"DuckDB failed on {path}: {text}", "see DuckDB's message above")
