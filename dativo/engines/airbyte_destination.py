"""Airbyte destinations as targets: the child, and the catalog that it is given at its start.

A destination is told its streams before the first record, each with a mode: what becomes of rows that are there. The
streams are those of the tap's catalog; their records are put into Airbyte's words by the data plane (SPEC.md,
section 15).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.engines import airbyte_catalog
from dativo.engines.airbyte_catalog import FULL, INCREMENTAL, OWN
from dativo.engines.airbyte_generations import Loads, Told

MODES = {"append": "append", "overwrite": "overwrite", "append_dedup": "upsert"}
"""What a destination says that it can (`supported_destination_sync_modes`), as capabilities of a target."""
CHOSEN = "destination-sync-mode"
"""The metadata of a stream that names its mode."""

PROMPT = {"PYTHONUNBUFFERED": "1"}
"""The CDK prints what it confirms into a buffer of 8 KiB: a destination that is killed would take that with it."""


@dataclass(frozen=True)
class Start:
    """Where a run begins, as far as a destination has to know it."""

    catalog: Mapping[str, Any] | str | None
    """The tap's Singer catalog, with what is selected."""
    state: str | None = None
    """The bookmark that the tap is handed."""
    begun: bool = False
    """Whether this run has made a bookmark: rows before it are in the destination and are not sent again."""
    loads: Loads = field(default_factory=Loads)
    """How the run's generations are counted."""
    renamed: Callable[[str], str] | None = None
    """What a stream is to be called there, made of its name in Singer; it is in no namespace then."""


@dataclass(frozen=True)
class Configured:
    """A configured catalog, and what the data plane has to know of it."""

    catalog: dict[str, Any]
    streams: list[dict[str, Any]]


def capabilities(spec: Mapping[str, Any]) -> list[str]:
    """What a ConnectorSpecification says about modes; one that says nothing appends."""
    return sorted(MODES[mode] for mode in modes(spec)) or ["append"]


def modes(spec: Mapping[str, Any]) -> list[str]:
    """The modes that it names; a source names none."""
    said = spec.get("supported_destination_sync_modes")
    return [mode for mode in MODES if mode in said] if isinstance(said, list) else []


def configured(start: Start, can: Collection[str], plugin: str) -> Configured:
    """The catalog of a destination. Raises `catalog.invalid` where there is none, or a mode that it lacks is needed."""
    from dativo_protocol.catalog import selected_streams

    if start.catalog is None:
        raise errors.ConfigError(
            "catalog.invalid",
            f"{plugin} has to be given its streams before it starts, and its tap has no catalog to tell them by",
            hint=f"give one: --catalog FILE, or: … | dativo {plugin} --catalog FILE",
            context={"plugin": plugin},
        )
    given = json.loads(start.catalog) if isinstance(start.catalog, str) else dict(start.catalog)
    chosen = selected_streams({"streams": given.get("streams", [])})
    streams, told = [], []
    generations: Told = {}
    for stream in given.get("streams", []):
        name = str(stream.get("tap_stream_id", stream.get("stream")))
        if name in chosen:
            one, plan = _stream(stream, name, chosen[name], _Terms(start, can, plugin))
            generations[plan["stream"]] = {
                "generation": one["generation_id"],
                "minimum": one["minimum_generation_id"],
                "name": plan["name"],
                "namespace": plan["namespace"],
            }
            streams.append(one)
            told.append(plan)
    if start.renamed is not None:
        _one_name_each(told)
    names = {plan["stream"] for plan in told}
    for plan in told:  # a name is one stream's: its own before what another might be called as well
        plan["also"] = [one for one in plan["also"] if one not in names]
        names.update(plan["also"])
    start.loads.start(generations)
    return Configured({"streams": streams}, told)


def _one_name_each(told: Collection[Mapping[str, Any]]) -> None:
    """Raises `data.stream_name` where a template makes one name of two streams, or none of one."""
    taken: dict[str, str] = {}
    for plan in told:
        name, stream = plan["name"], plan["stream"]
        other = taken.setdefault(name, stream)
        if not name or other != stream:
            why = f"{name} of {stream}, which {other} is called too" if name else f"no name of {stream}"
            raise errors.DataError(
                "data.stream_name", f"the template for names makes {why}", context={"stream": stream}
            )


@dataclass(frozen=True)
class _Terms:
    start: Start
    can: Collection[str]
    plugin: str


def _stream(
    stream: Mapping[str, Any], name: str, columns: list[str], terms: _Terms
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ConfiguredAirbyteStream, and the stream of the plan."""
    root = airbyte_catalog.root_of(stream)
    own = stream.get(OWN)
    start = terms.start
    keys = _keys(stream, root)
    seen = airbyte_catalog.columns(stream, columns, keys)
    schema = {"type": "object", **seen["schema"]}
    schema.setdefault("properties", {})
    message = str(stream.get("stream") or name)
    if start.renamed is not None:
        namespace, there = None, _table(start.renamed(message), None, schema)
    elif isinstance(own, dict) and isinstance(own.get("name"), str):
        namespace = own.get("namespace") if isinstance(own.get("namespace"), str) else None
        there = {**_table(own["name"], namespace, schema), **own, "json_schema": schema}
    else:
        namespace, table = _split(message, root)
        there = _table(table, namespace, schema)
    method = str(root.get("replication-method") or stream.get("replication_method") or "").upper()
    cursor = root.get("replication-key") or stream.get("replication_key")
    full = method == FULL
    wanted = root.get(CHOSEN)
    keyed = bool(seen["key_properties"])
    mode = _mode(message, terms, full=full, keyed=keyed, wanted=wanted if isinstance(wanted, str) else None)
    empties = mode == "overwrite"
    anew = empties or not (start.begun or _goes_on(start.state, message))
    generation, least = start.loads.of(message, anew=anew, empties=empties)
    one = {
        "stream": there,
        "sync_mode": "full_refresh" if full else "incremental",
        "cursor_field": [cursor] if isinstance(cursor, str) and method == INCREMENTAL else [],
        "primary_key": [[key] for key in seen["key_properties"]],
        "destination_sync_mode": mode,
        "generation_id": generation,
        "minimum_generation_id": least,
        "sync_id": start.loads.sync,
    }
    schema_name = root.get("schema-name")
    others = [name, *([f"{schema_name}-{message}"] if isinstance(schema_name, str) and schema_name else [])]
    plan = {
        "name": str(there["name"]),
        "namespace": namespace or None,
        "stream": message,
        "also": [other for other in dict.fromkeys(others) if other != message],
    }
    return one, plan


def _table(name: str, namespace: str | None, schema: Mapping[str, Any]) -> dict[str, Any]:
    """An AirbyteStream."""
    spaced = {"namespace": namespace} if namespace else {}
    modes = {"supported_sync_modes": ["full_refresh", "incremental"]}
    return {"name": name, **spaced, "json_schema": schema, **modes}


def _keys(stream: Mapping[str, Any], root: Mapping[str, Any]) -> list[str]:
    for given in (
        stream.get("key_properties"),
        root.get("table-key-properties"),
        root.get("view-key-properties"),
    ):
        if isinstance(given, list) and given:
            return [key for key in given if isinstance(key, str)]
    return []


def _split(name: str, root: Mapping[str, Any]) -> tuple[str | None, str]:
    """Namespace and name of what a tap calls SCHEMA-TABLE."""
    schema = root.get("schema-name")
    if isinstance(schema, str) and schema:
        return schema, name.removeprefix(f"{schema}-") or name
    return None, name


def _mode(stream: str, terms: _Terms, *, full: bool, keyed: bool, wanted: str | None) -> str:
    """destination_sync_mode: `overwrite` for what is read anew from its first row, else what keeps all rows."""
    can, start = terms.can, terms.start
    lacks = None
    if wanted is not None and MODES.get(wanted) not in can:
        lacks = "it cannot do that"
    elif wanted == "append_dedup" and not keyed:
        lacks = "the stream has no key"
    elif wanted == "overwrite" and not full:
        lacks = "only a stream that is read in full (FULL_TABLE) is all there again"
    if lacks is not None:
        raise _refused(terms.plugin, stream, f"{CHOSEN}: {wanted}: {lacks}", f"it offers {' or '.join(offered(can))}")
    if wanted is not None and not (wanted == "overwrite" and start.begun):
        return wanted
    anew = full and not start.begun and not _goes_on(start.state, stream)
    if anew and "overwrite" in can:
        return "overwrite"
    if keyed and "upsert" in can:
        return "append_dedup"
    if "append" in can:
        return "append"
    why = "it only overwrites, and rows that it holds are not sent again"
    if "upsert" in can:
        why = "it needs a key, and the stream has none"
    raise _refused(terms.plugin, stream, why, "read the stream in full: replication-method FULL_TABLE, --full-refresh")


def _goes_on(state: str | None, stream: str) -> bool:
    """Whether the tap may leave rows of the stream out because of its bookmark."""
    from dativo_protocol import codec

    value = codec.decode(state.encode()) if state else None
    if not isinstance(value, dict) or not value:
        return False
    parts = value.get("bookmarks")
    if not isinstance(parts, dict) or value.get("currently_syncing"):
        return True  # what it means is known to the tap alone; or it stopped between streams
    # A stream of an Airbyte source that is read in full is handed no state.
    return bool(parts.get(stream)) and "airbyte" not in value


def _refused(plugin: str, stream: str, why: str, hint: str) -> errors.ConfigError:
    context = {"plugin": plugin, "stream": stream}
    return errors.ConfigError("catalog.invalid", f"{plugin} cannot take {stream}: {why}", hint=hint, context=context)


def offered(can: Collection[str]) -> list[str]:
    """The modes that a destination with these capabilities has."""
    return [mode for mode, capability in MODES.items() if capability in can]
