"""Writes a stream's chunks into its table: settles the columns' types, evolves the table, inserts or upserts."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from target_duckdb.columns import Chunk, facts_of, joined
from target_duckdb.errors import TargetError
from target_duckdb.growth import TIMESTAMP, Facts, decimal_parts, decimal_type, for_new, grown
from target_duckdb.names import quoted
from target_duckdb.sql import converted, lossy
from target_duckdb.table import Field, Table

BATCH = "_dativo_batch"
DELETED_AT = "_sdc_deleted_at"
VERSION = "_sdc_table_version"
JSON = {"ARROW:extension:name": "arrow.json"}
NUMERIC = ("int", "float", "big")
OWN_TYPES = {
    VERSION: "BIGINT",
    DELETED_AT: TIMESTAMP,
    "_sdc_extracted_at": TIMESTAMP,
    "_sdc_received_at": TIMESTAMP,
    "_sdc_sequence": "BIGINT",
}


class Loader:
    """Writes into one table."""

    def __init__(
        self, table: Table, mode: str, *, evolve: bool, hard_delete: bool, max_delete_share: float = 1
    ) -> None:
        self.table = table
        self.database = table.database
        self.mode = mode
        self.evolve = evolve
        self.hard_delete = hard_delete
        self.max_delete_share = max_delete_share

    def apply(self, ops: list[Chunk | int]) -> None:
        """Write the chunks in their order; an int among them is a version to activate."""
        chunks: list[Chunk] = []
        for op in ops:
            if isinstance(op, Chunk):
                chunks.append(op)
                continue
            self._write(chunks)
            chunks = []
            self._activate(op)
        self._write(chunks)

    def _write(self, chunks: list[Chunk]) -> None:
        groups = joined(chunks)
        for group in groups:
            self._settle(group)
        views = []
        for group in groups:
            arrays = [column.array for column in group.columns.values()]
            view = pa.table(arrays, schema=pa.schema(_fields(group)))
            views.append(view)
            self._check(group, view)
        self.table.evolve()
        for group, view in zip(groups, views, strict=True):
            self._register(view)
            if group.partial:
                self._update(group, view)
            else:
                self._insert(group, view)
        if any(view.num_columns for view in views):
            self.database.connection.unregister(BATCH)

    def _register(self, view: Any) -> None:
        if view.num_columns:
            self.database.connection.register(BATCH, view)

    def _settle(self, group: Chunk) -> None:
        """Give each property a column that holds the kinds of values that came."""
        for given in list(group.columns):
            column = group.columns[given]
            field = self.table.fields.get(given)
            if field is None:
                kind = for_new(column.kind, column.facts) if self.evolve or given in OWN_TYPES else None
                if kind is not None:
                    kind = OWN_TYPES.get(given, kind)
                if kind is None:
                    del group.columns[given]
                    continue
                field = self.table.field(given, kind)
            old = field.type
            field.type = grown(old, column.kind, column.facts)
            self._tell(given, old, field)

    def _tell(self, given: str, old: str, field: Field) -> None:
        if old != field.type:
            self.table.warn(given, f"values do not fit {old}; the column is {field.type} now")

    def _check(self, group: Chunk, view: Any) -> None:
        """I9: a value that its column's type would change makes the column wider instead."""
        tests: list[tuple[str, int, str]] = []
        for position, (given, column) in enumerate(group.columns.items()):
            test = lossy(column.kind, self.table.fields[given].type, f"c{position}")
            if test:
                tests.append((given, position, test))
        if not tests:
            return
        self._register(view)
        counts = ", ".join(f"count(*) FILTER (WHERE {test})" for _, _, test in tests)
        found = self.database.sql(f"SELECT {counts} FROM {BATCH}")[0]
        for (given, position, _), bad in zip(tests, found, strict=True):
            if bad:
                self._widen(given, group, position)

    def _widen(self, given: str, group: Chunk, position: int) -> None:
        field = self.table.fields[given]
        old = field.type
        column = group.columns[given]
        parts = decimal_parts(old)
        field_type = "VARCHAR"
        if parts and column.kind in NUMERIC:
            facts = column.facts
            query = f"SELECT DISTINCT CAST(c{position} AS VARCHAR) FROM {BATCH} WHERE c{position} IS NOT NULL"
            for (text,) in self.database.sql(query):
                facts = facts.plus(facts_of(_plain(text)))
            field_type = self._decimal(parts, facts)
        field.type = field_type
        self._tell(given, old, field)

    @staticmethod
    def _decimal(parts: tuple[int, int], facts: Facts) -> str:
        if not facts.finite:
            return "VARCHAR"
        return decimal_type(max(parts[0] - parts[1], facts.before), max(parts[1], facts.after))

    def _insert(self, group: Chunk, view: Any) -> None:
        table = self.table
        fields = [(table.fields[given], column) for given, column in group.columns.items()]
        if not fields:  # I9: a record without any value is a row all the same
            first = next(iter(table.fields.values()), None)
            if first is None:
                raise TargetError(
                    "data.rejected",
                    f"a record of {json.dumps(table.stream)} has no value, and its SCHEMA no property: there is no row",
                    "report it to the tap's author",
                )
            self.database.sql(
                f"INSERT INTO {table.sql_name} ({quoted(first.name)}) SELECT NULL FROM range({group.rows})"
            )
            return
        names = ", ".join(quoted(field.name) for field, _ in fields)
        values = ", ".join(converted(column.kind, field.type, f"c{at}") for at, (field, column) in enumerate(fields))
        source = f"SELECT {values} FROM {BATCH}"
        if group.keys and self.mode != "append":
            source = self._without_old(group, source, view)
        self.database.sql(f"INSERT INTO {table.sql_name} ({names}) {source}")
        if self.hard_delete and self.mode == "upsert" and DELETED_AT in group.columns:
            self.database.sql(f"DELETE FROM {table.sql_name} WHERE {quoted(self._deleted())} IS NOT NULL")

    def _deleted(self) -> str:
        return self.table.fields[DELETED_AT].name

    def _key_columns(self, group: Chunk) -> list[tuple[str, str]]:
        """The key's columns as (table's name, expression on the batch)."""
        positions = {given: at for at, given in enumerate(group.columns)}
        found = []
        for key in group.keys:
            field = self.table.fields[key]
            expression = converted(group.columns[key].kind, field.type, f"c{positions[key]}")
            found.append((quoted(field.name), expression))
        return found

    def _without_old(self, group: Chunk, source: str, view: Any) -> str:
        """Remove the rows that the batch replaces; the source with the last row of each key only."""
        keys = self._key_columns(group)
        source += self._last_of_each(keys, view)
        self._delete_matching(keys)
        return source

    def _last_of_each(self, keys: list[tuple[str, str]], view: Any) -> str:
        """The clause that leaves the last row of each key of the batch; empty when no key comes twice."""
        expressions = ", ".join(expression for _, expression in keys)
        repeated = self.database.sql(
            f"SELECT 1 FROM (SELECT 1 FROM {BATCH} GROUP BY {expressions} HAVING count(*) > 1) LIMIT 1"
        )
        if not repeated:
            return ""
        self._register(view.append_column("n", pa.array(range(view.num_rows), pa.int64())))
        return f" QUALIFY row_number() OVER (PARTITION BY {expressions} ORDER BY n DESC) = 1"

    def _delete_matching(self, keys: list[tuple[str, str]]) -> None:
        table = self.table.sql_name
        if not self.database.sql(f"SELECT 1 FROM {table} LIMIT 1"):
            return
        selected = ", ".join(f"{expression} AS k{at}" for at, (_, expression) in enumerate(keys))
        match = " AND ".join(f"t.{name} IS NOT DISTINCT FROM b.k{at}" for at, (name, _) in enumerate(keys))
        if len(keys) == 1:
            match = f"t.{keys[0][0]} = b.k0"  # a lone key is never null
        self.database.sql(f"DELETE FROM {table} t USING (SELECT {selected} FROM {BATCH}) b WHERE {match}")

    def _update(self, group: Chunk, view: Any) -> None:
        """Deletions that carry only some columns: the row keeps the others; unknown keys become rows."""
        keys = self._key_columns(group)
        table = self.table.sql_name
        if self.hard_delete:
            self._delete_matching(keys)
            return
        fields = [(self.table.fields[given], column) for given, column in group.columns.items()]
        values = [converted(column.kind, field.type, f"c{at}") for at, (field, column) in enumerate(fields)]
        names = [quoted(field.name) for field, _ in fields]
        match = " AND ".join(f"t.{name} IS NOT DISTINCT FROM {expression}" for name, expression in keys)
        pairs = zip(names, values, strict=True)
        changes = ", ".join(f"{name} = {value}" for name, value in pairs if name not in {key for key, _ in keys})
        rows = f"(SELECT * FROM {BATCH}{self._last_of_each(keys, view)}) b"
        self.database.sql(f"UPDATE {table} t SET {changes} FROM {rows} WHERE {match}")
        self.database.sql(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {rows}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {match})"
        )

    def _activate(self, version: int) -> None:
        """Delete the rows of older versions; rows without a version were never versioned and stay."""
        self.table.evolve()
        field = self.table.fields.get(VERSION)
        if field is not None and self.table.created:
            older = f"FROM {self.table.sql_name} WHERE TRY_CAST({quoted(field.name)} AS HUGEINT) < ?"
            if self.max_delete_share < 1:
                self._ask(older, version)
            self.database.sql(f"DELETE {older}", [version])

    def _ask(self, older: str, version: int) -> None:
        """Refuse an activation that empties the table: a source that came back nearly empty looks just like that."""
        ((doomed,),) = self.database.sql(f"SELECT count(*) {older}", [version])
        ((rows,),) = self.database.sql(f"SELECT count(*) FROM {self.table.sql_name}")
        if doomed > self.max_delete_share * rows:
            raise TargetError(
                "data.delete_share",
                f"ACTIVATE_VERSION would delete {doomed:,} of {rows:,} rows of {json.dumps(self.table.stream)}"
                f" ({doomed / rows:.0%}), more than max_delete_share {self.max_delete_share:.0%}: nothing was deleted",
                "if the source did lose these rows, set max_delete_share for this run (1: never ask)",
            )


def _fields(group: Chunk) -> list[Any]:
    """Arrow's fields by position; JSON texts, which are known to be JSON, as such: DuckDB need not look again."""
    columns = enumerate(group.columns.values())
    return [
        pa.field(f"c{at}", column.array.type, metadata=JSON if column.kind == "json" else None)
        for at, column in columns
    ]


def _plain(text: str) -> str:
    from decimal import Decimal

    value = Decimal(text)
    return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 400 else text
