"""Catalogs: what a tap offers and what is chosen of it. SPEC.md section 5.

Patterns are `stream`, `stream.column`, `stream.parent.child`, with `*` and `?`, and `!` in front to leave something
out; an exclusion wins wherever it stands. They are matched against `tap_stream_id`, which may itself hold dots: a
pattern is tried at each of its dots. I12: a name that holds pattern characters is matched by itself as well.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Path = tuple[str, ...]
_FORCED = "forced-replication-method"


def validate(catalog: Any) -> None:
    """Raise ValueError where a catalog cannot be used, naming the place."""
    if not isinstance(catalog, dict) or not isinstance(catalog.get("streams"), list):
        raise ValueError('a catalog is a JSON object with a list "streams"')  # noqa: TRY004
    seen: set[str] = set()
    for number, stream in enumerate(catalog["streams"]):
        where = f"streams[{number}]"
        if not isinstance(stream, dict):
            raise ValueError(f"{where} is not an object")  # noqa: TRY004
        name = stream.get("tap_stream_id", stream.get("stream"))
        if not isinstance(name, str):
            raise ValueError(f"{where} has no tap_stream_id")  # noqa: TRY004
        if name in seen:
            raise ValueError(f"{where}: the tap_stream_id {name!r} is there twice")
        seen.add(name)
        if not isinstance(stream.get("schema"), dict):
            raise ValueError(f"{where} ({name}) has no schema")  # noqa: TRY004
        _validate_metadata(stream.get("metadata", []), f"{where} ({name})")


def _validate_metadata(metadata: Any, where: str) -> None:
    if not isinstance(metadata, list):
        raise ValueError(f"{where}: metadata is not a list")  # noqa: TRY004
    for number, entry in enumerate(metadata):
        crumb = entry.get("breadcrumb") if isinstance(entry, dict) else None
        if not isinstance(crumb, list) or not all(isinstance(step, str) for step in crumb):
            raise ValueError(f"{where}: metadata[{number}] has no breadcrumb")
        if not isinstance(entry.get("metadata"), dict):
            raise ValueError(f"{where}: metadata[{number}] has no metadata object")  # noqa: TRY004


def stream_id(stream: Mapping[str, Any]) -> str:
    """How state and patterns call a stream."""
    return str(stream.get("tap_stream_id", stream.get("stream")))


def selected_streams(catalog: dict[str, Any]) -> dict[str, list[str]]:
    """The selected streams, each with its selected top-level columns."""
    chosen = {}
    for stream in catalog["streams"]:
        entries = _entries(stream)
        if _selected(entries, ()):
            paths = [path for path in _paths(stream) if len(path) == 1]
            chosen[stream_id(stream)] = [path[0] for path in paths if _selected(entries, path)]
    return chosen


def is_selected(stream: Mapping[str, Any], path: Path = ()) -> bool:
    """Whether a stream (no path) or one of its properties is selected."""
    return _selected(_entries(stream), path)


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two catalogs of the same streams select the same of each."""
    pairs = zip(one["streams"], other["streams"], strict=True)
    return all(_choices(mine) == _choices(theirs) for mine, theirs in pairs)


def apply_selection(
    catalog: dict[str, Any], patterns: Sequence[str] = (), metadata: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """A copy of the catalog with patterns and metadata applied; without patterns its own selection stays."""
    result = copy.deepcopy(catalog)
    includes = [pattern for pattern in patterns if not pattern.startswith("!")]
    excludes = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if excludes and not includes:
        includes = ["*"]
    for stream in result["streams"]:
        before_metadata = not stream.get("metadata")
        _write_metadata(stream, metadata or {})
        _write_method(stream)
        if patterns:
            _select(stream, includes, excludes)
            if before_metadata:
                _mark_schema(stream)
    return result


def apply_schema(catalog: dict[str, Any], schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A copy of the catalog in which columns have other JSON Schemas: stream (a pattern) -> column (`a.b`) -> schema.

    A column that is not there is made.
    """
    result = copy.deepcopy(catalog) if schemas else catalog
    for stream in result["streams"]:
        for pattern, columns in schemas.items():
            for column, schema in columns.items() if matches(pattern, stream_id(stream)) else ():
                *path, last = column.split(".")
                node = stream.setdefault("schema", {"type": "object"})
                for part in path:
                    node = node.setdefault("properties", {}).setdefault(part, {"type": ["object", "null"]})
                node.setdefault("properties", {})[last] = copy.deepcopy(dict(schema))
    return result


# -- reading ---------------------------------------------------------------------------------------------------------


def _entries(stream: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """Metadata by path: a breadcrumb names a "properties" before each property."""
    return {tuple(entry["breadcrumb"])[1::2]: entry["metadata"] for entry in stream.get("metadata") or []}


def _paths(stream: Mapping[str, Any]) -> Iterator[Path]:
    """Every property, parents before their children."""
    todo: list[tuple[Path, Any]] = [((), stream.get("schema"))]
    while todo:
        path, schema = todo.pop(0)
        if path:
            yield path
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if isinstance(properties, dict):
            todo += [((*path, name), value) for name, value in properties.items()]


def _selected(entries: Mapping[Path, Mapping[str, Any]], path: Path) -> bool:
    """A deselected parent, then inclusion, then `selected`, then `selected-by-default`, then the parent's value."""
    parent = bool(path) and _selected(entries, path[:-1])
    if path and not parent:
        return False
    entry = entries.get(path, {})
    if entry.get("inclusion") == "unsupported":
        return False
    if path and entry.get("inclusion") == "automatic":
        return True
    for key in ("selected", "selected-by-default"):
        if entry.get(key) is not None:
            return bool(entry[key])
    return parent


def _choices(stream: Mapping[str, Any]) -> dict[Path, bool]:
    entries = _entries(stream)
    if not _selected(entries, ()):
        return {(): False}
    return {path: _selected(entries, path) for path in ((), *_paths(stream))}


# -- writing ---------------------------------------------------------------------------------------------------------


def _entry(stream: dict[str, Any], path: Path) -> dict[str, Any]:
    """The metadata of a path, made where there is none."""
    breadcrumb = [step for name in path for step in ("properties", name)]
    for entry in stream.setdefault("metadata", []):
        if entry["breadcrumb"] == breadcrumb:
            found: dict[str, Any] = entry["metadata"]
            return found
    made: dict[str, Any] = {}
    stream["metadata"].append({"breadcrumb": breadcrumb, "metadata": made})
    return made


def _write_metadata(stream: dict[str, Any], metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """The user's metadata: an object under a property's name belongs to that property, all else to the stream."""
    if not metadata:
        return
    named = {".".join(path): path for path in _paths(stream)}
    for pattern, values in metadata.items():
        if not matches(pattern, stream_id(stream)):
            continue
        for key, value in values.items():
            if isinstance(value, Mapping) and key in named:
                _entry(stream, named[key]).update(value)
            else:
                _entry(stream, ())[key] = value


def _write_method(stream: dict[str, Any]) -> None:
    """Some taps read the top level, some the metadata: write both. Empty methods are no methods.

    An empty one at the top level stays where no other is known: meltanolabs-tap-postgres ends on a missing key.
    """
    root = _entry(stream, ())
    for name in (_FORCED, "replication-method", "replication-key"):
        if root.get(name) == "":
            del root[name]
    method = root.get("replication-method") or stream.get("replication_method") or root.get(_FORCED)
    key = root.get("replication-key") or stream.get("replication_key")
    if method:
        root["replication-method"] = stream["replication_method"] = method
    if key:
        root["replication-key"] = stream["replication_key"] = key


def _select(stream: dict[str, Any], includes: Sequence[str], excludes: Sequence[str]) -> None:
    name = stream_id(stream)
    wanted, unwanted = _rests(includes, name), _rests(excludes, name)
    entries = _entries(stream)
    root = _entry(stream, ())
    paths = list(_paths(stream))
    chosen = {path for path in paths if _covered(wanted, path) and not _covered(unwanted, path)}
    whole = any(rest in ("", "*") for rest in wanted) and not any(rest in ("", "*") for rest in unwanted)
    usable = any(entries.get(path, {}).get("inclusion") != "unsupported" for path in chosen)
    root["selected"] = whole or usable
    if not root["selected"]:
        return
    for path in paths:
        if path[0] in _keys(stream, root) and len(path) == 1 and not _covered(unwanted, path):
            chosen.add(path)
    for path in list(chosen):  # a child needs its parents
        chosen.update(path[:end] for end in range(1, len(path)) if not _covered(unwanted, path[:end]))
    for path in paths:
        _mark(stream, entries, path, path in chosen)


def _mark(stream: dict[str, Any], entries: Mapping[Path, Mapping[str, Any]], path: Path, chosen: bool) -> None:
    """Write a property's choice; nested ones only where they differ from what they would inherit."""
    inclusion = entries.get(path, {}).get("inclusion")
    if inclusion == "unsupported":
        return
    if len(path) > 1 and path not in entries and chosen == is_selected(stream, path[:-1]):
        return
    _entry(stream, path)["selected"] = chosen or (inclusion == "automatic" and is_selected(stream, path[:-1]))


def _mark_schema(stream: dict[str, Any]) -> None:
    """The same choice in the schema: a tap that knows no metadata looks for it there (tap-rest-api 0.2.22)."""
    schema = stream.get("schema")
    if not isinstance(schema, dict):
        return
    schema["selected"] = is_selected(stream)
    for path in [one for one in _paths(stream) if len(one) == 1]:
        column = schema["properties"][path[0]]
        if isinstance(column, dict):
            column["selected"] = is_selected(stream, path)


def _keys(stream: Mapping[str, Any], root: Mapping[str, Any]) -> set[str]:
    """Columns that a stream cannot do without."""
    names: set[str] = set()
    for value in (
        stream.get("key_properties"),
        root.get("table-key-properties"),
        root.get("view-key-properties"),
        root.get("replication-key"),
    ):
        names.update([value] if isinstance(value, str) else value or ())
    return names


def _rests(patterns: Sequence[str], name: str) -> list[str]:
    """What is left of each pattern after the part that matches a stream's id; "" is the whole stream."""
    rests = []
    for pattern in patterns:
        if matches(pattern, name):
            rests.append("")
        dot = pattern.find(".")
        while dot >= 0:
            if matches(pattern[:dot], name):
                rests.append(pattern[dot + 1 :])
            dot = pattern.find(".", dot + 1)
    return rests


def _covered(rests: Sequence[str], path: Path) -> bool:
    """Whether a pattern names a property or one of its parents."""
    joined = [".".join(path[:end]) for end in range(1, len(path) + 1)]
    return any(rest == "" or any(matches(rest, text) for text in joined) for rest in rests)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern means a name."""
    return pattern == name or fnmatchcase(name, pattern)
