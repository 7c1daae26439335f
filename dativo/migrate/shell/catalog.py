"""What a catalog file selects and how it replicates, as `select:` and `metadata:` of a plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dativo_protocol.catalog import selected_streams, stream_id, validate

KEPT = ("replication-method", "replication-key", "view-key-properties", "table-key-properties")
"""What a stream's metadata may say that a discovered catalog does not say by itself."""


def selection(catalog: dict[str, Any]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Patterns and metadata. Raises ValueError where the catalog cannot be used."""
    validate(catalog)
    catalog = {**catalog, "streams": [_today(one) for one in catalog["streams"]]}
    chosen = selected_streams(catalog)
    patterns: list[str] = []
    metadata: dict[str, dict[str, Any]] = {}
    for stream in catalog["streams"]:
        name = stream_id(stream)
        if name not in chosen:
            continue
        columns = list(stream["schema"].get("properties") or {})
        left_out = [column for column in columns if column not in chosen[name]]
        patterns.append(f"{name}.*")
        patterns += [f"!{name}.{column}" for column in left_out]
        about = dict(_replication(stream))
        if about:
            metadata[name] = about
    return patterns, metadata


def _replication(stream: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    root = _root(stream)
    for key in KEPT:
        value = root.get(key) or stream.get(key.replace("-", "_"))
        if value:
            yield key, value


def _root(stream: Mapping[str, Any]) -> dict[str, Any]:
    for entry in stream.get("metadata") or []:
        if not entry["breadcrumb"]:
            return dict(entry["metadata"])
    return {}


def _today(stream: dict[str, Any]) -> dict[str, Any]:
    """A stream that says `selected` in its old places (itself, its schema), said in its metadata."""
    root = _root(stream)
    old = stream.get("selected", stream["schema"].get("selected"))
    if "selected" in root or old is None:
        return stream
    others = [entry for entry in stream.get("metadata") or [] if entry["breadcrumb"]]
    known = {tuple(entry["breadcrumb"]) for entry in others}
    for column, prop in (stream["schema"].get("properties") or {}).items():
        crumb = ("properties", column)
        if isinstance(prop, dict) and "selected" in prop and crumb not in known:
            others.append({"breadcrumb": list(crumb), "metadata": {"selected": prop["selected"]}})
    return {**stream, "metadata": [{"breadcrumb": [], "metadata": {**root, "selected": old}}, *others]}
