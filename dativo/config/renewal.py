"""Old spellings in a file's text exchanged for new ones: the words themselves, nothing around them.

What stands where is told by the parser; the result must parse to the data that `deprecations` makes of the old text,
or the file is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic, deprecations
from dativo.config.deprecations import Use
from dativo.config.document import KeyPath, parse, parse_tree, read_text
from dativo.config.keys import JOB_FILE, PROJECT, check
from dativo.dataclass import dataclass

SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True)
class Renewal:
    """One file, before and after. `changes` are (line, old path, new path) in the order they were made."""

    path: Path
    before: str
    after: str
    changes: tuple[tuple[int, str, str], ...]

    def diff(self, name: str) -> list[str]:
        """A unified diff, without line ends."""
        import difflib

        old, new = self.before.splitlines(), self.after.splitlines()
        return list(difflib.unified_diff(old, new, name, name, lineterm="", n=1))


def job_files(folder: Path) -> list[Path]:
    """The job files in a project's folder and its `jobs/`: YAML with `steps:` at the top level."""
    found = []
    for place in (folder, folder / "jobs"):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.suffix in SUFFIXES and path.is_file() and path.name != "dativo.yml" and _is_job(path):
                found.append(path)
    return found


def _is_job(path: Path) -> bool:
    try:
        return "steps" in parse(read_text(path), path).data
    except errors.ConfigError:
        return False


def renew(path: Path, *, job_file: bool, write: bool) -> Renewal:
    """Exchange every old spelling in a file. Raises project.invalid (or job.invalid) and leaves it as it was."""
    code = "job.invalid" if job_file else "project.invalid"
    with atomic.editing(path):
        before = text = read_text(path, code=code)
        changes = []
        while (use := deprecations.first(document := parse(text, path, code=code), job_file=job_file)) is not None:
            wanted = deprecations.applied(document, use, code=code)
            text = _exchanged(text, path, use)
            if text is None or parse(text, path, code=code).data != wanted.data:
                raise errors.ConfigError(
                    code,
                    f"{document.where(use.at)}: {_named(use.at)} cannot be rewritten without touching the rest",
                    hint=f"write {_named(use.new)} by hand",
                )
            changes.append((document.lines.get(use.at, 1), _shown(use, old=True), _shown(use, old=False)))
        if changes:
            check(parse(text, path, code=code), JOB_FILE if job_file else PROJECT, code=code)
            if write:
                atomic.write(path, text)
    return Renewal(path, before, text, tuple(changes))


def _exchanged(text: str, path: Path, use: Use) -> str:
    """The text with the words of one use replaced where the parser says they stand; "" where it does not say."""
    node: Any = parse_tree(text, path)
    for part in use.at[:-1]:
        node = node[part]
    place = (node.lc.data or {}).get(use.at[-1]) if hasattr(node, "lc") else None
    if place is None:
        return ""
    key_line, key_column, value_line, value_column = place
    lines = text.splitlines(keepends=True)
    old = node[use.at[-1]]
    if use.value != old:
        _put(lines, value_line, value_column, str(old), str(use.value))
    if use.at != use.new:
        _put(lines, key_line, key_column, str(use.at[-1]), str(use.new[-1]))
    return "".join(lines)


def _put(lines: list[str], line: int, column: int, old: str, new: str) -> None:
    """Replace a word that stands at a place, in quotes or not; elsewhere nothing, and the caller sees it."""
    text = lines[line]
    start = column + (text[column : column + 1] in ("'", '"'))
    if text.startswith(old, start):
        lines[line] = text[:start] + new + text[start + len(old) :]


def _shown(use: Use, *, old: bool) -> str:
    if use.entry.kind == "value":
        return f"{_named(use.at)}: {use.entry.old if old else use.value}"
    return _named(use.at if old else use.new)


def _named(at: KeyPath | Sequence[Any]) -> str:
    return ".".join(str(part) for part in at)
