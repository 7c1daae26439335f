"""A YAML file as plain data plus the line of every key. Refuses what is no configuration: duplicate keys, tags, bombs.

Text stays text: `2024-01-01` is not made a date, because a plugin's config is JSON. Where another tool's file is read
that makes dates of such texts (`dates`), they become what that tool writes for them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator
from dataclasses import field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

from dativo import errors
from dativo.config import plain
from dativo.dataclass import dataclass

MAX_BYTES = 1 << 20
MAX_VALUES = 50_000
MAX_DEPTH = 40

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file: `data` is plain JSON data, `lines` says where each key or item stands (from 1)."""

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    shown: str = ""
    """What the file is called where its name alone does not tell which it is."""

    def where(self, key: KeyPath) -> str:
        """`dativo.yml:12`, for the key or the nearest parent that has a line."""
        while key and key not in self.lines:
            key = key[:-1]
        name = self.shown or self.path.name
        return f"{name}:{self.lines[key]}" if key else name


class Tagged(str):
    """The text of a value under a tag that the reader of the file knows, such as `!vault`."""

    tag: str

    def __new__(cls, text: str, tag: str) -> Self:
        """The text, which knows its tag."""
        made = super().__new__(cls, text)
        made.tag = tag
        return made


def load(path: Path, *, code: str = "project.invalid", dates: bool = False) -> Document:
    """Read and parse a file; every problem is one error that names the file and the line."""
    return parse(read_text(path, code=code), path, code=code, dates=dates)


def read_text(path: Path, *, code: str = "project.invalid") -> str:
    """The file's text, within bounds (I10)."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as problem:
        raise errors.ConfigError(code, f"{path} does not exist", hint="check the path") from problem
    except OSError as problem:
        raise errors.ConfigError(code, f"{path} cannot be read: {problem.strerror}") from problem
    if len(raw) > MAX_BYTES:
        raise errors.ConfigError(code, f"{path.name} is {len(raw):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise errors.ConfigError(code, f"{path.name}:{line}: not UTF-8", hint="save the file as UTF-8") from problem


def parse(
    text: str, path: Path, *, code: str = "project.invalid", dates: bool = False, tags: Collection[str] = ()
) -> Document:
    """Parse text that came from `path`. Texts under one of `tags` become `Tagged`; every other tag is refused."""
    ordinary = plain.read(text, dates=dates, most=MAX_VALUES, depth=MAX_DEPTH)
    if ordinary is not None:
        return Document(path, *ordinary)
    tree = parse_tree(text, path, code=code, dates=dates)
    if tree is None:
        return Document(path, {})
    if not isinstance(tree, dict):
        raise errors.ConfigError(code, f"{path.name}:1: a mapping of keys is expected, not {_kind(tree)}")
    walk = _Walk(path, code, tags)
    data = walk.plain(tree, ())
    assert isinstance(data, dict)
    return Document(path, data, walk.lines)


def parse_tree(text: str, path: Path, *, code: str = "project.invalid", dates: bool = False) -> Any:
    """The round-trip tree of ruamel.yaml (comments kept), or None for an empty file."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError

    try:
        return new_yaml(dates=dates).load(io.StringIO(text))
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark else 1
        what = (problem.problem or "not YAML").splitlines()[0]
        if "duplicate key" in what:
            what = what.split(" with value")[0].replace("found duplicate", "duplicate")
        raise errors.ConfigError(code, f"{path.name}:{line}: {what}") from None
    except (YAMLError, YAMLStreamError, ValueError) as problem:
        raise errors.ConfigError(code, f"{path.name}: not YAML: {str(problem).splitlines()[0]}") from None
    except RecursionError:
        raise errors.ConfigError(code, f"{path.name}: nested too deeply") from None
    except RuntimeError:  # ruamel.yaml keeps no two comments at one value
        raise errors.ConfigError(
            code, f"{path.name}: a comment stands where it cannot be kept", hint="put it on a line before its key"
        ) from None


def new_yaml(*, dates: bool = False) -> Any:
    """A round-trip parser and writer that keeps comments, quotes and long lines, and leaves dates as text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.resolver import VersionedResolver

    class Resolver(VersionedResolver):
        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            tag = super().resolve(kind, value, implicit)
            return self.DEFAULT_SCALAR_TAG if str(tag).endswith(":timestamp") else tag

    yaml = YAML(typ="rt", pure=True)
    if not dates:
        yaml.Resolver = Resolver
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.allow_duplicate_keys = False
    return yaml


class _Walk:
    """Turns ruamel's tree into plain data, counting values so that nested aliases cannot explode (I10)."""

    def __init__(self, path: Path, code: str, tags: Collection[str] = ()) -> None:
        self.path, self.code, self.tags = path, code, tags
        self.lines: dict[KeyPath, int] = {}
        self.values = 0

    def fail(self, at: KeyPath, what: str) -> errors.ConfigError:
        where = Document(self.path, {}, self.lines).where(at)
        return errors.ConfigError(self.code, f"{where}: {what}")

    def plain(self, node: Any, at: KeyPath) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise self.fail(at[:1], f"more than {MAX_VALUES:,} values (aliases counted each time)")
        if len(at) > MAX_DEPTH:
            raise self.fail(at, f"nested more than {MAX_DEPTH} levels deep")
        tag = getattr(getattr(node, "tag", None), "value", None)
        if tag in self.tags and isinstance(getattr(node, "value", None), str):
            return Tagged(node.value, str(tag))
        if tag and (not str(tag).startswith("tag:yaml.org,2002:") or type(node).__name__ == "TaggedScalar"):
            raise self.fail(at, f"the tag {tag} is not allowed")
        if isinstance(node, dict):
            return {key: self.plain(value, (*at, key)) for key, value in self._items(node, at)}
        if isinstance(node, list):
            for index in range(len(node)):
                self._note((*at, index), node, index)
            return [self.plain(value, (*at, index)) for index, value in enumerate(node)]
        return self._scalar(node, at)

    def _items(self, node: dict[Any, Any], at: KeyPath) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if not isinstance(key, str):
                raise self.fail(at, f"the key {key!r} is not text; put it in quotes")
            plain = str(key)
            self._note((*at, plain), node, key)
            yield plain, value

    def _note(self, at: KeyPath, node: Any, key: Any) -> None:
        position = getattr(node, "lc", None)
        found = position.data.get(key) if position is not None and position.data else None
        if found:
            self.lines[at] = found[0] + 1

    def _scalar(self, node: Any, at: KeyPath) -> Any:
        if node is None or isinstance(node, bool):
            return node
        if type(node).__name__ == "ScalarBoolean":
            return bool(node)
        if isinstance(node, float) and not math.isfinite(node):
            raise self.fail(at, "infinity and NaN are no JSON numbers; put text in quotes")
        for kind in (int, float, str):
            if isinstance(node, kind):
                return kind(node)
        if isinstance(node, date):  # the zone of a time is lost on its way through Meltano 4.4.1
            return (node.replace(tzinfo=None) if isinstance(node, datetime) else node).isoformat()
        raise self.fail(at, f"a value of type {type(node).__name__} is not allowed here")


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "text" if isinstance(value, str) else "a value"
