"""Changes to dativo.yml that touch the lines they must and no other: comments, order, quotes and blank lines stay.

A change is tried on the text itself, else through ruamel.yaml's round trip (flow style, a changed scalar). Either
result must parse to exactly the data that was wanted, or the file is left alone.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.deprecations import renewed
from dativo.config.document import Document, new_yaml, parse, parse_tree, read_text
from dativo.config.keys import PROJECT, check
from dativo.dataclass import dataclass

GONE = object()


@dataclass(frozen=True)
class Change:
    """Set the value at a key path, or remove it (`GONE`) with the settings that this leaves empty."""

    keys: tuple[str, ...]
    value: Any = GONE


class _CannotError(Exception):
    """This way of editing does not fit; the other one may."""


def apply(path: Path, changes: Sequence[Change]) -> None:
    """Make the changes in one atomic write. Nothing is written when nothing changes or the result would not load."""
    with atomic.editing(path):
        before = read_text(path) if path.exists() else ""
        after = before
        for change in changes:
            after = _changed(after, path, change)
        if after != before:
            check(renewed(parse(after, path)), PROJECT)
            atomic.write(path, after)


def _changed(text: str, path: Path, change: Change) -> str:
    document = parse(text, path)
    change = _widened(document.data, change)
    wanted = _expected(document.data, change)
    if _pruned(document.data) == _pruned(wanted) and (change.value is GONE or _there(document.data, change.keys)):
        return text
    for way in (_by_lines, _by_round_trip):
        try:
            after = way(text, document, change)
            if _pruned(parse(after, path).data) == _pruned(wanted):
                return after
        except (_CannotError, errors.ConfigError):
            continue
    shown = ".".join(change.keys)
    raise errors.ConfigError("project.invalid", f"{path.name}: {shown} cannot be changed without touching the rest",
                             hint="change it by hand")  # fmt: skip


def _widened(data: Any, change: Change) -> Change:
    """Removing the last key of a mapping below `plugins.NAME` removes the mapping too."""
    keys = change.keys
    while change.value is GONE and len(keys) > 3 and list(_at(data, keys[:-1]) or ()) == [keys[-1]]:
        keys = keys[:-1]
    return Change(keys, change.value)


def _expected(data: dict[str, Any], change: Change) -> dict[str, Any]:
    result = copy.deepcopy(data)
    node = result
    for key in change.keys[:-1]:
        if not isinstance(node.get(key), dict):
            if change.value is GONE:
                return result
            node[key] = {}
        node = node[key]
    if change.value is GONE:
        node.pop(change.keys[-1], None)
    else:
        node[change.keys[-1]] = change.value
    return result


def _pruned(value: Any) -> Any:
    """For comparing: a key without a value is an empty mapping."""
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items()} or None
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _at(data: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _there(data: Any, keys: tuple[str, ...]) -> bool:
    parent = _at(data, keys[:-1])
    return isinstance(parent, dict) and keys[-1] in parent


# -- on the lines


def _by_lines(text: str, document: Document, change: Change) -> str:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    keys = change.keys
    if _there(document.data, keys):
        start, indent = _block(lines, document, keys)
        old = _at(document.data, keys)
        if change.value is not GONE and not isinstance(old, list | dict):
            raise _CannotError  # a scalar for a scalar: the round trip keeps the comment behind it
        end = _end(lines, start, indent)
        lines[start:end] = [] if change.value is GONE else _snippet(keys[-1:], change.value, indent, text)
        return "".join(lines)
    if change.value is GONE:
        raise _CannotError
    at, indent, rest = _place(lines, document, keys, text)
    lines[at:at] = _snippet(rest, change.value, indent, text)
    return "".join(lines)


def _place(lines: list[str], document: Document, keys: tuple[str, ...], text: str) -> tuple[int, int, tuple[str, ...]]:
    """Where new lines go: behind the last line of the deepest mapping that is there; what is left of the path."""
    depth = next((n for n in range(len(keys) - 1, 0, -1) if _there(document.data, keys[:n])), 0)
    if depth == 0:
        return len(lines), 0, keys
    start, indent = _block(lines, document, keys[:depth])
    value = _at(document.data, keys[:depth])
    if value is None:
        if lines[start].split("#")[0].rstrip().endswith(":"):
            return start + 1, indent + _step(text), keys[depth:]
        raise _CannotError
    if not isinstance(value, dict) or not value:
        raise _CannotError
    _, inner = _block(lines, document, (*keys[:depth], next(iter(value))))
    if inner <= indent:
        raise _CannotError
    return _end(lines, start, indent), inner, keys[depth:]


def _block(lines: list[str], document: Document, keys: tuple[str, ...]) -> tuple[int, int]:
    """The line (from 0) and the indentation of a key in block style."""
    number = document.lines.get(keys)
    if number is None:
        raise _CannotError
    body = lines[number - 1].lstrip(" ")
    if not body.startswith((f"{keys[-1]}:", f"'{keys[-1]}':", f'"{keys[-1]}":')):
        raise _CannotError
    return number - 1, len(lines[number - 1]) - len(body)


def _end(lines: list[str], start: int, indent: int) -> int:
    """The line behind a key's value. Comments between it and the next key are not its own."""
    end = start + 1
    for at in range(start + 1, len(lines)):
        body = lines[at].lstrip(" ")
        if not body.strip() or body.startswith("#"):
            continue
        depth = len(lines[at]) - len(body)
        if depth < indent or (depth == indent and not body.startswith("- ")):
            break
        end = at + 1
    return end


def _snippet(keys: tuple[str, ...], value: Any, indent: int, text: str) -> list[str]:
    nested = value
    for key in reversed(keys):
        nested = {key: nested}
    return [" " * indent + line for line in _dumped(nested, text).splitlines(keepends=True)]


# -- through ruamel.yaml


def _by_round_trip(text: str, document: Document, change: Change) -> str:
    from ruamel.yaml.comments import CommentedMap

    tree = parse_tree(text, document.path)
    node = tree if tree is not None else CommentedMap()
    top = node
    for key in change.keys[:-1]:
        if not isinstance(node.get(key), dict):
            node[key] = CommentedMap()
        node = node[key]
    if change.value is GONE:
        node.pop(change.keys[-1], None)
    else:
        node[change.keys[-1]] = change.value
    return _dumped(top, text)


def _dumped(tree: Any, like: str) -> str:
    yaml = new_yaml()
    step, offset = _step(like), _offset(like)
    yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _step(text: str) -> int:
    """How far the file indents mappings."""
    parent = 0
    for line in text.splitlines():
        body = line.lstrip(" ")
        if body and not body.startswith(("#", "- ")):
            depth = len(line) - len(body)
            if depth > parent:
                return depth - parent
            parent = depth
    return 2


def _offset(text: str) -> int:
    """How far the file indents the dash of a list below its key."""
    parent = 0
    for line in text.splitlines():
        body = line.lstrip(" ")
        if body.startswith("- "):
            return max(0, len(line) - len(body) - parent)
        if body and not body.startswith("#"):
            parent = len(line) - len(body)
    return 2
