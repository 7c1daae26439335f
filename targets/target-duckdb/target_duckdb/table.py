"""One stream's table: its names, its columns as the SCHEMA and the data want them, and the DDL that gets it there."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from dativo_protocol.types import columns
from target_duckdb.database import Database
from target_duckdb.growth import canonical, declared
from target_duckdb.names import RESERVED, folded, legal, quoted, unlike
from target_duckdb.sql import lossy_column, text_of


@dataclass
class Field:
    """A column: `stored` is its type in the file (None: not there yet), `type` the one it shall have."""

    name: str
    type: str
    stored: str | None = None


class Table:
    """The table of one stream."""

    def __init__(self, database: Database, stream: str, others: set[str], *, fresh: bool) -> None:
        self.database = database
        self.stream = stream
        self.new_names: dict[str | None, str] = {}
        self.remembered = database.names(stream)
        self.name = self._choose_name(others)
        self.fields: dict[str, Field] = {}  # by property
        self.stored: dict[str, Field] = {}  # by folded column name: every column there is or will be
        self.fresh = fresh
        self.created = False
        self.warned: set[str] = set()
        for name, kind in database.columns(self.name):
            self.created = True
            if not fresh:
                self.stored[folded(name)] = Field(name, canonical(kind), canonical(kind))

    def _choose_name(self, others: set[str]) -> str:
        """I12: streams that differ in case only, or are named like our own tables, get tables of their own."""
        if None in self.remembered:
            return self.remembered[None]
        wanted = self.database.settings.table_name.replace("{stream}", self.stream)
        exact = legal(wanted)
        taken = others | RESERVED | {folded(name) for name in self.database.tables() if name != exact}
        name = unlike(wanted, taken)
        if name != wanted:
            self.new_names[None] = name
        return name

    @property
    def sql_name(self) -> str:
        """The qualified, quoted name."""
        return f"{self.database.schema}.{quoted(self.name)}"

    def declare(self, schema: dict[str, Any]) -> None:
        """Take over the properties of a SCHEMA: first those whose column is known, so that no other takes it."""
        properties = columns(schema)
        known = {field.name for field in self.stored.values()}
        for name in sorted(properties, key=lambda given: 0 if given in self.remembered else 1 if given in known else 2):
            self.field(name, "")
        for name, column in properties.items():
            wanted = column.duckdb
            field = self.fields[name]
            field.type = declared(field.type, wanted) if field.type else wanted

    def field(self, given: str, kind: str) -> Field:
        """The column of a property; a new one of that type when there is none."""
        if given in self.fields:
            return self.fields[given]
        claimed = {folded(field.name) for field in self.fields.values()}
        wanted = self.remembered.get(given)
        if wanted is None or folded(wanted) in claimed:
            wanted = unlike(given, claimed | {folded(name) for own, name in self.remembered.items() if own is not None})
        field = self.stored.get(folded(wanted))
        if field is None:
            field = self.stored[folded(wanted)] = Field(wanted, kind)
        if field.name != given and self.remembered.get(given) != field.name:
            self.new_names[given] = self.remembered[given] = field.name
        self.fields[given] = field
        return field

    def types(self) -> dict[str, str]:
        """The columns' types by property."""
        return {given: field.type for given, field in self.fields.items()}

    def replace(self) -> None:
        """Overwrite mode: drop the old table; the new one is made in the same transaction."""
        if self.fresh and self.created:
            self.database.sql(f"DROP TABLE {self.sql_name}")
            self.created = False
        self.fresh = False

    def evolve(self) -> None:
        """Make the file's table what the fields say: create it, add columns, widen types."""
        run = self.database.sql
        self.replace()
        fields = list({id(field): field for field in self.fields.values()}.values())
        if not self.created:
            if not fields:
                return
            columns = ", ".join(f"{quoted(field.name)} {field.type}" for field in fields)
            run(f"CREATE TABLE {self.sql_name} ({columns})")
            self.created = True
            for field in fields:
                field.stored = field.type
        for field in fields:
            if field.stored is None:
                run(f"ALTER TABLE {self.sql_name} ADD COLUMN {quoted(field.name)} {field.type}")
            elif field.stored != field.type:
                self._widen(field, field.stored)
            field.stored = field.type
        for given, name in self.new_names.items():
            self.database.remember(self.stream, given, name)
        self.new_names = {}

    def _widen(self, field: Field, old: str) -> None:
        column = quoted(field.name)
        check = lossy_column(old, field.type, column)
        if check and self.database.sql(f"SELECT count(*) FROM {self.sql_name} WHERE {check}")[0][0]:
            field.type = "VARCHAR"
        using = text_of(old, column) if field.type == "VARCHAR" else f"CAST({column} AS {field.type})"
        self.database.sql(f"ALTER TABLE {self.sql_name} ALTER COLUMN {column} TYPE {field.type} USING {using}")

    def warn(self, given: str, text: str) -> None:
        """Say once per column that it became wider than its SCHEMA says."""
        if given not in self.warned:
            self.warned.add(given)
            sys.stderr.write(f"warning: {json.dumps(self.stream)} {json.dumps(given)}: {text}\n")
