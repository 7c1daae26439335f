"""Tapes: where a run's recording is kept, how it is begun, and what one says about itself.

The data plane writes a tape while the run lasts (`protocol/SPEC.md`, section 13). It holds every record: it is made for
its owner alone (0600), and what is known to be secret is replaced in the log lines only.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.project import Project, working_directory
from dativo.native import find_bus
from dativo.run.options import RunOptions

FOLDER = "tapes"
SUFFIX = ".tape.zst"
MAGIC = b"\x28\xb5\x2f\xfd"
"""What a zstd file begins with."""


def place(project: Project, options: RunOptions, name: str) -> str | None:
    """The absolute path of a run's tape; None when nothing is recorded."""
    if options.record is None:
        return None
    if options.record:
        return os.path.abspath(working_directory() / Path(options.record).expanduser())  # noqa: PTH100 - no links followed
    return str((project.state_path.parent / FOLDER / f"{name}{SUFFIX}").absolute())


def begin(project: Project, options: RunOptions, name: str) -> list[str]:
    """Make the run's tape, empty and private, before the data plane appends to it. Returns what to tell the user.

    A tape that is there is recorded over; any other file is left alone.
    """
    found = place(project, options, name)
    if found is None:
        return []
    path = Path(found)
    try:
        path.parent.mkdir(mode=0o700 if not options.record else 0o755, parents=True, exist_ok=True)
        if path.exists() and not _is_tape(path):
            raise errors.ConfigError("tape.invalid", f"{path} is there and is no tape", hint="name another file")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, 0)
        finally:
            os.close(handle)
    except OSError as problem:
        raise atomic.fault(problem, path) from problem
    return [f"recorded in {_shown(path)}"]


def _is_tape(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) in (MAGIC, b"")


def _shown(path: Path) -> str:
    here = working_directory()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def find(project: Project, named: str) -> Path:
    """A tape by its file's name, or by its run's: one that lies beside the state store."""
    folder = project.state_path.parent / FOLDER
    for path in (Path(named).expanduser(), folder / named, folder / f"{named}{SUFFIX}"):
        if path.is_file():
            if not _is_tape(path):
                raise errors.ConfigError("tape.invalid", f"{path} is no tape")
            return path.absolute()
    known = sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))[-3:]
    hint = f"the last ones here: {', '.join(known)}" if known else None
    raise errors.ConfigError("tape.invalid", f"there is no tape {named}", hint=hint)


def info(path: Path) -> dict[str, Any]:
    """What a tape says: run, job, streams and their records, how the run ended."""
    done = subprocess.run([find_bus(), "--tape-info", str(path)], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("error[tape.invalid]  ")
        raise errors.ConfigError("tape.invalid", said or f"{path} cannot be read")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return {"file": str(path), "size": path.stat().st_size, **found}
