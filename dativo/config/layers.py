"""One document with an environment merged on top, which still knows the file and line of every key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dativo.config.document import Document, KeyPath
from dativo.dataclass import dataclass


@dataclass(frozen=True)
class Layers:
    """`data` is the merged result. `overlay` is where the top layer hangs in its own document."""

    base: Document
    data: dict[str, Any]
    tops: tuple[tuple[Document, KeyPath], ...] = ()

    @classmethod
    def of(cls, document: Document) -> Layers:
        """A document alone."""
        return cls(document, document.data)

    def with_environment(self, name: str) -> Layers:
        """With `environments.NAME` of the base document on top."""
        top = (self.base.data.get("environments") or {}).get(name) or {}
        return self._on_top(self.base, ("environments", name), top)

    def with_document(self, document: Document) -> Layers:
        """With another document on top (a job file's inline plugins)."""
        return self._on_top(document, (), document.data)

    def _on_top(self, document: Document, at: KeyPath, data: dict[str, Any]) -> Layers:
        return replace(self, data=merged(self.data, data), tops=((document, at), *self.tops))

    def at(self, *path: str) -> Any:
        """The merged value at a path, or None."""
        return _found(self.data, path)

    def where(self, key: KeyPath) -> str:
        """`file:line` of the layer that decides a key."""
        document, at = self.source(key)
        return document.where((*at, *key))

    def source(self, key: KeyPath) -> tuple[Document, KeyPath]:
        """The layer that decides a key: its document and the path under which it hangs there."""
        for document, at in self._candidates():
            if (*at, *key) in document.lines:
                return document, at
        return self.base, ()

    def _candidates(self) -> Iterator[tuple[Document, KeyPath]]:
        yield from self.tops
        yield self.base, ()


def merged(base: Any, top: Any) -> Any:
    """`top` over `base`: mappings merge key by key, everything else is replaced. An empty key changes nothing."""
    if not isinstance(base, dict) or not isinstance(top, dict):
        return top
    result = dict(base)
    for key, value in top.items():
        if value is None and isinstance(result.get(key), dict):
            continue
        result[key] = merged(result[key], value) if key in result else value
    return result


def _found(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(data, dict):
            return None
        data = data.get(part)
    return data
