"""Catalogs of Airbyte sources: what they offer as a Singer catalog, and what is chosen of that as a configured catalog.

A stream of a namespace is called `NAMESPACE-NAME`, as SQL taps call a table of a schema, so that `--stream-name
'{table}'` works on both. The AirbyteStream itself travels in the Singer catalog, as `airbyte_stream`, for the way
back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass

OWN = "airbyte_stream"
FULL, INCREMENTAL = "FULL_TABLE", "INCREMENTAL"


@dataclass(frozen=True)
class Configured:
    """A configured catalog, and what the data plane has to know of it."""

    catalog: dict[str, Any]
    """The ConfiguredAirbyteCatalog."""
    streams: list[dict[str, Any]]
    """`airbyte.streams` of the plan."""
    names: frozenset[str] = frozenset()
    """The Singer names of its streams."""
    incremental: frozenset[str] = field(default_factory=frozenset)
    """Those that go on where they were."""


def stream_name(name: str, namespace: str | None) -> str:
    """What a stream is called in Singer messages, catalogs and bookmarks."""
    return f"{namespace}-{name}" if namespace else name


def discovered(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """The Singer catalog. Streams without a name, and all but the first of one name, are left out."""
    streams: dict[str, dict[str, Any]] = {}
    for stream in catalog.get("streams", ()):
        if isinstance(stream, dict) and isinstance(stream.get("name"), str):
            found = _offered(stream)
            streams.setdefault(found["tap_stream_id"], found)
    return {"streams": list(streams.values())}


def _offered(stream: dict[str, Any]) -> dict[str, Any]:
    namespace = stream.get("namespace")
    name = stream_name(stream["name"], namespace if isinstance(namespace, str) else None)
    schema = stream.get("json_schema")
    schema = {"type": "object", **schema} if isinstance(schema, dict) else {"type": "object"}
    keys = [path[0] for path in _paths(stream.get("source_defined_primary_key")) if len(path) == 1]
    modes = stream.get("supported_sync_modes")
    cursor = _path(stream.get("default_cursor_field"))
    goes_on = isinstance(modes, list) and "incremental" in modes and (stream.get("source_defined_cursor") or cursor)
    found: dict[str, Any] = {
        "tap_stream_id": name,
        "stream": name,
        "schema": schema,
        "key_properties": keys,
        "replication_method": INCREMENTAL if goes_on else FULL,
    }
    root: dict[str, Any] = {"inclusion": "available", "selected-by-default": True, "table-key-properties": keys}
    if goes_on and cursor:
        found["replication_key"] = ".".join(cursor)
        root["valid-replication-keys"] = [".".join(cursor)]
    needed = {*keys, *cursor[:1]}
    properties = schema.get("properties")
    columns = [
        {"breadcrumb": ["properties", column],
         "metadata": {"inclusion": "automatic" if column in needed else "available"}}
        for column in (properties if isinstance(properties, dict) else ())
    ]  # fmt: skip
    found["metadata"] = [{"breadcrumb": [], "metadata": root}, *columns]
    found[OWN] = {key: value for key, value in stream.items() if key != "json_schema"}
    return found


def configured(catalog: Mapping[str, Any], plugin: str) -> Configured:
    """What is selected, with how it is to be read. Raises `catalog.invalid` for what the source does not offer."""
    from dativo_protocol.catalog import selected_streams

    chosen = selected_streams({"streams": catalog["streams"]})
    streams, plans, incremental = [], [], set()
    for stream in catalog["streams"]:
        name = str(stream.get("tap_stream_id", stream.get("stream")))
        if name not in chosen:
            continue
        own = stream.get(OWN)
        own = own if isinstance(own, dict) else {"name": name, "supported_sync_modes": ["full_refresh"]}
        mode, cursor = _replication(stream, own, name, plugin)
        if mode == "incremental":
            incremental.add(name)
        keys = _paths(own.get("source_defined_primary_key"))
        flat = _keys(stream, keys)
        streams.append(
            {
                "stream": {**own, "json_schema": stream["schema"]},
                "sync_mode": mode,
                "cursor_field": cursor,
                "primary_key": keys or [[key] for key in flat],
                "destination_sync_mode": _destination(mode, bool(keys or flat)),
            }
        )
        namespace = own.get("namespace")
        plans.append(
            {
                "name": str(own["name"]),
                "namespace": namespace if isinstance(namespace, str) else None,
                "stream": name,
                **columns(stream, chosen[name], flat),
            }
        )
    names = frozenset(plan["stream"] for plan in plans)
    return Configured({"streams": streams}, plans, names, frozenset(incremental))


def root_of(stream: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a stream as a whole."""
    for one in stream.get("metadata") or []:
        if not one.get("breadcrumb"):
            return dict(one["metadata"])
    return {}


def columns(stream: Mapping[str, Any], chosen: list[str], keys: list[str]) -> dict[str, Any]:
    """The SCHEMA with the columns that are selected, and those that are taken out of records."""
    schema = stream["schema"]
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {"schema": schema, "key_properties": keys, "without": []}
    kept = set(chosen)
    without = [column for column in properties if column not in kept]
    if without:
        schema = {**schema, "properties": {key: value for key, value in properties.items() if key in kept}}
        if isinstance(schema.get("required"), list):
            schema["required"] = [key for key in schema["required"] if key in kept]
    return {"schema": schema, "key_properties": [key for key in keys if key in kept], "without": without}


def _replication(stream: Mapping[str, Any], own: Mapping[str, Any], name: str, plugin: str) -> tuple[str, list[str]]:
    """sync_mode and cursor_field, from replication-method and replication-key."""
    root = root_of(stream)
    method = str(root.get("replication-method") or stream.get("replication_method") or FULL).upper()
    key = root.get("replication-key") or stream.get("replication_key")
    modes = own.get("supported_sync_modes") or ["full_refresh"]
    wanted = {FULL: "full_refresh", INCREMENTAL: "incremental"}.get(method)
    if wanted is None or wanted not in modes:
        offered = " or ".join(
            word for word, mode in ((FULL, "full_refresh"), (INCREMENTAL, "incremental")) if mode in modes
        )
        raise errors.ConfigError(
            "catalog.invalid",
            f"{plugin} cannot read {name} with replication-method {method}",
            hint=f"it offers {offered}",
            context={"plugin": plugin, "stream": name},
        )
    default = _path(own.get("default_cursor_field"))
    if wanted == "full_refresh":
        return wanted, default
    if own.get("source_defined_cursor") or not isinstance(key, str) or key == ".".join(default):
        if not own.get("source_defined_cursor") and not default:
            raise errors.ConfigError(
                "catalog.invalid",
                f"{plugin} needs to know by which column {name} is read incrementally",
                hint=f"set metadata.{name}.replication-key",
                context={"plugin": plugin, "stream": name},
            )
        return wanted, default
    return wanted, [key]


def _destination(mode: str, keyed: bool) -> str:
    """What a destination would be told; some sources look at it."""
    if mode == "full_refresh":
        return "overwrite"
    return "append_dedup" if keyed else "append"


def _keys(stream: Mapping[str, Any], paths: list[list[str]]) -> list[str]:
    """The key's columns; a key within an object is none that a SCHEMA can name."""
    if any(len(path) != 1 for path in paths):
        return []
    given = stream.get("key_properties")
    return [path[0] for path in paths] or [key for key in given or [] if isinstance(key, str)]


def _path(value: Any) -> list[str]:
    return [str(step) for step in value] if isinstance(value, list) else []


def _paths(value: Any) -> list[list[str]]:
    return [path for one in value if (path := _path(one))] if isinstance(value, list) else []
