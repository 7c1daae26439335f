"""A catalog file of a script, kept as the plugin's `catalog:`; what it says in old places is said in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dativo_protocol.catalog import selected_streams, validate


def today(catalog: dict[str, Any]) -> dict[str, Any]:
    """The catalog, `selected` in its metadata. Raises ValueError where it cannot be used or selects nothing."""
    validate(catalog)
    made = {**catalog, "streams": [_stream(one) for one in catalog["streams"]]}
    if not selected_streams(made):
        raise ValueError("no stream of it is selected")
    return made


def _root(stream: Mapping[str, Any]) -> dict[str, Any]:
    for entry in stream.get("metadata") or []:
        if not entry["breadcrumb"]:
            return dict(entry["metadata"])
    return {}


def _stream(stream: dict[str, Any]) -> dict[str, Any]:
    """A stream that says `selected` in its old places (itself, its schema), said in its metadata as well."""
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
