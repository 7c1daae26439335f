"""What a plugin must read to start at all: its environment, and the interpreter that its program is run by.

The system's own folders are readable anyway (the launcher sees to that), so nothing of /usr is listed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dativo.engines import shebang

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
DEPTH = 8
"""How many links, or scripts that run scripts, are followed."""


def to_start(executable: Path, home: Path | None) -> list[str]:
    """The paths for a program in an environment, or for a script on its own."""
    path = shebang.search_path(home, executable)
    found = [str(home), *_environment(home)] if home else []
    found += _program(executable, path, DEPTH)
    outside = [one for one in dict.fromkeys(found) if not _below(one, SYSTEM)]
    return [one for one in outside if not _below(one, [other for other in outside if other != one])]


def of_python(python: Path) -> list[str]:
    """The paths for an interpreter on its own."""
    found = [*map(str, _links(python)), *_interpreter(python)]
    outside = [one for one in dict.fromkeys(found) if not _below(one, SYSTEM)]
    return [one for one in outside if not _below(one, [other for other in outside if other != one])]


def _environment(home: Path) -> Iterator[str]:
    """Behind bin/python of a virtual environment: every link on the way, and what the interpreter was built into."""
    yield os.path.realpath(home)
    python = home / "bin" / "python"
    if python.exists():
        yield from _interpreter(python)
    base = _base(home)
    if base is not None:
        yield from (str(link) for name in ("python3", "python") for link in _links(base / name))
        yield from _prefix(base)


def _base(home: Path) -> Path | None:
    """`home` of pyvenv.cfg: the folder of the interpreter that the environment was made with."""
    try:
        lines = (home / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = [line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "home"]
    return Path(found[0]) if found and found[0].startswith("/") else None


def _interpreter(python: Path) -> Iterator[str]:
    links = list(_links(python))
    yield from map(str, links)
    if links:
        yield from _prefix(links[-1].parent)
        above = links[-1].parent.parent
        if (above / "pyvenv.cfg").is_file():
            yield str(above)
            base = _base(above)
            if base is not None and base != links[-1].parent:
                yield from _prefix(base)


def _prefix(folder: Path) -> Iterator[str]:
    """What belongs to the programs in a bin/: all of an installation of its own, else just Python's library."""
    for bin_folder in dict.fromkeys((folder, Path(os.path.realpath(folder)))):
        above = bin_folder.parent
        libraries = sorted(above.glob("lib*/python3*"))
        if bin_folder.name != "bin" or not libraries:
            continue
        if _shared(above):
            yield from map(str, libraries)
        else:
            yield str(above)


def _shared(folder: Path) -> bool:
    """Whether a prefix holds more than one installation, such as / or ~/.local."""
    home = Path.home()
    return folder == Path("/") or folder == home or folder == home / ".local" or home.is_relative_to(folder)


def _links(path: Path) -> Iterator[Path]:
    """A path and every path that it leads to, link by link."""
    for _ in range(DEPTH):
        if not os.path.lexists(path):
            return
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _program(executable: Path, path: str, depth: int) -> Iterator[str]:
    """A program, each link to it, and the interpreter that its first line names, outside the system's folders."""
    links = list(_links(executable))
    yield from map(str, links)
    if not links or not depth:
        return
    yield os.path.realpath(executable)
    words = shebang.words(links[-1])
    if not words:
        return
    interpreter = words[0]
    if Path(interpreter).name == "env":
        name = shebang.sought(links[-1])
        found = shutil.which(name, path=path) if name else None
        if found is None:
            return
        interpreter = found
    python = Path(interpreter)
    if python.name.startswith("python"):
        yield from _interpreter(python)
    yield from _program(python, path, depth - 1)


def _below(path: str, roots: tuple[str, ...] | list[str]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)
