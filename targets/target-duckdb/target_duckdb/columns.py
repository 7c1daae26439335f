"""Makes Arrow columns from decoded rows: one pass per column, its kind found from the values, never from the SCHEMA.

A column's kind says what its Arrow array holds: bool, int (int64), float (double), text (strings), json (JSON texts),
big (numbers as text, where int64 and double lose something), mixed (strings and other values' JSON texts), null; and in
columns that came as Arrow (`arrays`) decimal, date, time, timestamp and bytes, each as Arrow's own type.
No value is changed to fit: what fits no better kind is text (I9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from dativo_protocol import codec
from target_duckdb.growth import INTEGERS, Facts
from target_duckdb.spelling import spell_escaped, spell_surrogates

NONE = type(None)
TEXT = pa.string()
NESTED = {dict, list}
NUMBERS = {int, float, Decimal}
LONGEST_PLAIN = 400
NO_FACTS = Facts()


@dataclass
class Column:
    """One property's values in one chunk."""

    kind: str
    array: Any
    facts: Facts = NO_FACTS


@dataclass
class Chunk:
    """Some rows of one stream as columns, written with the keys that were declared when they came."""

    rows: int
    columns: dict[str, Column]
    keys: tuple[str, ...]
    partial: bool = False

    def signature(self) -> tuple[Any, ...]:
        """Chunks with the same signature can be written together."""
        shape = tuple((name, column.kind, str(column.array.type)) for name, column in self.columns.items())
        return (self.keys, self.partial, shape)

    def copied(self) -> Chunk:
        """The same with memory of its own, which lets go of the file that the arrays were mapped from."""
        batch = pa.RecordBatch.from_arrays([flat(column.array) for column in self.columns.values()], self._positions())
        own = pa.ipc.read_record_batch(batch.serialize(), batch.schema)
        copies = zip(self.columns.items(), own.columns, strict=True)
        columns = {name: Column(column.kind, array, column.facts) for (name, column), array in copies}
        return Chunk(self.rows, columns, self.keys, self.partial)

    def _positions(self) -> list[str]:
        return [str(at) for at in range(len(self.columns))]


def flat(array: Any) -> Any:
    """One array."""
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def transposed(rows: list[dict[str, Any]]) -> dict[str, Sequence[Any]]:
    """The rows as columns; properties that a row lacks are null."""
    shape = tuple(rows[0])
    if all(map(shape.__eq__, map(tuple, rows))):
        return dict(zip(shape, zip(*map(dict.values, rows), strict=True), strict=False))
    shapes = set(map(tuple, rows))
    names: dict[str, None] = {}
    for shape in sorted(shapes, key=len, reverse=True):
        names.update(dict.fromkeys(shape))
    return {name: [row.get(name) for row in rows] for name in names}


def chunk(rows: list[dict[str, Any]], keys: tuple[str, ...], types: dict[str, str], *, partial: bool = False) -> Chunk:
    """The rows as Arrow columns; `types` are the columns' present DuckDB types, by property."""
    found = {name: column(values, types.get(name)) for name, values in transposed(rows).items()}
    return Chunk(len(rows), found, keys, partial)


def column(values: Sequence[Any], wanted: str | None) -> Column:  # noqa: PLR0911 (one return per kind)
    """One column."""
    found = set(map(type, values))
    found.discard(NONE)
    if not found:
        return Column("null", pa.nulls(len(values)))
    if wanted == "JSON":
        return Column("json", text_array([None if value is None else json_text(value) for value in values]))
    if len(found) == 1:
        only = found.pop()
        if only is str:
            return Column("text", text_array(values))
        if only is float:
            if wanted in INTEGERS and all(value is None or value.is_integer() for value in values):
                return numbers(values, wanted)
            return Column("float", pa.array(values, pa.float64()))
        if only is int:
            try:
                return Column("int", pa.array(values, pa.int64()))
            except OverflowError:
                return numbers(values, wanted)
        if only is bool:
            return Column("bool", pa.array(values, pa.bool_()))
        found = {only}
    if found <= NUMBERS:
        return numbers(values, wanted)
    if found <= NESTED:
        return Column("json", text_array([None if value is None else json_text(value) for value in values]))
    return Column("mixed", text_array([None if value is None else plain_text(value) for value in values]))


def numbers(values: Sequence[Any], wanted: str | None) -> Column:
    """Numbers of one or several types: int64 or double where they lose nothing, else text."""
    if wanted in INTEGERS or wanted == "HUGEINT":
        values = [whole(value) for value in values]
    elif wanted in ("DOUBLE", "FLOAT"):
        values = [near(value) for value in values]
    found = set(map(type, values))
    found.discard(NONE)
    try:
        if wanted == "VARCHAR" and len(found) > 1:
            found = NUMBERS  # 1 beside 2.5 shall not read 1.0
        if found == {int}:
            return Column("int", pa.array(values, pa.int64()))
        if found <= {int, float}:
            return Column("float", pa.array(values, pa.float64()))
    except (OverflowError, pa.ArrowInvalid):
        pass
    texts = [None if value is None else number_text(value) for value in values]
    facts = NO_FACTS
    for text in texts:
        if text is not None:
            facts = facts.plus(facts_of(text))
    return Column("big", pa.array(texts, TEXT), facts)


def whole(value: Any) -> Any:
    """1.0 and 1e3 are whole numbers in an integer column."""
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))  # int(1e23) is 99999999999999991611392
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < LONGEST_PLAIN:
        return int(value) if value == value.to_integral_value() else value
    return value


def near(value: Any) -> Any:
    """A Decimal that a double holds exactly as written (2.50, 1E-20) is that double."""
    if isinstance(value, Decimal):
        double = float(value)
        return double if Decimal(repr(double)) == value else value
    return value


def number_text(value: Any) -> str:
    """A number without an exponent where that stays readable."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not value.is_finite() or abs(value.adjusted()) > LONGEST_PLAIN or value.as_tuple().exponent < -LONGEST_PLAIN:
        return str(value)
    return f"{value:f}"


def facts_of(text: str) -> Facts:
    """What one number's text needs of its column's type."""
    sign_free = text.lstrip("-")
    before, _, after = sign_free.partition(".")
    if not before.isdigit() or (after and not after.isdigit()):
        return Facts(finite=False)
    after = after.rstrip("0")
    before = before.lstrip("0")
    largest = int(before or "0") if len(before) < LONGEST_PLAIN else 10**LONGEST_PLAIN
    return Facts(len(before), len(after), largest)


def json_text(value: Any) -> str:
    """A value as JSON text with every digit; NaN and Infinity bare, as they came."""
    text = codec.encode(value, nonfinite="keep").decode()
    return spell_escaped(text) if "\\ud" in text else text


def plain_text(value: Any) -> str:
    """A value for a text column: strings as they are, others as JSON."""
    return value if type(value) is str else json_text(value)


def text_array(values: Sequence[Any]) -> Any:
    """Strings as Arrow; lone surrogates, which have no UTF-8, are spelled out."""
    try:
        return pa.array(values, TEXT)
    except UnicodeEncodeError:
        return pa.array([None if value is None else spell_surrogates(value) for value in values], TEXT)


def joined(chunks: list[Chunk]) -> list[Chunk]:
    """Fewer, larger chunks: neighbours whose columns agree but for nulls and absence become one."""
    kinds: dict[str, dict[tuple[str, str], Column]] = {}
    for each in chunks:
        for name, found in each.columns.items():
            seen = kinds.setdefault(name, {})
            if found.kind != "null":
                seen.setdefault((found.kind, str(found.array.type)), found)
    for each in chunks:
        if each.partial:
            continue
        full: dict[str, Column] = {}
        for name, seen in kinds.items():
            only = next(iter(seen.values())) if len(seen) == 1 else Column("null", pa.nulls(0))
            present = each.columns.get(name)
            if present is None or present.kind == "null":
                present = Column(only.kind, pa.nulls(each.rows, only.array.type))
            full[name] = present
        each.columns = full
    merged: list[Chunk] = []
    run: list[Chunk] = []
    for each in chunks:
        if run and each.signature() != run[0].signature():
            merged.append(_one(run))
            run = []
        run.append(each)
    return [*merged, _one(run)] if run else merged


def _one(run: list[Chunk]) -> Chunk:
    first = run[0]
    if len(run) == 1:
        return first
    columns = {}
    for name, column_ in first.columns.items():
        facts = column_.facts
        for other in run[1:]:
            facts = facts.plus(other.columns[name].facts)
        parts: list[Any] = []
        for each in run:
            array = each.columns[name].array
            parts += array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        columns[name] = Column(column_.kind, pa.chunked_array(parts), facts)
    return Chunk(sum(each.rows for each in run), columns, first.keys, first.partial)
