"""One stream's buffer: rows as they come, turned into columns in slices, with a mark where the last STATE stands."""

from __future__ import annotations

from typing import Any

from target_duckdb.columns import Chunk, chunk
from target_duckdb.load import DELETED_AT, Loader
from target_duckdb.table import Table


class Stream:
    """A stream between its SCHEMA and its table."""

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.table = table
        self.keys: tuple[str, ...] = ()
        self.properties: frozenset[str] = frozenset()
        self.mode = "append"
        self.exact = False
        self.loader: Loader | None = None
        self.rows: list[dict[str, Any]] = []
        self.ops: list[Chunk | int] = []
        self.marked_rows = 0  # of `rows`, those before the last STATE
        self.marked_ops = 0  # of `ops`, those before the last STATE
        self.fresh_schema = True  # a SCHEMA came that the file does not know yet …
        self.marked_schema = False  # … and a STATE after it
        self.written = 0

    def declare(self, schema: dict[str, Any], keys: tuple[str, ...], loader: Loader) -> None:
        """Take over a SCHEMA; rows that came under other keys are set apart."""
        if self.rows and (keys != self.keys or loader.mode != self.mode):
            self.convert()
        self.table.declare(schema)
        properties = schema.get("properties")
        self.properties = frozenset(properties) if isinstance(properties, dict) else frozenset()
        self.keys, self.mode, self.loader = keys, loader.mode, loader
        self.fresh_schema = True
        # numbers in text and JSON columns keep their spelling (2.50), which only the exact decoder knows
        self.exact = any(
            field.type == "JSON" or (field.type == "VARCHAR" and not declares_text(properties, given))
            for given, field in self.table.fields.items()
        )

    def mark(self) -> None:
        """A STATE came: all that is here now is covered by it."""
        self.marked_rows = len(self.rows)
        self.marked_ops = len(self.ops)
        self.marked_schema = self.fresh_schema

    def convert(self) -> None:
        """Turn the rows into columns; those before and after the last STATE apart."""
        rows, at = self.rows, self.marked_rows
        self.rows, self.marked_rows = [], 0
        if at:
            before = self._chunks(rows[:at])
            self.ops += before
            self.marked_ops = len(self.ops)
        if len(rows) > at:
            self.ops += self._chunks(rows[at:] if at else rows)

    def waiting(self) -> int:
        """Rows held and not written yet."""
        return len(self.rows) + sum(op.rows for op in self.ops if isinstance(op, Chunk))

    def add(self, chunk: Chunk) -> None:
        """Rows that came as columns stand in line with the others."""
        if self.rows:
            self.convert()
        self.ops.append(chunk)

    def tail(self) -> bool:
        """Whether something came after the last STATE and is not written yet."""
        return len(self.rows) > self.marked_rows or len(self.ops) > self.marked_ops

    def activate(self, version: int) -> None:
        """An ACTIVATE_VERSION stands in line with the rows."""
        if self.rows:
            self.convert()
        self.ops.append(version)

    def _chunks(self, rows: list[dict[str, Any]]) -> list[Chunk]:
        types = self.table.types()
        if self.mode != "append" and self.keys:
            deletes = [row for row in rows if row.get(DELETED_AT) is not None and not self.properties <= row.keys()]
            if deletes:
                return self._apart(rows, types)
        return [chunk(rows, self.keys, types)]

    def _apart(self, rows: list[dict[str, Any]], types: dict[str, str]) -> list[Chunk]:
        """Deletions that name only some columns: completed from this slice's earlier row, else a chunk of their own."""
        full: dict[Any, dict[str, Any]] = {}
        partial: dict[Any, dict[str, Any]] = {}
        for row in rows:
            key = tuple(str(row.get(name)) for name in self.keys)
            if row.get(DELETED_AT) is None or self.properties <= row.keys():
                full[key] = row
                partial.pop(key, None)
            elif key in full:
                full[key] = {**full[key], **row}
            else:
                partial[key] = {**partial.get(key, {}), **row}
        found = [chunk(list(full.values()), self.keys, types)] if full else []
        by_shape: dict[frozenset[str], list[dict[str, Any]]] = {}
        for row in partial.values():
            by_shape.setdefault(frozenset(row), []).append(row)
        return found + [chunk(same, self.keys, types, partial=True) for same in by_shape.values()]

    def write(self, *, marked: bool) -> None:
        """Write into the open transaction: all, or what the last STATE covers."""
        if self.rows:
            self.convert()
        take = self.marked_ops if marked else len(self.ops)
        ops, self.ops = self.ops[:take], self.ops[take:]
        self.marked_ops = 0
        if self.loader is None:
            return
        if ops:
            self.written += sum(op.rows for op in ops if isinstance(op, Chunk))
            self.loader.apply(ops)
        if self.marked_schema if marked else self.fresh_schema:
            self.table.evolve()
            self.fresh_schema = False
        self.marked_schema = False


def declares_text(properties: Any, given: str) -> bool:
    """Whether a property's SCHEMA says it is a string and nothing else."""
    one = properties.get(given) if isinstance(properties, dict) else None
    named = one.get("type") if isinstance(one, dict) else None
    return named == "string" or (isinstance(named, list) and set(named) <= {"null", "string"})
