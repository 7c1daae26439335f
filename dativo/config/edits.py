"""Changes to dativo.yml that keep its comments, order and quotes, and leave a file that loads."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.document import new_yaml, parse, parse_tree, read_text
from dativo.config.keys import PROJECT, check


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Load the round-trip tree (a new mapping when the file is missing or empty), change it, write it back."""
    from ruamel.yaml.comments import CommentedMap

    with atomic.editing(path):
        text = read_text(path) if path.exists() else ""
        tree = parse_tree(text, path)
        if tree is not None and not isinstance(tree, dict):
            raise errors.ConfigError("project.invalid", f"{path.name}:1: a mapping of keys is expected")
        changed = CommentedMap() if tree is None else tree
        before = _dumped(changed, text)
        change(changed)
        after = _dumped(changed, text)
        if after == before:
            return
        if tree is None:  # only comments so far: ruamel would drop them
            after = text + ("" if not text or text.endswith("\n") else "\n") + after
        check(parse(after, path), PROJECT)
        atomic.write(path, after)


def put(tree: Any, keys: tuple[str, ...], value: Any) -> None:
    """Set the value at a path, making the mappings on the way. Mappings merge into what is there."""
    node = mapping(tree, keys[:-1])
    if isinstance(value, Mapping) and isinstance(node.get(keys[-1]), dict):
        for key, item in value.items():
            put(node[keys[-1]], (key,), item)
    else:
        node[keys[-1]] = value


def mapping(tree: Any, keys: tuple[str, ...]) -> Any:
    """The mapping at a path, made when it is missing or empty."""
    from ruamel.yaml.comments import CommentedMap

    node = tree
    for key in keys:
        if not isinstance(node.get(key), dict):
            node[key] = CommentedMap()
        node = node[key]
    return node


def drop(tree: Any, keys: tuple[str, ...]) -> bool:
    """Remove the value at a path and the mappings that this empties (not the top ones). Whether it was there."""
    trail = [tree]
    for key in keys[:-1]:
        node = trail[-1].get(key) if isinstance(trail[-1], dict) else None
        if not isinstance(node, dict):
            return False
        trail.append(node)
    if keys[-1] not in trail[-1]:
        return False
    del trail[-1][keys[-1]]
    for depth in range(len(keys) - 1, 2, -1):
        if trail[depth]:
            break
        del trail[depth - 1][keys[depth - 1]]
    return True


def _dumped(tree: Any, like: str) -> str:
    yaml = new_yaml()
    mapping_indent, sequence_indent, offset = _style(like)
    yaml.indent(mapping=mapping_indent, sequence=sequence_indent, offset=offset)
    stream = io.StringIO()
    if tree:
        yaml.dump(tree, stream)
    return stream.getvalue()


def _style(text: str) -> tuple[int, int, int]:
    """The file's own indentation: of mappings, of lists, and of the dash within a list."""
    mapping_indent, offset = 0, -1
    parent = 0
    for line in text.splitlines():
        body = line.lstrip(" ")
        if not body or body.startswith("#"):
            continue
        depth = len(line) - len(body)
        if body.startswith("- "):
            if offset < 0:
                offset = max(0, depth - parent)
        else:
            if not mapping_indent and depth > parent:
                mapping_indent = depth - parent
            parent = depth
    mapping_indent = mapping_indent or 2
    offset = 2 if offset < 0 else offset
    return mapping_indent, offset + 2, offset
