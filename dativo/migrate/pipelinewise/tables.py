"""The schemas and tables of one tap: what is selected, how it is replicated, what changes, where it lands."""

from __future__ import annotations

from glob import escape
from typing import Any

from dativo.migrate.pipelinewise import taps, unread
from dativo.migrate.reading import Keys
from dativo.migrate.report import Report

METHODS = ("FULL_TABLE", "INCREMENTAL", "LOG_BASED")
_PARTIAL = "there is no partial sync: see `dativo state backfill`"


class Tables:
    """Read from the `schemas:` of a tap's file, into what its job needs."""

    def __init__(self, keys: Keys, kind: str, report: Report) -> None:
        self.keys, self.kind, self.report = keys, kind, report
        self.select: list[str] = []
        self.metadata: dict[str, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        """The config of transform-field."""
        self.mapping: dict[str, Any] = {}
        """The target's schema_mapping."""
        for at, one in enumerate(keys.get("schemas", list) or []):
            if isinstance(one, dict):
                self._schema(keys.below("schemas", at, name=f"schemas.{at}"))
            else:
                report.left(keys.where("schemas"), f"schemas.{at}", "it is no mapping")

    def _schema(self, schema: Keys) -> None:
        source = str(schema.get("source_schema") or "")
        permissions = schema.get("target_schema_select_permissions") or []
        indices: dict[str, Any] = {}
        for number, _ in enumerate(schema.get("tables", list) or []):
            table = schema.below("tables", number, name=f"{schema.name}.tables.{number}")
            self._table(table, source, indices)
        if source in self.mapping:
            why = f"{source} is mapped twice: PipelineWise hands the last mapping to the target, for its tables too"
            self.report.left(schema.where("source_schema"), schema.what("source_schema"), why)
        self.mapping[source] = {
            "target_schema": schema.get("target_schema"),
            "target_schema_select_permissions": permissions,
            **({"indices": indices} if indices else {}),
        }
        for key in ("source_schema", "target_schema", "target_schema_select_permissions"):
            if key in schema.data:
                self.report.taken(schema.where(key), schema.what(key), "the target's config.schema_mapping")
        unread.rest(schema, self.report)

    def _table(self, table: Keys, schema: str, indices: dict[str, Any]) -> None:
        name = table.get("table_name", str)
        if not name:
            self.report.left(table.where(), table.name, "it has no table_name")
            return
        stream, message = taps.streams(self.keys.data, schema, name)
        pattern = escape(stream)
        if f"{pattern}.*" in self.select:
            self.report.left(
                table.where("table_name"), table.what("table_name"), "listed before: this one's word counts"
            )
        else:
            self.select.append(f"{pattern}.*")
            self.report.taken(table.where("table_name"), table.what("table_name"), f"select: {pattern}.*")
        self._replication(table, pattern)
        for number, one in enumerate(table.get("transformations", list) or []):
            self._change(table, number, one, message)
        if table.get("indices"):
            indices[name] = table.data["indices"]
            self.report.taken(table.where("indices"), table.what("indices"), "the target's config.schema_mapping")
        if table.get("s3_csv_mapping"):
            self.report.taken(table.where("s3_csv_mapping"), table.what("s3_csv_mapping"), "the tap's config.tables")
        unread.rest(table, self.report, sync_start_from=_PARTIAL)

    def _replication(self, table: Keys, stream: str) -> None:
        method = table.get("replication_method", str) or taps.kind(self.kind).method
        where, what = table.where("replication_method"), table.what("replication_method")
        key = table.get("replication_key", str)
        if method not in METHODS:
            self.report.left(where, what, "no such method")
        else:
            self.metadata[stream] = {"replication-method": method}
            if "replication_method" in table.data:
                self.report.taken(where, what, f"metadata.{stream}")
            else:
                why = f"not said: {method}, which PipelineWise takes for {self.kind}"
                self.report.changed(table.where(), what, f"metadata.{stream}", why)
        if key and method == "INCREMENTAL":
            self.metadata[stream]["replication-key"] = key
            self.report.taken(table.where("replication_key"), table.what("replication_key"), f"metadata.{stream}")
        elif method == "INCREMENTAL" and "replication_method" in table.data:
            self.report.left(where, what, "INCREMENTAL without a replication_key: PipelineWise refuses it")
        elif key:
            self.report.left(table.where("replication_key"), table.what("replication_key"), f"{method} takes no key")

    def _change(self, table: Keys, number: int, one: Any, stream: str) -> None:
        where, what = table.document.where((*table.at, "transformations", number)), f"transformations.{number}"
        if not isinstance(one, dict) or not isinstance(one.get("column"), str) or not isinstance(one.get("type"), str):
            self.report.left(where, table.what(what), "a transformation has a column and a type")
            return
        made = {"tap_stream_name": stream, "field_id": one["column"], "type": one["type"]}
        made |= {key: one[key] for key in ("field_paths", "when") if one.get(key) is not None}
        for key in sorted(one.keys() - {"column", "type", "field_paths", "when"}):
            self.report.left(where, table.what(f"{what}.{key}"), unread.UNKNOWN)
        self.report.taken(where, table.what(what), "the mapper's config.transformations")
        self.changes.append(made)
