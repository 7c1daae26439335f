"""Where Dativo keeps things: the XDG directories, or one place when DATIVO_HOME is set."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dativo import errors


def data_dir() -> Path:
    """Installed plugin environments."""
    return _made(_place("data", "XDG_DATA_HOME", ".local/share"))


def cache_dir() -> Path:
    """What can be made again: built wheels, clones, parsed lock files."""
    return _made(_place("cache", "XDG_CACHE_HOME", ".cache"))


def state_dir() -> Path:
    """Bookmarks and history of jobs outside a project."""
    return _made(_place("state", "XDG_STATE_HOME", ".local/state"))


def config_dir() -> Path:
    """The user's own project: dativo.yml and dativo.lock used where no project is found."""
    return _made(_place("config", "XDG_CONFIG_HOME", ".config"))


def runtime_dir() -> Path:
    """Run directories and pipe rendezvous: private, gone after a reboot. Falls back to a private folder in TMPDIR."""
    home = os.environ.get("DATIVO_HOME")
    if home:
        return _private(_made(Path(home).expanduser().absolute() / "run"))
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir() and os.access(given, os.W_OK | os.X_OK):
        return _private(_made(Path(given) / "dativo"))
    import tempfile

    return _private(_made(Path(tempfile.gettempdir()) / f"dativo-{os.getuid()}"))


def private_dir(path: Path) -> Path:
    """A folder of this user's alone, made where there is none; refused where it is somebody else's."""
    return _private(_made(path))


def _place(kind: str, variable: str, default: str) -> Path:
    home = os.environ.get("DATIVO_HOME")
    if home:
        return Path(home).expanduser().absolute() / kind
    base = os.environ.get(variable)
    # The XDG specification: a relative path in these variables is invalid and must be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / default
    return root / "dativo"


def _made(path: Path) -> Path:
    """The directory, created 0700 with its parents. A read-only place is fine as long as the directory exists."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as problem:
        raise errors.EnvironmentFault("env.read_only", f"{path} is not a directory") from problem
    except OSError as problem:
        raise errors.EnvironmentFault(
            "env.read_only", f"cannot make {path}: {problem.strerror}", hint="make it writable, or set DATIVO_HOME"
        ) from problem
    return path


def _private(path: Path) -> Path:
    """Refuse a run directory that somebody else owns or may enter: it will hold secrets (I13)."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise errors.EnvironmentFault("env.run_dir", f"{path} belongs to another user")
    if found.st_mode & 0o077:
        path.chmod(0o700)
    return path
