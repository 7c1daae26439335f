"""A connector's type as a plugin: a native one as ours, a Singer or Airbyte one as what it names.

Each function gives the plugin's origin and its settings from the merged source or target of a job. What it did not use
of them is the caller's to report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dativo.dataclass import dataclass
from dativo.migrate.earlier import credentials, recipes
from dativo.migrate.earlier.contract import Contract
from dativo.migrate.earlier.credentials import PLACES

_IMAGE = re.compile(r"airbyte/((?:source|destination)-[a-z0-9-]+)(?::(.+))?")
_TAP = re.compile(r"(?:tap|target)-[a-z0-9-]+")
_OWNER = re.compile(r"[a-z0-9-]+")


@dataclass
class Connector:
    """What a plugin's section becomes. `used` are keys of the source or target that it has taken over."""

    origin: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    select: list[str] = field(default_factory=list)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: set[str] = field(default_factory=lambda: {"type", "engine"})
    options: set[str] = field(default_factory=set)
    """Options of the engine that it has taken over."""
    inside: set[str] = field(default_factory=set)
    """Keys of each file or table that it has taken over."""
    credentials: set[str] = field(default_factory=set)
    """Keys of the credentials that it has taken over."""
    notes: list[str] = field(default_factory=list)
    """What is not quite the same."""

    def unused(self, said: Mapping[str, Any]) -> list[str]:
        """What of the settings nothing stands for, by its path."""
        found = [f"engine.options.{key}" for key in recipes.options(said) if key not in self.options]
        found += [key for key, value in said.items() if key not in self.used and value not in (None, {}, [])]
        for key in ("files", "tables"):
            found_rows = recipes.rows(said.get(key)) if key in self.used else []
            inner = [one for row in found_rows for one in row]
            found += [f"{key}.{one}" for one in dict.fromkeys(inner) if one not in self.inside]
        if "credentials" in self.used:
            others = [one for one in recipes.mapping(said.get("credentials")) if one not in (*PLACES, "type")]
            found += [f"credentials.{one}" for one in others if one not in self.credentials]
        incremental = recipes.mapping(said.get("incremental")) if "incremental" in self.used else {}
        return found + [f"incremental.{key}" for key in incremental if key not in self.inside]


def of_source(source: Mapping[str, Any], contract: Contract, *, strict: bool) -> Connector | None:
    """The tap of a source; None where none is known."""
    kind, engine = str(source.get("type")), recipes.engine_of(source)
    if kind == "csv":
        return _csv(source, contract, strict=strict)
    if kind in ("postgres", "mysql"):
        return _database(kind, source, contract, strict=strict)
    if engine in ("singer", "meltano", "airbyte"):
        return _foreign(engine, source)
    return None


def of_target(target: Mapping[str, Any], contract: Contract) -> Connector | None:
    """The target that writes where the earlier engine wrote: Parquet files in a bucket, by domain and data product."""
    connection = target.get("connection")
    connection = connection if isinstance(connection, dict) else {}
    storage = connection.get("s3") or connection.get("minio") or connection
    if str(target.get("type")) not in ("iceberg", "s3", "minio") or not isinstance(storage, dict):
        return None
    if not storage.get("bucket"):
        return None
    found = Connector(
        {"source": "dativo-target-parquet"},
        used={"type", "engine", "connection", "file_format", "partitioning"},
        options={"compression"},
    )
    found.config["path"] = f"s3://{storage['bucket']}/{contract.domain}/{contract.product}"
    names = {key: key for key in ("endpoint", "region", "access_key_id", "secret_access_key")}
    names |= {"access_key": "access_key_id", "secret_key": "secret_access_key"}
    kept = {names[key]: value for key, value in storage.items() if key in names and value is not None}
    if kept:
        found.config["storage"] = kept
    compression = recipes.options(target).get("compression")
    if compression in ("snappy", "zstd", "none"):
        found.config["compression"] = compression
    columns = {one["name"] for one in contract.columns}
    parts = [one for one in recipes.texts(target.get("partitioning")) if one in columns]
    if parts:
        found.config["partition_by"] = parts
    left_out = [str(one) for one in recipes.texts(target.get("partitioning")) if one not in columns]
    if left_out:
        found.notes.append(f"no folder by {', '.join(left_out)}: it is no column")
    others = [one for one in connection if storage is not connection and one not in ("s3", "minio")]
    unread = [one for one in (*storage, *others) if one not in names and one not in ("bucket", "prefix")]
    found.notes += [f"connection.{key}: the target has no such setting" for key in unread]
    if storage.get("prefix"):
        found.notes.append("the earlier engine did not use the prefix either: files lie by domain and data product")
    if target.get("type") == "iceberg":
        found.notes.append("Parquet files only: nothing is committed to an Iceberg catalog")
    return found


def _csv(source: Mapping[str, Any], contract: Contract, *, strict: bool) -> Connector:
    found = Connector({"source": "dativo-tap-csv"}, used={"type", "engine", "files", "credentials", "incremental"})
    found.options, found.inside = {"delimiter", "quote_char", "encoding"}, {"path"}
    files = [one for one in recipes.rows(source.get("files")) if isinstance(one.get("path"), str)]
    found.config = {"files": [one["path"] for one in files], "stream": contract.table}
    names = {"delimiter": "delimiter", "quote_char": "quote", "encoding": "encoding"}
    options = recipes.options(source)
    found.config |= {names[key]: options[key] for key in names if isinstance(options.get(key), str)}
    types = {"integer": "integer", "float": "number", "double": "number", "boolean": "boolean", "string": "string",
             "timestamp": "date-time", "datetime": "date-time", "date": "date"}  # fmt: skip
    found.config["types"] = {one["name"]: types[one["type"]] for one in contract.columns if one["type"] in types}
    if contract.keys:
        found.config["key_properties"] = {contract.table: contract.keys}
    _selection(found, contract.table, contract, strict=strict)
    return found


def _database(kind: str, source: Mapping[str, Any], contract: Contract, *, strict: bool) -> Connector:
    origin = {"source": "dativo-tap-postgres"} if kind == "postgres" else {"source": "pipelinewise-tap-mysql"}
    found = Connector(origin, used={"type", "engine", "tables", "connection", "credentials", "incremental", "dsn"})
    found.inside = {"name", "cursor_field"}
    connection = source.get("connection")
    names = {"database": "dbname" if kind == "postgres" else "database", "username": "user"}
    found.config = {names.get(key, key): value for key, value in recipes.mapping(connection).items()}
    if isinstance(source.get("dsn"), str) and kind == "postgres":
        found.config["url"] = source["dsn"]
    more, found.credentials = credentials.given(kind, source, found.config)
    found.config |= more
    incremental = recipes.mapping(source.get("incremental"))
    for one in recipes.rows(source.get("tables")):
        if not isinstance(one.get("name"), str):
            continue
        stream = one["name"].replace(".", "-") if "." in one["name"] else f"public-{one['name']}"
        _selection(found, stream, contract, strict=strict)
        cursor = one.get("cursor_field") or incremental.get("cursor_field")
        if incremental and isinstance(cursor, str):
            found.metadata[stream] = {"replication-method": "INCREMENTAL", "replication-key": cursor}
        else:
            found.metadata[stream] = {"replication-method": "FULL_TABLE"}
        if contract.keys:
            found.metadata[stream]["table-key-properties"] = contract.keys
    return found


_OWN_COLUMNS = "its streams have the columns that the plugin tells: those of the contract choose nothing, see select"


def _foreign(engine: str, source: Mapping[str, Any]) -> Connector | None:
    options = recipes.options(source)
    if engine == "airbyte":
        image = _IMAGE.fullmatch(str(options.get("docker_image")))
        if image is None:
            return None
        found = Connector(
            {"kind": "tap", "source": f"airbyte:{image[1]}"}, notes=["by the Airbyte engine, from PyPI", _OWN_COLUMNS]
        )
        found.options = {"docker_image", "streams_default", "start_date_default"}
        start = options.get("start_date_default")
        found.config = {**({"start_date": start} if start else {}), **recipes.mapping(source.get("connection"))}
        found.used |= {"objects", "connection", "credentials"}
        more, found.credentials = credentials.given("airbyte", source, found.config)
        found.config |= more
        if image[2]:
            found.notes.append(f"the version {image[2]} is that of an image, so it is not pinned")
        found.select = [f"{one}.*" for one in recipes.texts(source.get("objects") or options.get("streams_default"))]
        return found
    name = str(options.get("tap_name") or options.get("tap"))
    if not _TAP.fullmatch(name):
        return None
    owner = str(options.get("tap_package") or "").partition("/")[0]
    variant = owner if "/" in str(options.get("tap_package")) and _OWNER.fullmatch(owner) else None
    origin = {"source": f"{variant}-{name}" if variant else name}
    found = Connector(origin, used={"type", "engine", "connection", "credentials", "objects"}, notes=[_OWN_COLUMNS])
    found.options = {"tap", "tap_name", "tap_package", "tap_version", "tap_config"}
    own = options.get("tap_config")
    found.config = {**recipes.mapping(own), **recipes.mapping(source.get("connection"))}
    more, found.credentials = credentials.given(engine, source, found.config)
    found.config |= more
    found.select = [f"{one}.*" for one in recipes.texts(source.get("objects"))]
    if options.get("tap_version"):
        found.notes.append(f"the version {options['tap_version']} is not pinned: put it behind source as ==…")
    return found


def _selection(found: Connector, stream: str, contract: Contract, *, strict: bool) -> None:
    """In strict mode the columns of the contract, as the earlier engine dropped the others; else all."""
    found.select += [f"{stream}.{one['name']}" for one in contract.columns] if strict else [f"{stream}.*"]
