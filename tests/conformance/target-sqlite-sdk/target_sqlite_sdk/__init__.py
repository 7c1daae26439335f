"""The SDK's SQL target with SQLite's dialect and nothing else changed.

It stands for the target that anybody gets who follows the SDK's guide: schemas are made with CREATE SCHEMA, which
SQLite refuses. Only the tests of conformance use it.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any, ClassVar

from singer_sdk.sinks import SQLSink
from singer_sdk.sql import SQLConnector
from singer_sdk.target_base import SQLTarget

sqlite3.register_adapter(Decimal, str)  # the SDK gives numbers so, and Python's sqlite3 takes none


class SQLiteConnector(SQLConnector):
    """SQLite as SQLAlchemy knows it."""

    allow_temp_tables = False
    allow_column_alter = False
    allow_merge_upsert = True

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        """The file."""
        return f"sqlite:///{config['path_to_db']}"


class SQLiteSink(SQLSink[SQLiteConnector]):
    """One table."""

    connector_class = SQLiteConnector

    def generate_insert_statement(self, full_table_name: Any, schema: dict[str, Any]) -> Any:
        """A row whose key is there takes its place."""
        plain = str(super().generate_insert_statement(full_table_name, schema))
        return plain.replace("INSERT INTO", "INSERT OR REPLACE INTO", 1)


class SQLiteTarget(SQLTarget):
    """The target."""

    name = "target-sqlite-sdk"
    default_sink_class = SQLiteSink
    max_parallelism = 1
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"path_to_db": {"type": "string", "description": "The file."}},
        "required": ["path_to_db"],
    }
