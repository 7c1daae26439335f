"""Paths that may, and may not, be granted: from a permission's text to absolute paths, and what stays hidden in them.

A manifest asks on its author's behalf, so what would give away the machine, the user's keys or Dativo's own files is
refused. What the project's owner writes into dativo.yml by hand may go further (I6).
"""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dativo.config import paths
from dativo.config.policy import inside
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.run import letterbox, tape
from dativo.state import location

MATCHES = 10_000
"""How many files that a glob finds are looked at."""
GLOB = re.compile(r"[*?\[]")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr",
)  # fmt: skip
TREES = ("/", "/home", "/root", "/run", "/var", "/opt", "/srv", "/mnt", "/media", *SYSTEM)
KEYS = (
    ".ssh", ".aws", ".config", ".gnupg", ".kube", ".docker", ".azure", ".password-store", ".mozilla", ".netrc",
    ".pgpass", ".git-credentials", ".local/share/keyrings", ".bash_history", ".psql_history",
)  # fmt: skip
SPILL = "spill"
"""The folder beside the state store where lines wait for a target that may have to be started again."""
VERIFY = "verify"
"""The folder beside it where a destination is compared."""
SYSTEM_KEYS = ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh", "/etc/ssl/private")


@dataclass(frozen=True)
class Own:
    """Where Dativo keeps what decides what runs and what was run."""

    folders: tuple[str, ...]
    files: tuple[str, ...]

    @classmethod
    def of(cls, project: Project) -> Own:
        """Of a project and of the user."""
        kept = (paths.data_dir, paths.cache_dir, paths.state_dir, paths.config_dir, paths.runtime_dir)
        folders = [str(folder()) for folder in kept]
        if project.file is not None:
            folders.append(str(project.root / ".dativo"))
        state = location.on_this_machine(project)
        beside = project.state_path.parent  # records of any job: what was set aside, recorded, kept for a target
        folders += [str(beside / name) for name in (letterbox.FOLDER, tape.FOLDER, SPILL, VERIFY)]
        files = [str(path) for path in project.own_files]
        folders += [str(state.path)] if state.kind == "file" else []
        files += [f"{state.path}{end}" for end in ("", "-wal", "-shm", "-journal") if state.kind == "sqlite"]
        return cls(_both(folders), _both(files))

    def keeps(self, path: str) -> str | None:
        """What of Dativo's a path is, or is in."""
        return next((one for one in self.folders if inside(path, one)), path if path in self.files else None)

    def within(self, path: str) -> str | None:
        """A folder of Dativo's that a tree contains."""
        return next((one for one in self.folders if inside(one, path)), None)

    def hidden(self, granted: Iterable[str], environment: Path | None) -> list[str]:
        """What is there of Dativo's in the granted trees; the plugin's own environment and the runs stay in reach."""
        trees = tuple(granted)
        kept = [str(environment)] if environment else []
        found: list[str] = []
        for place in (*self.folders, *self.files):
            if any(inside(place, tree) for tree in trees):
                found += _around(place, [os.path.realpath(one) for one in [*kept, self._runs()]])
        there = [path for path in dict.fromkeys(found) if os.path.lexists(path)]
        return [path for path in there if not any(inside(path, other) for other in there if other != path)]

    def _runs(self) -> str:
        return str(paths.runtime_dir() / "runs")


def _both(names: Sequence[str]) -> tuple[str, ...]:
    """Paths as they are called and as they lead."""
    return tuple(dict.fromkeys([*names, *map(os.path.realpath, names)]))


def _around(place: str, kept: Sequence[str]) -> Iterator[str]:
    """A place, or all in it but what is kept."""
    real = os.path.realpath(place)
    if real in kept:
        return
    if not any(inside(one, real) for one in kept):
        yield place
        return
    with os.scandir(place) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            yield from _around(entry.path, kept)


def absolute(text: str, base: Path) -> str | None:
    """A permission's text as an absolute path, lexically plain; None when it is a URL."""
    if URL.match(text):
        return None if not text.lower().startswith("file://") else absolute(text[7:], base)
    return os.path.normpath(base / Path(text).expanduser()).replace("//", "/")


def fixed(path: str) -> str:
    """What a glob can find is below its last folder without a sign; a file whose name has such signs is itself."""
    if not GLOB.search(path) or os.path.lexists(path):
        return path
    plain = []
    for part in path.split("/"):
        if GLOB.search(part):
            break
        plain.append(part)
    return "/".join(plain) or "/"


def led_out(pattern: str, folder: str) -> list[str]:
    """Where the links that a glob finds lead, outside the folder that it starts from."""
    found: dict[str, None] = {}
    for path in itertools.islice(glob.iglob(pattern, recursive=True), MATCHES):  # noqa: PTH207 - a whole path
        real = os.path.realpath(path)
        if not inside(real, folder):
            found[real] = None
    return list(found)


def names_of(path: str) -> list[str]:
    """A path as it is called and, where they differ, as it leads."""
    real = os.path.realpath(path)
    return [path] if real == path else [path, real]


def _too_wide(path: str, home: str) -> str | None:
    """Why a tree is too much for any plugin: it holds the home, or is one of the system's."""
    if path in TREES or inside(home, path):
        return f"{path} as a whole holds what is no plugin's business"
    return None


def why_not_read(path: str, own: Own, *, by_hand: bool, chosen: bool) -> str | None:
    """Why a path is not granted for reading. `chosen`: the user's own setting names it, so a key file is fine."""
    kept = own.keeps(path)
    if kept is not None:
        return f"{kept} is Dativo's own"
    if by_hand:
        return None
    home = os.path.realpath(Path.home())
    if (wide := _too_wide(path, home)) is not None:
        return wide
    keys = [*SYSTEM_KEYS, *(f"{base}/{key}" for base in (home, str(Path.home())) for key in KEYS)]
    key = next((one for one in keys if inside(path, one)), None)
    if key is not None and not (chosen and os.path.isfile(path)):  # noqa: PTH113 - a text all along
        return f"{key} holds keys and settings of others"
    return None


def why_not_write(path: str, own: Own, *, by_hand: bool, beside: bool) -> str | None:
    """Why a path is not granted for writing. `beside`: the user's own setting names a file in this folder.

    Such a folder may be the project's: Dativo's own files in it are hidden. Any other grant of it is refused.
    """
    if path == "/":
        return "/ cannot be written as a whole"
    kept = own.keeps(path)
    if kept is not None:
        return f"{kept} is Dativo's own"
    if by_hand:
        return None
    home = os.path.realpath(Path.home())
    if (wide := _too_wide(path, home)) is not None:
        return wide
    system = next((one for one in SYSTEM if inside(path, one) and not inside(path, "/dev/shm")), None)  # noqa: S108
    key = next((f"~/{one}" for one in KEYS if inside(path, f"{home}/{one}")), None)
    if system is not None or key is not None:
        return f"{system} is the system's" if system else f"{key} holds keys and settings of others"
    held = None if beside else own.within(path)
    return f"{held} is in it" if held is not None else None
