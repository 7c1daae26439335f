"""The SQL of conversions: how a kind of Arrow column becomes a DuckDB type, and which values that would change."""

from __future__ import annotations

from target_duckdb.growth import INTEGERS, NATIVE, TIMESTAMP, decimal_parts

TEXTUAL = ("text", "mixed", "big")
EXACT_INT = 2**53
BASE64 = "'([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?'"


def converted(kind: str, target: str, column: str) -> str:
    """The expression that makes the column's value one of the target type."""
    if kind == "null":
        return f"CAST(NULL AS {target})"
    if target == "VARCHAR":
        return column if kind in ("text", "json", "mixed", "big") else record_text(kind, column)
    if target == "JSON":
        if kind in ("json", "decimal"):
            return f"CAST({record_text(kind, column)} AS JSON)"
        return f"to_json({record_text(kind, column) if kind in NATIVE else column})"
    if target == "BLOB" and kind == "text":
        return f"from_base64({column})"
    native = {"bool": "BOOLEAN", "int": "BIGINT", "float": "DOUBLE", **NATIVE}.get(kind)
    return column if native == target else f"CAST({column} AS {target})"


def record_text(kind: str, column: str) -> str:
    """Values that came as Arrow as the texts that RECORDs have for them (those of timestamps end without zeros)."""
    text = text_of(NATIVE.get(kind, kind), column)
    return f"regexp_replace({text}, '\\.?0+Z$', 'Z')" if kind == "timestamp" else text


def lossy(kind: str, target: str, column: str) -> str | None:  # noqa: PLR0911 (one rule a line)
    """A condition that is true for values which the target type cannot hold exactly; None when all fit."""
    if target in ("VARCHAR", "JSON") or kind in ("null", "decimal", *NATIVE):  # `grown` knows that these fit
        return None
    if kind == "int":
        return lossy_column("BIGINT", target, column)
    if kind == "float":
        return lossy_column("DOUBLE", target, column)
    if kind == "bool":
        return None if target == "BOOLEAN" else f"{column} IS NOT NULL"
    if target == "BLOB":
        good = f"regexp_full_match({column}, {BASE64})"
        return f"NOT {good} OR to_base64(CASE WHEN {good} THEN from_base64({column}) END) <> {column}"
    failed = f"{column} IS NOT NULL AND (TRY_CAST({column} AS {target}) IS NULL"
    parts = decimal_parts(target)
    if parts:
        places = f"'[eE]|\\.[0-9]{{{parts[1]}}}[0-9]*[1-9]'"
        return f"{failed} OR regexp_matches({column}, {places}))"
    if target == "DATE":
        return f"{failed} OR length({column}) <> 10)"
    if target == "TIME":
        return f"{failed} OR regexp_matches({column}, '[^0-9:.]|\\.[0-9]{{6}}[0-9]*[1-9]'))"
    if target in (TIMESTAMP, "TIMESTAMP"):
        zone = f" OR regexp_matches({column}, '[zZ]|[0-9][+-][0-9:]+$')" if target == "TIMESTAMP" else ""
        return f"{failed} OR (length({column}) > 26 AND regexp_matches({column}, '\\.[0-9]{{6}}[0-9]*[1-9]')){zone})"
    return f"{failed})"


def lossy_column(old: str, new: str, column: str) -> str | None:  # noqa: PLR0911 (one rule a line)
    """The same for a column of type `old` that becomes `new`."""
    if new in ("VARCHAR", "JSON") or old == new:
        return None
    if new in ("DOUBLE", "FLOAT") and (old in (*INTEGERS, "HUGEINT")):
        return f"abs({column}::HUGEINT) > {EXACT_INT} AND CAST(CAST({column} AS DOUBLE) AS HUGEINT) <> {column}"
    if decimal_parts(new):
        if old in ("DOUBLE", "FLOAT"):
            return f"{column} IS NOT NULL AND CAST(TRY_CAST({column} AS {new}) AS DOUBLE) IS DISTINCT FROM {column}"
        return f"{column} IS NOT NULL AND TRY_CAST({column} AS {new}) IS NULL"
    if new in ("BIGINT", "HUGEINT") and old in INTEGERS:
        return None
    if new == "DOUBLE" and old == "FLOAT":
        return None
    return f"{column} IS NOT NULL AND TRY_CAST({column} AS {new}) IS NULL"


def text_of(old: str, column: str) -> str:
    """A column's values as text, in the spelling JSON would use."""
    if old in (TIMESTAMP, "TIMESTAMP"):
        value = f"{column} AT TIME ZONE 'UTC'" if old == TIMESTAMP else column
        zone = "Z" if old == TIMESTAMP else ""
        return (
            f"CASE WHEN isfinite({column}) THEN strftime({value}, '%Y-%m-%dT%H:%M:%S.%f{zone}')"
            f" ELSE CAST({column} AS VARCHAR) END"
        )
    if old == "BLOB":
        return f"to_base64({column})"
    return f"CAST({column} AS VARCHAR)"
