"""`pip_url`: the arguments of an installer, read as what Dativo installs: one package first, then further requirements.

Nothing of it is given to a shell or to pip. Options that would take packages from elsewhere, and texts that are no
requirements, are refused (I12).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.meltano.files import fault
from dativo.config.specs import PYPI
from dativo.dataclass import dataclass

_EDITABLE = ("-e", "--editable")
_CONSTRAINT = ("-c", "--constraint", "--constraints")
_HARMLESS = ("--upgrade", "-U", "--no-cache-dir", "--quiet", "-q")
_DIRECT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<extras>\[[^\]]*\])?\s*@\s*(?P<url>\S+)")
_VERSION = re.compile(r"(?:.*?python)?(3\.\d{1,2})(?:\.\d+)?")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,\s-]*\])?\s*(?:[=<>!~]=?=?.*)?")
_COMMENT = re.compile(r"(^|\s)#.*$")
MAX_CONSTRAINTS = 1 << 20


@dataclass(frozen=True)
class Package:
    """What is installed for a plugin, as a section of dativo.yml says it."""

    source: str
    with_: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What was read in another way than pip would."""

    def section(self) -> dict[str, Any]:
        """`source`, and `with` and `constraints` where there is more."""
        more = {"with": list(self.with_), "constraints": list(self.constraints)}
        return {"source": self.source, **{key: texts for key, texts in more.items() if texts}}


def read(text: str, where: str, root: Path) -> Package:
    """The package and the requirements of a `pip_url`, variables replaced already. Raises `meltano.invalid`."""
    try:
        words = shlex.split(text)
    except ValueError as problem:
        raise fault(where, f"pip_url cannot be read: {problem}") from None
    sources: list[str] = []
    with_: list[str] = []
    bounds: list[str] = []
    notes: list[str] = []
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option in (*_EDITABLE, *_CONSTRAINT) and (not equals or option.startswith("--")):
            if not equals and not words:
                raise fault(where, f"pip_url ends with {word}")
            value = value if equals else words.pop(0)
            if option in _EDITABLE:
                sources.append(_source(value, where, root))
                notes.append(f"{value} is installed as it is now: after a change of it, dativo sync")
            else:
                bounds += _constraints(value, where, root)
        elif word in _HARMLESS:
            continue
        elif word.startswith("-"):
            raise fault(
                where,
                f"pip_url has the option {option}, which is not taken over",
                hint="an index goes under annotations.dativo.index: docs/guides/meltano.md",
            )
        elif not sources:
            sources.append(_source(_joined(word, words), where, root))
        else:
            with_.append(_requirement(_joined(word, words), where))
    if not sources:
        raise fault(where, "pip_url names no package")
    if len(sources) > 1:
        raise fault(where, "pip_url has several packages that are no plain requirements", hint="name one plugin")
    return Package(sources[0], tuple(with_), tuple(bounds), tuple(notes))


def python(value: Any, where: str) -> str | None:
    """The version of Python that `python:` means."""
    if value is None:
        return None
    found = _VERSION.fullmatch(str(value))
    if not found:
        raise fault(
            where, f"python: {str(value)[:60]!r} does not tell a version", hint="write a version, as in python: '3.11'"
        )
    return found[1]


def _joined(word: str, words: list[str]) -> str:
    """`name @ url` is three words."""
    if words and words[0] == "@" and len(words) > 1:
        words.pop(0)
        return f"{word} @ {words.pop(0)}"
    return word


def _source(word: str, where: str, root: Path) -> str:
    direct = _DIRECT.fullmatch(word)
    if direct:
        word = direct["url"]
    if word.startswith("git+"):
        return word
    if "://" in word:
        scheme = word.partition(":")[0]
        raise fault(
            where,
            f"pip_url takes a package from a {scheme}: address, which gives no hash to hold it to",
            hint="use a package of the index, git+https://…, or a folder",
        )
    if word.startswith((".", "/", "~")) or "/" in word:
        return folder(word, where, root)
    if (root / word).is_dir() and (
        (root / word / "pyproject.toml").is_file() or (root / word / "setup.py").is_file()
    ):  # fmt: skip
        return folder(word, where, root)
    return PYPI + _requirement(word, where)


def folder(word: str, where: str, root: Path) -> str:
    """A path as dativo.yml says it: `./x` below the project, else absolute."""
    if "\0" in word:
        raise fault(where, "pip_url holds a path that cannot be one")
    place = root / Path(word).expanduser()
    if not place.exists():
        raise fault(where, f"{word} is not there", hint="is the path relative to the project?")
    place = place.resolve()
    base = root.resolve()
    return f"./{place.relative_to(base)}" if place.is_relative_to(base) else str(place)


def _requirement(word: str, where: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(word)
    except InvalidRequirement:
        raise fault(where, f"pip_url: {word[:80]!r} is no requirement") from None
    if parsed.url or parsed.marker or not _PLAIN.fullmatch(word):
        raise fault(where, f"pip_url: {word[:80]!r} is no plain requirement", hint="name, extras and versions")
    return str(parsed)


def _constraints(word: str, where: str, root: Path) -> list[str]:
    """The bounds of a constraints file of the project."""
    if "://" in word:
        raise fault(where, "pip_url reads constraints from an address", hint="keep the file in the project")
    place = (root / word).resolve()
    if not place.is_relative_to(root.resolve()):
        raise fault(where, f"{word} leads out of the project", hint="keep constraints in the project")
    try:
        if place.stat().st_size > MAX_CONSTRAINTS:
            raise fault(where, f"{word} is too long for constraints")
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise errors.ConfigError("meltano.invalid", f"{where}: {word} cannot be read") from problem
    return [_bound(text, f"{word}:{number}") for number, line in enumerate(lines, 1) if (text := _bare(line))]


def _bare(line: str) -> str:
    """A line without its comment: a number sign with blank space before it, or at the line's start."""
    return _COMMENT.sub("", line).strip()


def _bound(text: str, where: str) -> str:
    """One line of a constraints file. Raises `meltano.invalid` for what Dativo cannot hold an install to."""
    from packaging.requirements import InvalidRequirement, Requirement

    if text.startswith("-") or " --" in text or text.endswith("\\"):
        option = next(word for word in text.split() if word.startswith("-") or word.endswith("\\"))
        hint = (
            "hashes are kept in dativo.lock" if "--hash" in text or option == "\\" else "write its lines into the file"
        )
        raise fault(where, f"{option.partition('=')[0]} is not taken over from constraints", hint=hint)
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        raise fault(where, f"{text[:80]!r} is no constraint", hint="a name and versions, as in urllib3<2") from None
    if parsed.url or parsed.extras:
        what = "an address" if parsed.url else "extras"
        raise fault(where, f"{parsed.name} has {what}, which no constraint may have", hint="a name and versions")
    return str(parsed)
