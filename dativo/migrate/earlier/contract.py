"""An asset: a data contract of the Open Data Contract Standard (ODCS 3), in the three shapes that there are.

A flat one (`schema:` is a list of columns), the older one below `asset:`, and the standard's own (`schema:` is a list
of tables with `properties:`).
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from dativo.dataclass import dataclass
from dativo.migrate.reading import Keys
from dativo.migrate.report import Report

TYPES = {"number": "double", "int": "integer", "long": "integer", "bool": "boolean", "text": "string"}
"""Names of the standard and of databases, as the earlier engine calls them."""
KNOWN = ("string", "integer", "float", "double", "boolean", "timestamp", "datetime", "date")
_GOVERNANCE = "a statement about people and rules, which no run depends on: keep the contract beside dativo.yml"
_QUALITY = "there are no quality rules: records are checked against their SCHEMA, destinations with `verify: after`"
_WHY = {
    **dict.fromkeys(("data_quality", "quality", "slaProperties"), _QUALITY),
    "target": "how files are written is the target's: see its plugin",
    "$schema": "a reference for editors",
    **dict.fromkeys(("apiVersion", "kind", "id", "version", "status", "contractCreatedTs"), "a label of the contract"),
    **dict.fromkeys(("servers", "server"), "where data lies is said by the job's source and target"),
    **dict.fromkeys(("dataset", "datasetName", "datasetDomain", "quantumName"), "ODCS 2: only `schema:` was read"),
    **dict.fromkeys(("physicalType", "logicalType", "businessName", "dataGranularityDescription"),
                    "a statement about the table, which no run depends on"),
}  # fmt: skip
_NAMED = ("name", "object", "schema", "domain", "dataProduct", "asset", "source_type")


@dataclass
class Contract:
    """What of it a job needs."""

    name: str
    object: str
    columns: list[dict[str, Any]] = field(default_factory=list)
    domain: str = "default"
    product: str = "default"

    @property
    def table(self) -> str:
        """The name of its folder of files."""
        return self.name.lower().replace("-", "_").replace(" ", "_")

    @property
    def keys(self) -> list[str]:
        """The columns of its primary key."""
        return [one["name"] for one in self.columns if one.get("primaryKey")]

    def data(self) -> dict[str, Any]:
        """As a reader or writer is given it."""
        return {"name": self.name, "object": self.object, "schema": self.columns}


def read(keys: Keys, report: Report) -> Contract | None:
    """The contract, with what has no counterpart in the report; None where it has no columns."""
    if isinstance(keys.data.get("asset"), dict):
        keys = keys.below("asset", name="asset")
    name = str(keys.get("name") or "asset")
    found = Contract(name, str(keys.get("object") or name), [], *(
        str(keys.get(key) or "default") for key in ("domain", "dataProduct")))  # fmt: skip
    entries = keys.get("schema")
    entries = entries if isinstance(entries, list) else []
    if len(entries) == 1 and isinstance(entries[0], dict) and isinstance(entries[0].get("properties"), list):
        table = keys.below("schema", 0, name=keys.what("schema.0"))
        found.object = str(keys.data.get("object") or table.get("physicalName") or table.get("name") or name)
        _columns(table, "properties", found, report)
        _left(table, ("name", "physicalName", "properties"), report)
    elif any(isinstance(one, dict) and "properties" in one for one in entries):
        report.left(keys.where("schema"), keys.what("schema"), "several tables: a job of the earlier Dativo moves one")
        return None
    else:
        _columns(keys, "schema", found, report)
    _left(keys, _NAMED, report)
    if not found.columns:
        report.left(keys.where("schema"), keys.what("schema"), "it has no columns: the earlier Dativo refuses it")
        return None
    return found


def _columns(keys: Keys, key: str, found: Contract, report: Report) -> None:
    given = keys.get(key)
    for at, one in enumerate(given if isinstance(given, list) else []):
        what, where = keys.what(f"{key}.{at}"), keys.document.where((*keys.at, key, at))
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            report.left(where, what, "a column has a name")
            continue
        told = str(one.get("type") or one.get("logicalType") or "string").lower()
        kind = TYPES.get(told, told)
        column: dict[str, Any] = {"name": one["name"], "type": kind, "required": one.get("required") is True}
        if one.get("primaryKey") is True:
            column["primaryKey"] = True
        found.columns.append(column)
        if kind in KNOWN:
            report.taken(where, f"{what} {one['name']}", "the contract")
        else:
            report.changed(
                where, f"{what} {one['name']}", "the contract", f"values of the type {told} pass as they are"
            )
        for other in one:
            if other in ("quality", "classification", "description", "tags"):
                why = _QUALITY if other == "quality" else _GOVERNANCE
                report.left(where, f"{what}.{other}", why)
            elif other not in ("name", "type", "logicalType", "required", "primaryKey"):
                report.left(where, f"{what}.{other}", "it changes nothing that is moved")


def _left(keys: Keys, named: tuple[str, ...], report: Report) -> None:
    for key in keys.data:
        if key not in named:
            report.left(keys.where(key), keys.what(key), _WHY.get(key, _GOVERNANCE))
