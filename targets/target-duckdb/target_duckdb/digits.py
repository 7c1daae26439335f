"""Columns of Arrow decimals: which digits their values need, and their texts, without a loop over rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import compute as pc

from target_duckdb.columns import Column
from target_duckdb.growth import WIDEST, Facts, decimal_parts

MOST = 76


def column(array: Any, wanted: str | None) -> Column:  # noqa: PLR0911 (one rule a return)
    """Decimals as DuckDB's where they fit 38 digits, as int64 or double where the column is one and loses nothing."""
    precision, scale = array.type.precision, array.type.scale
    if scale < 0 or array.type.bit_width < 128:
        precision, scale = min(precision - min(scale, 0), MOST), max(scale, 0)
        array = array.cast(pa.decimal128(precision, scale) if precision <= WIDEST else pa.decimal256(precision, scale))
    native = precision <= WIDEST
    parts = decimal_parts(wanted or "")
    if native and (wanted in (None, "VARCHAR", "JSON") or (parts and fits(precision, scale, *parts))):
        return Column("decimal", array, Facts(precision - scale, scale, 10 ** (precision - scale) - 1))
    if wanted == "JSON":
        return Column("json", texts(array))
    if wanted == "VARCHAR":
        return Column("big", texts(array))
    facts = needed(array)
    if not parts and wanted is not None and not facts.after and facts.largest <= 2**63:
        try:
            return Column("int", array.cast(pa.int64()))
        except pa.ArrowInvalid:  # 2^63 is one too large, -2^63 is not
            pass
    if wanted in ("DOUBLE", "FLOAT"):
        doubles = as_doubles(array)
        if doubles is not None:
            return Column("float", doubles)
    if native:
        return Column("decimal", array, facts)
    if facts.before + facts.after <= WIDEST:
        return Column("decimal", array.cast(pa.decimal128(WIDEST, facts.after)), facts)
    return Column("big", texts(array), facts)


def fits(precision: int, scale: int, wide: int, places: int) -> bool:
    """Whether every decimal(precision, scale) is a decimal(wide, places)."""
    return precision - scale <= wide - places and scale <= places


def needed(array: Any) -> Facts:
    """The digits before and after the point that the values do need."""
    bounds = pc.min_max(array)
    largest = max(int(bounds[end].as_py().copy_abs()) for end in ("min", "max"))
    after = next(places for places in range(array.type.scale + 1) if holds(array, places))
    return Facts(len(str(largest)) if largest else 0, after, largest)


def holds(array: Any, places: int) -> bool:
    """Whether no value has more decimals than that."""
    kind = pa.decimal128 if array.type.bit_width == 128 else pa.decimal256
    try:
        array.cast(kind(array.type.precision, places))
    except pa.ArrowInvalid:
        return False
    return True


def as_doubles(array: Any) -> Any:
    """The values as doubles whose shortest texts have the same values; None when there is one that has not."""
    doubles = array.cast(pa.string()).cast(pa.float64())
    try:
        back = doubles.cast(pa.string()).cast(array.type)
    except pa.ArrowInvalid:
        return None
    return doubles if pc.all(pc.equal(back, array)).as_py() is not False else None


def texts(array: Any) -> Any:
    """The values as texts with all digits of the scale and never an exponent."""
    scale = array.type.scale
    kind = pa.decimal128(WIDEST, 0) if array.type.bit_width == 128 else pa.decimal256(MOST, 0)
    whole = pa.Array.from_buffers(kind, len(array), array.buffers(), offset=array.offset).cast(pa.string())
    if not scale:
        return whole
    digits = pc.utf8_lpad(pc.utf8_ltrim(whole, "-"), scale + 1, "0")
    before, after = pc.utf8_slice_codeunits(digits, 0, -scale), pc.utf8_slice_codeunits(digits, -scale)
    sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
    return pc.binary_join_element_wise(sign, pc.binary_join_element_wise(before, after, "."), "")
