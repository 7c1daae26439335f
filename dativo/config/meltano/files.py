"""meltano.yml and the files that it includes, merged as Meltano merges them; each entry knows its file and line."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.document import Document, load
from dativo.config.keys import NAME
from dativo.dataclass import dataclass

FILE = "meltano.yml"
CODE = "meltano.invalid"
MAX_INCLUDED = 500
TYPES = {
    "extractors": "extractor", "loaders": "loader", "mappers": "mapper", "utilities": "utility",
    "orchestrators": "orchestrator", "transformers": "transformer", "transforms": "transform", "files": "file",
}  # fmt: skip
"""A key below `plugins`, and what Meltano calls one of them."""
LISTS = ("environments", "schedules", "jobs")
_SHAPES: dict[str, tuple[type, str]] = {
    "config": (dict, "a mapping"), "env": (dict, "a mapping"), "settings": (list, "a list"), "select": (list, "a list"),
    "metadata": (dict, "a mapping"), "schema": (dict, "a mapping"), "select_filter": (list, "a list"),
    "mappings": (list, "a list"), "capabilities": (list, "a list"), "annotations": (dict, "a mapping"),
}  # fmt: skip
_TEXTS = ("inherit_from", "namespace", "variant", "pip_url", "executable", "catalog", "state", "load_schema", "dialect")


@dataclass(frozen=True)
class Files:
    """The merged file. `data` is plain; `origins` says which document an entry of a list is of."""

    root: Path
    data: dict[str, Any]
    origins: dict[tuple[str, ...], list[tuple[Document, int]]] = field(default_factory=dict)
    """`("plugins", "extractors")` or `("jobs",)` -> for each item its document, and its place in the list there."""
    documents: tuple[Document, ...] = ()

    def where(self, key: tuple[str, ...], index: int, *below: str | int) -> str:
        """Where an item of a list stands, or a key below it: `meltano.yml:12`."""
        document, at = self.origins[key][index]
        return document.where((*key, at, *below))

    def items(self, *key: str) -> list[tuple[dict[str, Any], str]]:
        """The items of a list with their places."""
        at: Any = self.data
        for part in key:
            at = (at or {}).get(part)
        return [(item, self.where(key, index)) for index, item in enumerate(at or [])]


def read(root: Path) -> Files:
    """Read a project's files. Raises `meltano.invalid` with the file and the line."""
    first = load(root / FILE, code=CODE, dates=True)
    included = ((path, load(path, code=CODE, dates=True)) for path in _included(root, first))
    documents = [first, *(replace(one, shown=str(path.relative_to(root))) for path, one in included)]
    data = copy.deepcopy(first.data)
    origins: dict[tuple[str, ...], list[tuple[Document, int]]] = {}
    for number, document in enumerate(documents):
        _check(document)
        if number:
            data = _merged(data, document.data)
        for key in [*(("plugins", kind) for kind in TYPES), *((name,) for name in LISTS)]:
            found: Any = document.data
            for part in key:
                found = (found or {}).get(part)
            for index in range(len(found or [])):
                origins.setdefault(key, []).append((document, index))
    files = Files(root, data, origins, tuple(documents))
    _unique(files)
    return files


def fault(where: str, what: str, *, hint: str | None = None) -> errors.ConfigError:
    """`meltano.invalid` at a place."""
    return errors.ConfigError(CODE, f"{where}: {what}", hint=hint)


def _included(root: Path, document: Document) -> Iterator[Path]:
    """The files that `include_paths` finds, in the order of its patterns; none outside the project (I12)."""
    patterns = document.data.get("include_paths") or []
    if not isinstance(patterns, list) or not all(isinstance(one, str) and one for one in patterns):
        raise fault(document.where(("include_paths",)), "include_paths is a list of patterns")
    found: dict[Path, None] = {}
    for index, pattern in enumerate(patterns):
        where = document.where(("include_paths", index))
        if pattern.startswith(("/", "~")) or ".." in Path(pattern).parts:
            raise fault(where, f"{pattern!r} leads out of the project", hint="include files of the project only")
        try:
            matched = sorted(root.glob(pattern))
        except (ValueError, RuntimeError) as problem:
            raise fault(where, f"{pattern!r} is no pattern") from problem
        for path in matched:
            if path == root / FILE or path in found:
                continue
            if not path.resolve().is_relative_to(root.resolve()):
                raise fault(where, f"{path.name} leads out of the project", hint="include files of the project only")
            if not path.is_file():
                raise fault(where, f"{path.relative_to(root)} is no file")
            found[path] = None
            if len(found) > MAX_INCLUDED:
                raise fault(where, f"more than {MAX_INCLUDED} files are included")
    yield from found


def _merged(base: Any, top: Any) -> Any:
    """Mappings key by key, lists one after the other, all else the included file's."""
    if isinstance(base, dict) and isinstance(top, dict):
        return {**base, **{key: _merged(base[key], value) if key in base else value for key, value in top.items()}}
    if isinstance(base, list) and isinstance(top, list):
        return [*base, *top]
    return copy.deepcopy(top)


def _check(document: Document) -> None:
    _check_plugins(document, ("plugins",), document.data.get("plugins"))
    for key in LISTS:
        for index, entry in _entries(document, (key,), document.data.get(key)):
            _shape(document, (key, index), entry, key)
            if key == "environments":
                _check_plugins(document, (key, index, "config", "plugins"), (entry.get("config") or {}).get("plugins"))
    env = document.data.get("env")
    if env is not None and not _variables(env):
        raise fault(document.where(("env",)), "env is a mapping of variables to texts")


def _check_plugins(document: Document, at: tuple[str | int, ...], plugins: Any) -> None:
    if plugins is None:
        return
    if not isinstance(plugins, dict):
        raise fault(document.where(at), f"{_named(at)} is a mapping of kinds")
    for kind, entries in plugins.items():
        if kind not in TYPES:
            raise fault(
                document.where((*at, kind)),
                f"{_named(at)}.{kind} is no kind of plugin",
                hint=f"there are {', '.join(TYPES)}",
            )
        for index, entry in _entries(document, (*at, kind), entries):
            _shape(document, (*at, kind, index), entry, f"{_named(at)}.{kind}")


def _named(at: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in at)


def _entries(document: Document, key: tuple[str | int, ...], entries: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if entries is None:
        return
    if not isinstance(entries, list):
        raise fault(document.where(key), f"{_named(key)} is a list")
    for index, entry in enumerate(entries):
        where = document.where((*key, index))
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise fault(where, f"an entry of {_named(key)} is a mapping with a name")
        if not NAME.fullmatch(entry["name"]):
            raise fault(where, f"{entry['name']!r} cannot be a name: use letters, digits, . _ -")
        yield index, entry


def _shape(document: Document, at: tuple[str | int, ...], entry: Mapping[str, Any], what: str) -> None:
    for key, value in entry.items():
        shape, said = _SHAPES.get(key, (object, ""))
        if value is not None and not isinstance(value, shape):
            raise fault(document.where((*at, key)), f"{what}: {key} of {entry['name']} is {said}")
        if key in _TEXTS and value is not None and not isinstance(value, str):
            raise fault(document.where((*at, key)), f"{what}: {key} of {entry['name']} is text")
        if key == "env" and not _variables(value or {}):
            raise fault(document.where((*at, key)), f"{what}: env of {entry['name']} is a mapping of texts")


def _variables(env: Any) -> bool:
    return isinstance(env, dict) and all(isinstance(one, str | int | float | bool | None) for one in env.values())


def _unique(files: Files) -> None:
    for key in [*(("plugins", kind) for kind in TYPES), *((name,) for name in LISTS)]:
        seen: dict[str, str] = {}
        for entry, where in files.items(*key):
            if entry["name"] in seen:
                raise fault(where, f"{entry['name']} is in {'.'.join(key)} twice: also in {seen[entry['name']]}")
            seen[entry["name"]] = where
