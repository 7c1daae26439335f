"""From a column of an Arrow or parquet file to a `columns.Column`, by its Arrow type and what its table's column is.

The rule is parity: the same rows, sent as RECORDs, make the same table. What has a DuckDB type of its own (dates,
times, timestamps, decimals, bytes) stays typed; what has none (lists, structs, maps) becomes JSON text.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import types

from target_duckdb import columns, digits, jsontext
from target_duckdb.columns import Column
from target_duckdb.database import Database
from target_duckdb.errors import TargetError
from target_duckdb.growth import INTEGERS, Facts

UTC = pa.timestamp("us", "UTC")
YEARS = {"date": (-719_162, 2_932_896), "timestamp": (-62_135_596_800_000_000, 253_402_300_799_999_999)}
DAY = (0, 86_399_999_999)
JSON = "arrow.json"
EXTENSION = b"ARROW:extension:name"


class OutOfRangeError(ValueError):
    """A date or time that no RECORD could hold."""


def column(field: Any, array: Any, wanted: str | None, database: Database) -> Column:
    """The column of one field's values."""
    json = is_json(field)
    array = plain(array)
    if array.null_count == len(array) or types.is_null(array.type):
        return Column("null", pa.nulls(len(array)))
    if json and types.is_string(array.type):
        return jsontext.column(array, wanted, database)
    if types.is_nested(array.type):
        return Column("json", jsontext.spelled(database.computed(leaves(array), "CAST(to_json(v) AS VARCHAR)")))
    return scalar(array, wanted, database)


def is_json(field: Any) -> bool:
    """Whether a field's texts are JSON: pyarrow knows the extension, or (before 19) leaves it in the metadata."""
    if isinstance(field.type, pa.BaseExtensionType):
        return bool(field.type.extension_name == JSON)
    return bool(field.metadata and field.metadata.get(EXTENSION) == JSON.encode())


def plain(array: Any) -> Any:
    """The array without extensions, dictionaries, runs, views and 64-bit offsets."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if types.is_large_string(kind) or types.is_string_view(kind):
        return array.cast(pa.string())
    if types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    return array


def scalar(array: Any, wanted: str | None, database: Database) -> Column:  # noqa: PLR0911 (one return per type)
    """The column of values that have no parts."""
    kind = array.type
    if types.is_string(kind):
        return Column("text", array)
    if types.is_boolean(kind):
        return Column("bool", array)
    if types.is_uint64(kind):
        largest = pc.max(array).as_py()
        if largest >= 2**63:
            return Column("big", array.cast(pa.string()), Facts(len(str(largest)), 0, largest))
    if types.is_integer(kind):
        return Column("int", array.cast(pa.int64()))
    if types.is_floating(kind):
        return floats(array.cast(pa.float64()), wanted)
    if types.is_decimal(kind):
        return digits.column(array, wanted)
    if types.is_binary(kind):
        return Column("bytes", array)
    if types.is_date(kind):
        return ranged(Column("date", array.cast(pa.date32())))
    if types.is_time(kind):
        return finest(array, "time")
    if types.is_timestamp(kind):
        return finest(array.cast(pa.timestamp(kind.unit, "UTC")), "timestamp")
    return Column("text", database.computed(array, "CAST(v AS VARCHAR)"))


def floats(array: Any, wanted: str | None) -> Column:
    """Doubles; whole ones in a column of integers are integers."""
    if wanted in INTEGERS:
        try:
            return Column("int", array.cast(pa.int64()))
        except pa.ArrowInvalid:
            whole = pc.and_(pc.is_finite(array), pc.equal(pc.floor(array), array))
            if pc.all(whole).as_py():
                return columns.column(array.to_pylist(), wanted)
    if wanted == "JSON":
        return columns.column(array.to_pylist(), wanted)  # how a float is written is the codec's affair
    return Column("float", array)


def finest(array: Any, kind: str) -> Column:
    """Times in microseconds; texts where that would cut something off."""
    try:
        return ranged(Column(kind, array.cast(UTC if kind == "timestamp" else pa.time64("us"))))
    except pa.ArrowInvalid:
        return Column("text", temporal_text(array))


def ranged(found: Column) -> Column:
    """Refuse what lies outside the years 1 to 9999 (SPEC.md, section 7), or outside a day."""
    numbers = found.array.view(pa.int32() if found.kind == "date" else pa.int64())
    bounds = pc.min_max(numbers).as_py()
    low, high = YEARS.get(found.kind, DAY)
    if bounds["min"] < low or bounds["max"] > high:
        raise OutOfRangeError(f"a {found.kind} outside {'the years 1 to 9999' if found.kind in YEARS else 'a day'}")
    return found


def temporal_text(array: Any) -> Any:
    """Dates and times as a RECORD has them."""
    zoned = types.is_timestamp(array.type)
    utc = array.cast(pa.timestamp(array.type.unit, "UTC")) if zoned else array
    texts = pc.strftime(utc, "%Y-%m-%dT%H:%M:%SZ") if zoned else utc.cast(pa.string())
    for zeros, rest in ((r"(\.[0-9]*[1-9])0+(Z?)$", r"\1\2"), (r"\.0+(Z?)$", r"\1")):
        texts = pc.replace_substring_regex(texts, zeros, rest)
    return texts


def leaves(array: Any) -> Any:  # noqa: PLR0911 (one return per type)
    """Lists, structs and maps with leaves that JSON has: times and decimals as texts, bytes as base64."""
    import base64

    array = plain(array)
    kind = array.type
    absent = array.is_null()
    if types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        return pa.StructArray.from_arrays([leaves(part) for part in array.flatten()], names, mask=absent)
    if types.is_map(kind):
        keys, items = leaves(array.keys), leaves(array.items)
        starts = pc.add(array.offsets, 0)  # pyarrow takes a mask beside offsets that are no slice only
        if not types.is_string(keys.type):  # no names of members: pairs
            pairs = pa.StructArray.from_arrays([keys, items], ["key", "value"])
            return pa.ListArray.from_arrays(starts, pairs, mask=absent)
        return pa.MapArray.from_arrays(starts, keys, items, mask=absent)
    if types.is_list_view(kind) or types.is_large_list_view(kind) or types.is_fixed_size_list(kind):
        array = array.cast(pa.list_(kind.value_field))
    if types.is_list(array.type) or types.is_large_list(array.type):
        starts = pc.add(array.offsets, 0)
        cls = pa.ListArray if types.is_list(array.type) else pa.LargeListArray
        return cls.from_arrays(starts, leaves(array.values), mask=absent)
    if types.is_decimal(kind):
        return digits.texts(array)
    if types.is_temporal(kind) and not types.is_duration(kind):
        return temporal_text(array)
    if types.is_binary(kind):
        return pa.array(
            [None if value is None else base64.b64encode(value).decode() for value in array.to_pylist()], pa.string()
        )
    return array


def out_of_range(place: str, name: str, error: OutOfRangeError) -> TargetError:
    """The refusal of a value, with its place."""
    return TargetError("data.rejected", f"{place}: {name} holds {error}", "send such values as strings")
