"""Meltano's `select`, `metadata`, `schema`, `select_filter` and `catalog` as Dativo's keys of a tap.

Facts: Meltano 4.4.1, core/plugin/singer/tap.py and catalog.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dativo.config.meltano.files import fault
from dativo.config.meltano.kinds import flat

_WILD = re.compile(r"[*?\[]")


def section(extras: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The keys `select`, `metadata`, `schema`, `streams` and `catalog` for a tap with these extras."""
    found: dict[str, Any] = {"select": _patterns(extras.get("_select"), "select", where)}
    metadata = _metadata(extras.get("_metadata") or {}, where)
    schema = _schema(extras.get("_schema") or {}, where)
    streams = _streams(_patterns(extras.get("_select_filter"), "select_filter", where))
    if extras.get("_catalog"):  # with a catalog of the user's own, Meltano applies nothing but the filter
        return {"catalog": str(extras["_catalog"]), **({"streams": streams} if streams else {})}
    found |= {"metadata": metadata} if metadata else {}
    found |= {"schema": schema} if schema else {}
    return {**found, **({"streams": streams} if streams else {})}


def _patterns(value: Any, key: str, where: str) -> list[str]:
    if not isinstance(value, list | None) or not all(isinstance(one, str) and one for one in value or []):
        raise fault(where, f"{key} is a list of patterns")
    return [one.replace("\\.", ".") for one in value or []]


def _streams(patterns: list[str]) -> list[str]:
    """A filter speaks of whole streams: what follows a dot is not looked at."""
    return [re.split(r"(?<!\\)\.", one, maxsplit=1)[0] for one in patterns]


def _metadata(value: Any, where: str) -> dict[str, dict[str, Any]]:
    """Stream -> key -> value, or stream -> column -> key -> value; a column in a column is `a.b`."""
    if not isinstance(value, Mapping):
        raise fault(where, "metadata is a mapping: stream, then its metadata")
    found: dict[str, dict[str, Any]] = {}
    for name, one in flat(dict(value)).items():
        parts = name.split(".")
        if len(parts) < 2:
            raise fault(where, f"metadata of {name} is a mapping")
        stream, *column, key = parts
        if any(_WILD.search(part) for part in column):
            raise fault(
                where,
                f"metadata of {stream}: the column {'.'.join(column)} is a pattern, which is not taken over",
                hint="name the columns",
            )
        kept = found.setdefault(stream, {})
        kept = kept.setdefault(".".join(column), {}) if column else kept
        kept[key] = one
    return found


def _schema(value: Any, where: str) -> dict[str, dict[str, Any]]:
    fine = isinstance(value, Mapping) and all(
        isinstance(columns, Mapping) and all(isinstance(one, Mapping) for one in columns.values())
        for columns in value.values()
    )
    if not fine:
        raise fault(where, "schema is a mapping: stream, column, then a JSON Schema")
    return {stream: {column: dict(one) for column, one in columns.items()} for stream, columns in value.items()}
