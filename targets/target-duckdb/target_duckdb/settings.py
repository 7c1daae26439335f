"""The settings: one table from which the manifest, the validation and the environment variables are made."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from target_duckdb.errors import TargetError

PREFIX = "TARGET_DUCKDB_"
PROPERTIES: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "description": "The DuckDB file; it is created when it does not exist"},
    "schema": {"type": "string", "default": "main", "description": "The schema that holds the tables and the bookmark"},
    "mode": {
        "type": "string",
        "enum": ["upsert", "append", "overwrite"],
        "description": "How rows are written: upsert replaces rows of the same key, append adds, overwrite replaces the"
        " table when the run ends well. Default: upsert for streams with key_properties, append for the others",
    },
    "table_name": {
        "type": "string",
        "default": "{stream}",
        "description": "The table's name; {stream} is the stream's",
    },
    "batch_rows": {"type": "integer", "minimum": 1, "default": 100_000, "description": "Rows held before a write"},
    "batch_bytes": {
        "type": "integer",
        "minimum": 1,
        "default": 67_108_864,
        "description": "Bytes of input held before a write",
    },
    "max_batch_age": {
        "type": "number",
        "minimum": 0,
        "default": 30,
        "description": "Seconds after which what a STATE covers is committed although the batch is not full",
    },
    "extra": {
        "type": "string",
        "enum": ["evolve", "ignore", "fail"],
        "default": "evolve",
        "description": "What to do with properties that the SCHEMA does not declare: add columns, drop them, or stop",
    },
    "hard_delete": {
        "type": "boolean",
        "default": False,
        "description": "Delete rows whose _sdc_deleted_at is set (upsert only), instead of keeping them marked",
    },
    "max_delete_share": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.9,
        "description": "An ACTIVATE_VERSION that would delete more than this share of a table's rows is refused, and"
        " nothing is deleted; 1: never ask",
    },
    "add_record_metadata": {
        "type": "boolean",
        "default": False,
        "description": "Add _sdc_extracted_at, _sdc_received_at and _sdc_sequence to each row",
    },
    "junk": {
        "type": "string",
        "enum": ["drop", "fail"],
        "default": "drop",
        "description": "What to do with input lines that are no messages: drop and count them, or stop",
    },
    "max_line": {
        "type": "integer",
        "minimum": 1,
        "default": 67_108_864,
        "description": "The longest input line, in bytes",
    },
    "memory_limit": {
        "type": "string",
        "default": "192MB",
        "description": "DuckDB's own memory limit, such as 192MB or 4GB; beyond it DuckDB spills beside the file",
    },
    "threads": {"type": "integer", "minimum": 1, "default": 1, "description": "DuckDB's threads"},
}
REQUIRED = ["path"]
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(frozen=True)
class Settings:
    """The settings of one run, validated."""

    path: str
    schema: str = "main"
    mode: str | None = None
    table_name: str = "{stream}"
    batch_rows: int = 100_000
    batch_bytes: int = 67_108_864
    max_batch_age: float = 30
    extra: str = "evolve"
    hard_delete: bool = False
    max_delete_share: float = 0.9
    add_record_metadata: bool = False
    junk: str = "drop"
    max_line: int = 67_108_864
    memory_limit: str = "192MB"
    threads: int = 1
    job: str = field(default_factory=lambda: os.environ.get("DATIVO_JOB") or "default")
    run: str = field(default_factory=lambda: os.environ.get("DATIVO_RUN") or "")


def json_schema() -> dict[str, Any]:
    """The settings as the manifest's JSON Schema."""
    return {"type": "object", "properties": PROPERTIES, "required": REQUIRED, "additionalProperties": True}


def from_environment() -> dict[str, Any]:
    """TARGET_DUCKDB_PATH and its like, each read as its setting's type."""
    found: dict[str, Any] = {}
    for name, schema in PROPERTIES.items():
        text = os.environ.get(PREFIX + name.upper())
        if text is None:
            continue
        if schema["type"] == "string":
            found[name] = text
            continue
        try:
            found[name] = json.loads(text.lower())
        except ValueError:
            found[name] = text
    return found


def load(sources: list[str]) -> Settings:
    """Merge the --config files in their order (later wins; ENV stands for the environment) and validate the result."""
    merged: dict[str, Any] = {}
    for source in sources:
        if source == "ENV":
            merged.update(from_environment())
            continue
        try:
            data = json.loads(Path(source).read_bytes())
        except OSError as error:
            raise TargetError("config.invalid", f"{source} cannot be read: {error.strerror}", "see --config") from None
        except ValueError as error:
            raise TargetError("config.invalid", f"{source} is not JSON: {error}", "fix the file") from None
        if not isinstance(data, dict):
            raise TargetError("config.invalid", f"{source} is not a JSON object", "fix the file")
        merged.update(data)
    return validate(merged)


def validate(raw: dict[str, Any]) -> Settings:
    """Refuse what cannot be meant; settings of others (stream_maps and the like) are left alone."""
    values = {name: value for name, value in raw.items() if name in PROPERTIES and value is not None}
    for name in REQUIRED:
        if not values.get(name):
            raise TargetError("config.missing", f"target-duckdb needs {name}", f"{PROPERTIES[name]['description']}")
    for name, value in values.items():
        schema = PROPERTIES[name]
        kinds = JSON_TYPES[schema["type"]]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TargetError("config.invalid", f"{name} must be a {schema['type']}, not {json.dumps(value)}")
        if "enum" in schema and value not in schema["enum"]:
            raise TargetError(
                "config.invalid", f"{name} is {value!r}", f"it must be one of {', '.join(schema['enum'])}"
            )
        if value > schema.get("maximum", value):
            raise TargetError("config.invalid", f"{name} is {value}", f"it must be at most {schema['maximum']}")
        if "minimum" in schema and value < schema["minimum"]:
            raise TargetError("config.invalid", f"{name} is {value}", f"it must be at least {schema['minimum']}")
    if "{stream}" not in values.get("table_name", "{stream}"):
        raise TargetError("config.invalid", "table_name does not contain {stream}", "every stream needs its own table")
    return Settings(**values)
