"""Files of strangers, read within bounds and never outside the folder that was named (I10, I12)."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.document import Document

MAX_JSON = 16 << 20
MAX_STATE = 64 << 20
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class UnreadableError(Exception):
    """A file that cannot be used; the message says why, never what is in it (I13)."""


def content(path: Path, limit: int) -> bytes:
    """A regular file's bytes. A pipe or a device is refused, not waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        raise UnreadableError(f"it cannot be read: {problem.strerror}") from None
    except ValueError:
        raise UnreadableError("its name holds a NUL") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnreadableError("it is no file")
    with os.fdopen(fd, "rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise UnreadableError(f"it has more than {limit:,} bytes")
    return raw


def text(path: Path, limit: int = MAX_JSON) -> str:
    """A file's text."""
    try:
        return content(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None


def json_object(path: Path, limit: int = MAX_JSON) -> dict[str, Any]:
    """A file that holds one JSON object."""
    return object_of(text(path, limit))


def object_of(written: str) -> dict[str, Any]:
    """A text that is one JSON object."""
    try:
        found = json.loads(written)
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    except ValueError as problem:
        where = f" (line {problem.lineno})" if isinstance(problem, json.JSONDecodeError) else ""
        raise UnreadableError(f"it is not JSON{where}") from None
    if not isinstance(found, dict):
        raise UnreadableError("it holds no JSON object")
    return found


def state_text(path: Path) -> str | None:
    """The exact text of a state file: its last line where it has several, out of a STATE message. None: no state."""
    from dativo.state import bookmark

    whole = text(path, MAX_STATE).strip()
    for candidate in dict.fromkeys((whole, whole.rpartition("\n")[2].strip())):
        try:
            found = bookmark.exact_text(candidate)
        except errors.DativoError:
            continue
        parts = {one.key: found[one.value : one.end] for one in bookmark.members(found) or []}
        if bookmark.parse(parts.get("type", "null")) == "STATE" and "value" in parts:
            found = bookmark.exact_text(parts["value"])
        return None if found == "{}" else found
    if whole in ("", "null"):
        return None
    raise UnreadableError("it holds no state: a JSON object is expected")


def exists(path: Path) -> bool:
    """Whether there is anything, whatever the name is that a stranger gave."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file, whatever the name is that a stranger gave."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def inside(folder: Path, name: str) -> Path | None:
    """A path below a folder, links followed; None when the name leads out of it."""
    if "\0" in name:
        return None
    try:
        found = (folder / name).resolve()
        return found if found.is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError):
        return None


def files(folder: Path, suffixes: tuple[str, ...], *, most: int = 2_000) -> Iterator[Path]:
    """The files below a folder with one of these suffixes, sorted; links to elsewhere are left out."""
    found = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if name.endswith(suffixes) and inside(folder, str((Path(parent) / name).relative_to(folder))) is not None:
                found += 1
                if found > most:
                    raise errors.ConfigError(
                        "import.invalid", f"{folder} holds more than {most:,} such files", hint="name a smaller folder"
                    )
                yield Path(parent) / name


def called(name: str, *, prefix: str = "", taken: Iterator[str] | tuple[str, ...] = ()) -> str:
    """A name that may become a plugin's or a job's, with a number behind it where it is taken."""
    plain = _NO_NAME.sub("-", name).strip("-._") or "unnamed"
    if prefix:
        plain = plain.lower().replace("_", "-")
        plain = plain if plain.startswith(prefix) else prefix + plain
    plain, number, known = plain[:90], 2, set(taken)
    found = plain
    while found in known:
        found, number = f"{plain}-{number}", number + 1
    return found


class Keys:
    """A mapping of a file that is read key by key, so that what nobody asked for is known in the end."""

    def __init__(self, document: Document, at: tuple[str | int, ...], name: str) -> None:
        node: Any = document.data
        for part in at:
            node = node[part]
        self.document, self.at, self.name = document, at, name
        self.data: dict[str, Any] = node if isinstance(node, dict) else {}
        self.asked: set[str] = set()

    def get(self, key: str, kind: type | tuple[type, ...] = object) -> Any:
        """A value; None where there is none. Raises import.invalid where it is of another kind."""
        self.asked.add(key)
        value = self.data.get(key)
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float))):
            raise errors.ConfigError("import.invalid", f"{self.where(key)}: {self.what(key)} is of another type here")
        return value

    def where(self, key: str | None = None) -> str:
        """`tap_shop.yml:12`."""
        return self.document.where(self.at if key is None else (*self.at, key))

    def what(self, key: str) -> str:
        """As it is called in the report."""
        return f"{self.name}.{key}" if self.name else key

    def rest(self) -> list[str]:
        """The keys that nobody asked for."""
        return [key for key in self.data if key not in self.asked]

    def below(self, key: str | int, *more: str | int, name: str) -> Keys:
        """A mapping further in."""
        if isinstance(key, str):
            self.asked.add(key)
        return Keys(self.document, (*self.at, key, *more), name)
