"""A piece of a file on its way into a stream: checked against what the stream asks of its records, then made chunks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import compute as pc

from target_duckdb import arrays, columns
from target_duckdb.batch import Piece, unreadable
from target_duckdb.columns import Chunk, Column
from target_duckdb.errors import TargetError
from target_duckdb.jsontext import NotJsonError
from target_duckdb.load import DELETED_AT, VERSION
from target_duckdb.settings import Settings
from target_duckdb.stream import Stream


class Arrival:
    """The rows of one BATCH."""

    def __init__(self, stream: Stream, version: int | None, settings: Settings, *, partial: bool) -> None:
        self.stream = stream
        self.version = version
        self.settings = settings
        self.partial = partial

    def chunks(self, piece: Piece) -> Iterator[Chunk]:
        """The piece as chunks, in order; several only where deletions stand between whole rows."""
        stream, table = self.stream, piece.table
        self._check_keys(table, piece.place)
        self._check_extra(table, piece.place)
        names = set(table.column_names)
        if not (self.partial and stream.keys and DELETED_AT in names) or stream.properties <= names:
            yield self._chunk(table, piece.place, partial=False)
            return
        deleted = table[DELETED_AT].is_valid().combine_chunks()
        runs = pc.run_end_encode(deleted)
        start = 0
        for end, gone in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
            yield self._chunk(table.slice(start, end - start), piece.place, partial=gone)
            start = end

    def _check_keys(self, table: Any, place: str) -> None:
        """I9: a row without its key cannot be kept apart from others, so the run stops there."""
        keys = self.stream.keys
        lacking = [key for key in keys if key not in table.column_names]
        if keys and not lacking:
            absent = table[keys[0]].is_null()
            for key in keys[1:]:
                absent = pc.and_(absent, table[key].is_null())
            lacking = [keys[0]] if pc.any(absent).as_py() else []
        if lacking:
            raise TargetError(
                "data.rejected",
                f"{place}: a record of {json.dumps(self.stream.name)} lacks its key {json.dumps(lacking[0])}",
                "report it to the tap's author, or set key_properties to [] in the tap's catalog to append",
            )

    def _check_extra(self, table: Any, place: str) -> None:
        if self.settings.extra != "fail":
            return
        for name in table.column_names:
            if name not in self.stream.properties and table[name].null_count < table.num_rows:
                raise TargetError(
                    "data.rejected",
                    f"{place}: a record of {json.dumps(self.stream.name)} has {json.dumps(name)}, which its SCHEMA does"
                    " not declare",
                    "set extra to evolve or ignore",
                )

    def _chunk(self, table: Any, place: str, *, partial: bool) -> Chunk:
        wanted = self.stream.table.types()
        found: dict[str, Column] = {}
        for field, values in zip(table.schema, table.columns, strict=True):
            try:
                found[field.name] = arrays.column(
                    field, values.combine_chunks(), wanted.get(field.name), self.stream.table.database
                )
            except arrays.OutOfRangeError as error:
                raise arrays.out_of_range(place, json.dumps(field.name), error) from None
            except NotJsonError:
                raise unreadable(place, f"{json.dumps(field.name)} holds a text that is no JSON") from None
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise unreadable(place, f"{json.dumps(field.name)} ({field.type}): {error}") from None
        for name, value in self._added().items():
            found[name] = repeated(value, table.num_rows, wanted.get(name))
        return Chunk(table.num_rows, found, self.stream.keys, partial)

    def _added(self) -> dict[str, Any]:
        """What each row gets beside its own values."""
        added: dict[str, Any] = {} if self.version is None else {VERSION: self.version}
        if self.settings.add_record_metadata:
            now = time.time()
            added["_sdc_extracted_at"] = None
            added["_sdc_received_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
            added["_sdc_sequence"] = int(now * 1000)
        return added


def repeated(value: Any, rows: int, wanted: str | None) -> Column:
    """A column of one value."""
    one = columns.column([value], wanted)
    return Column(one.kind, pa.repeat(one.array[0], rows), one.facts)
