"""What PipelineWise knows about each type of tap: how its streams are called, and what it puts into its config.

Facts of `pipelinewise/cli/tap_properties.py` (PipelineWise 0.73).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dativo.dataclass import dataclass

Tap = Mapping[str, Any]
DATABASE, SCHEMA = "{schema}-{table}", "{table}"


def _s3_tables(tap: Tap) -> dict[str, Any]:
    """`tables` of tap-s3-csv: the mappings of the first schema's tables."""
    schemas = tap.get("schemas") or [{}]
    tables = schemas[0].get("tables") or []
    mapped = [{**one["s3_csv_mapping"], "table_name": one["table_name"]} for one in tables if one.get("s3_csv_mapping")]
    return {"tables": mapped}


def _table_list(tap: Tap) -> dict[str, Any]:
    return {
        "tables": ",".join(
            f"{schema.get('source_schema')}.{table.get('table_name')}"
            for schema in tap.get("schemas") or []
            for table in schema.get("tables") or []
        )
    }


def _mongodb(tap: Tap) -> dict[str, Any]:
    return {"database": _conn(tap).get("dbname"), "include_schemas_in_destination_stream_name": "true"}


def _mixpanel(tap: Tap) -> dict[str, Any]:
    return {
        "user_agent": "PipelineWise - Tap Mixpanel",
        "denest_properties": _conn(tap).get("denest_properties", "false"),
    }


def _conn(tap: Tap) -> Mapping[str, Any]:
    found = tap.get("db_conn")
    return found if isinstance(found, Mapping) else {}


def _nothing(_tap: Tap) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Kind:
    """One type of tap."""

    stream: str = DATABASE
    """Its tap_stream_id; `{database}`, `{schema}` and `{table}` stand for the names in the YAML."""
    name: str | None = None
    """The name in its messages, where that is another."""
    method: str = "LOG_BASED"
    """How a table is replicated that says nothing about it."""
    extras: Callable[[Tap], dict[str, Any]] = _nothing
    """Settings that PipelineWise adds to `db_conn`."""
    flattening: int = 0
    """The target's data_flattening_max_level."""
    adds: str | None = None
    """What PipelineWise adds that is not taken over, and why."""


_SERVER_ID = (
    "a random server_id: the tap takes its own; set plugins.NAME.config.server_id where two taps read one server"
)
KINDS: dict[str, Kind] = {
    "tap-mysql": Kind(adds=_SERVER_ID),
    "tap-postgres": Kind(extras=lambda tap: {"tap_id": tap.get("id")}),
    "tap-zuora": Kind(SCHEMA, method="FULL_TABLE", flattening=10),
    "tap-oracle": Kind(),
    "tap-kafka": Kind(
        SCHEMA, extras=lambda _: {"encoding": "utf-8"}, adds="local_store_dir, a folder of its own: set it and grant it"
    ),
    "tap-zendesk": Kind(SCHEMA, method="INCREMENTAL", flattening=10),
    "tap-jira": Kind(SCHEMA, method="INCREMENTAL", extras=lambda _: {"user_agent": "PipelineWise - Tap Jira"}),
    "tap-s3-csv": Kind(SCHEMA, method="INCREMENTAL", extras=_s3_tables),
    "tap-snowflake": Kind("{database}-{schema}-{table}", DATABASE, method="INCREMENTAL", extras=_table_list),
    "tap-salesforce": Kind(
        SCHEMA, method="INCREMENTAL", extras=lambda _: {"select_fields_by_default": True}, flattening=10
    ),
    "tap-mongodb": Kind("{database}-{table}", extras=_mongodb),
    "tap-google-analytics": Kind(SCHEMA, method="INCREMENTAL"),
    "tap-github": Kind(SCHEMA),
    "tap-shopify": Kind(SCHEMA, method="INCREMENTAL"),
    "tap-slack": Kind(SCHEMA),
    "tap-mixpanel": Kind(SCHEMA, extras=_mixpanel),
    "tap-twilio": Kind(SCHEMA, method="INCREMENTAL"),
}
OTHER = Kind()


def kind(name: str) -> Kind:
    """The facts about a type; PipelineWise's own defaults for one that it does not know."""
    return KINDS.get(name, OTHER)


def streams(tap: Tap, schema: str, table: str) -> tuple[str, str]:
    """The tap_stream_id of a table, and the name of its stream in messages."""
    found = kind(str(tap.get("type")))
    words = {"database": str(_conn(tap).get("dbname")), "schema": schema, "table": table}
    return found.stream.format(**words), (found.name or found.stream).format(**words)
