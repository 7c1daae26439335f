"""Old spellings that still work: one table of what they were, what to write now, since when, and when they stop.

A file is read through `renewed`, which puts the new spelling in place of the old one and warns with the file and line;
`renewal` does the same to the file's text for `dativo fix`. `docs/reference/deprecations.md` is made from the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dativo import errors
from dativo.config.document import Document, KeyPath
from dativo.dataclass import dataclass

MODULE = "dativo.deprecations"
"""The module that the warnings are filed under, so that a filter can name them."""
_REGISTRY: dict[Any, Any] = {}
"""Which places were warned of in this process (the registry of `warnings`)."""


class Deprecated(DeprecationWarning):
    """An old spelling was used; the message names the new one and the version that stops reading the old one."""


@dataclass(frozen=True)
class Deprecation:
    """One old spelling. `places` are key paths of dativo.yml in which `*` is any one name; none for a flag."""

    kind: str
    """key, value or flag."""
    old: str
    new: str
    since: str
    removal: str
    places: tuple[tuple[str, ...], ...] = ()
    """Of a key: the mappings it stands in. Of a value: the keys that have it."""
    convert: Callable[[Any], Any] | None = None
    """Of a key: the new value from the old one, where it changes with the name."""
    why: str = ""

    def __str__(self) -> str:
        return f"`{self.old}` is deprecated since {self.since}, and gone in {self.removal}: write `{self.new}`"


@dataclass(frozen=True)
class Use:
    """An old spelling found in a file, where it stands, and what is to stand there."""

    entry: Deprecation
    at: KeyPath
    new: KeyPath
    value: Any
    problem: str = ""
    """Why the new one cannot be told from the old one."""


_LIMITS = (("plugins", "*"), ("jobs", "*"), ("jobs", "*", "plugins", "*"), ("sandbox",))
_JOB = ("jobs", "*")


def _limit(old: str, new: str) -> Deprecation:
    places = tuple((*place, "limits") for place in _LIMITS)
    return Deprecation("key", old, new, "0.1.0", "1.0.0", places, why="limits are called by what they bound")


def _one_more(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value + 1
    raise ValueError("it counts one less than `attempts` does, and is no whole number here")


_EARLIER = "the earlier Dativo's name"
DEPRECATIONS: tuple[Deprecation, ...] = (
    _limit("nofile", "files"),
    _limit("fsize", "file_size"),
    _limit("max_line", "line"),
    Deprecation("value", "skip", "discard", "0.1.0", "1.0.0",
                ((*_JOB, "on_bad_record"), (*_JOB, "on_bad_record", "policy")), why="records are counted"),
    Deprecation("key", "tenant_id", "tenant", "0.1.0", "1.0.0", (_JOB,), why=_EARLIER),
    Deprecation("key", "retry_config", "retry", "0.1.0", "1.0.0", (_JOB,), why=_EARLIER),
    Deprecation("key", "max_attempts", "attempts", "0.1.0", "1.0.0", ((*_JOB, "retry"),), why=_EARLIER),
    Deprecation("key", "max_retries", "attempts", "0.1.0", "1.0.0", ((*_JOB, "retry"),), _one_more,
                f"{_EARLIER}; it left out the first try"),
    Deprecation("key", "initial_delay_seconds", "delay", "0.1.0", "1.0.0", ((*_JOB, "retry"),), why=_EARLIER),
    Deprecation("key", "max_delay_seconds", "max_delay", "0.1.0", "1.0.0", ((*_JOB, "retry"),), why=_EARLIER),
    Deprecation("flag", "--properties", "--catalog", "0.1.0", "1.0.0", why="Singer's older name of the same file"),
    Deprecation("flag", "--on-bad-record skip", "--on-bad-record discard", "0.1.0", "1.0.0", why="records are counted"),
)  # fmt: skip


def renewed(document: Document, *, job_file: bool = False, code: str = "project.invalid") -> Document:
    """The document in today's spelling; each old one is warned of with its file and line. Raises where both stand."""
    while (use := first(document, job_file=job_file)) is not None:
        document = applied(document, use, code=code)
        line = document.lines.get(use.new, 1)
        text = f"{document.path.name}:{line}: {use.entry} (`dativo fix` does)"
        warnings.warn_explicit(text, Deprecated, str(document.path), line, MODULE, _REGISTRY)
    return document


def first(document: Document, *, job_file: bool = False) -> Use | None:
    """The first old spelling of the table's order that the file holds, or None."""
    return next((use for entry in DEPRECATIONS for use in _uses(entry, document.data, job_file)), None)


def applied(document: Document, use: Use, *, code: str = "project.invalid") -> Document:
    """The document with one old spelling exchanged, lines kept. Raises `code` where the new one stands beside it."""
    *parents, key = use.new
    node = _found(document.data, use.at[:-1])
    if use.at != use.new and key in node:
        raise errors.ConfigError(
            code,
            f"{document.where(use.at)}: both `{key}` and `{use.at[-1]}`, its older name, are given",
            hint=f"keep `{key}`",
        )
    if use.problem:
        what, hint = f"`{use.at[-1]}` is not read: {use.problem}", f"write `{key}` in its place"
        raise errors.ConfigError(code, f"{document.where(use.at)}: {what}", hint=hint)
    size = len(use.at)
    lines = {(*use.new, *at[size:]) if at[:size] == use.at else at: line for at, line in document.lines.items()}
    changed = {(key if old == use.at[-1] else old): (use.value if old == use.at[-1] else value)
               for old, value in node.items()}  # fmt: skip
    return replace(document, data=_with(document.data, tuple(parents), changed), lines=lines)


def _uses(entry: Deprecation, data: dict[str, Any], job_file: bool) -> Iterator[Use]:
    for place in entry.places:
        for root, pattern in _roots(place, data, job_file):
            for at, node in _matching(data, root, pattern):
                if entry.kind == "value":
                    if node == entry.old:
                        yield Use(entry, at, at, entry.new)
                elif isinstance(node, dict) and entry.old in node:
                    yield _key(entry, at, node[entry.old])


def _key(entry: Deprecation, at: KeyPath, value: Any) -> Use:
    problem = ""
    try:
        value = entry.convert(value) if entry.convert else value
    except ValueError as why:
        problem = str(why)
    return Use(entry, (*at, entry.old), (*at, entry.new), value, problem)


def _roots(place: tuple[str, ...], data: dict[str, Any], job_file: bool) -> Iterator[tuple[KeyPath, tuple[str, ...]]]:
    """Where a pattern may begin: at the top and in each environment; a job file is one job."""
    if job_file:
        yield (), place[2:] if place[:1] == ("jobs",) else place
        return
    yield (), place
    environments = data.get("environments")
    for name in environments if isinstance(environments, dict) else ():
        yield ("environments", name), place


def _matching(data: Any, root: KeyPath, pattern: tuple[str, ...]) -> Iterator[tuple[KeyPath, Any]]:
    found = [(root, _found(data, root))]
    for part in pattern:
        inner = [(at, node) for at, node in found if isinstance(node, dict)]
        found = [
            ((*at, key), node[key]) for at, node in inner for key in (node if part == "*" else [part]) if key in node
        ]
    yield from found


def _found(data: Any, at: KeyPath) -> Any:
    for part in at:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _with(data: Any, at: KeyPath, value: Any) -> Any:
    """A copy of `data` with the value at a path exchanged."""
    return value if not at else {**data, at[0]: _with(data[at[0]], at[1:], value)}


def renewed_words(words: list[str], known: set[str]) -> list[str]:
    """A command line's words with today's flags; `known` are the flags that the command itself defines."""
    end = words.index("--") if "--" in words else len(words)
    text = list(words)
    for entry in DEPRECATIONS:
        if entry.kind == "flag":
            flag, _, value = entry.old.partition(" ")
            if value or flag not in known:
                text = [*_exchanged(text[:end], entry, flag, value), *text[end:]]
    return text


def _exchanged(words: list[str], entry: Deprecation, flag: str, value: str) -> list[str]:
    new, _, new_value = entry.new.partition(" ")
    found = []
    for at, word in enumerate(words):
        name, equals, inline = word.partition("=")
        if value:
            hit = word == f"{flag}={value}" or (word == value and at > 0 and words[at - 1] == flag)
            found.append((f"{new}={new_value}" if equals else new_value) if hit else word)
        else:
            hit = name == flag
            found.append(f"{new}{equals}{inline}" if hit else word)
        if hit:
            warnings.warn_explicit(str(entry), Deprecated, "command line", 1, MODULE, _REGISTRY)
    return found
