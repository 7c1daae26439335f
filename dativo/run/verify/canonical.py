"""One text for each value, the same on both sides when the values are the same: SQL over texts, by the SCHEMA's type.

Null and a property that is not there are both NULL. Numbers are compared as doubles, integers digit by digit, dates and
times with a date as instants in UTC, objects and arrays by their parsed value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

INTEGERS = {"integer"}
NUMBERS = {"integer", "number"}
NESTED = {"object", "array"}
DATED = {"date", "date-time"}

_DOUBLE = "(TRY_CAST({x} AS DOUBLE) + 0.0)"
_INTEGER = (
    "CASE WHEN regexp_full_match({x}, '[+-]?[0-9]{{1,37}}(\\.0*)?')"
    " THEN TRY_CAST(regexp_extract({x}, '^[+-]?[0-9]+') AS HUGEINT)::VARCHAR"
    f" WHEN abs({_DOUBLE}) < 9e15 AND {_DOUBLE} = floor({_DOUBLE}) THEN CAST({_DOUBLE} AS BIGINT)::VARCHAR"
    f" ELSE coalesce({_DOUBLE}::VARCHAR, {{x}}) END"
)
_NUMBER = f"coalesce({_DOUBLE}::VARCHAR, {{x}})"
_BOOLEAN = (
    "CASE WHEN lower({x}) IN ('true', 't', '1') THEN 'true' WHEN lower({x}) IN ('false', 'f', '0') THEN 'false'"
    " ELSE {x} END"
)
_INSTANT = "coalesce(epoch_us(TRY_CAST({x} AS TIMESTAMPTZ))::VARCHAR, {x})"
_TIME = "coalesce(TRY_CAST({x} AS TIME)::VARCHAR, {x})"
_PARSED = (
    "(SELECT string_agg(j.fullkey || '=' || CASE WHEN j.type IN ('OBJECT', 'ARRAY') THEN j.type"
    " ELSE coalesce(j.atom::VARCHAR, 'null') END, chr(10) ORDER BY j.fullkey)"
    " FROM json_tree(CASE WHEN json_valid({x}) THEN {x} END) j)"
)
_JSON = f"coalesce({_PARSED}, {{x}})"
_ANY = (
    f"CASE WHEN {_DOUBLE} IS NOT NULL THEN {_DOUBLE}::VARCHAR"
    " WHEN starts_with({x}, '\"') AND json_valid({x}) THEN json_extract_string({x}, '$')"
    f" WHEN (starts_with({{x}}, '{{{{') OR starts_with({{x}}, '[')) THEN {_JSON} ELSE {{x}} END"
)
EXPRESSIONS = {
    "string": "{x}",
    "integer": _INTEGER,
    "number": _NUMBER,
    "boolean": _BOOLEAN,
    "instant": _INSTANT,
    "time": _TIME,
    "json": _JSON,
    "any": _ANY,
}
INEXACT = {
    "blob": "binary",
    "bytea": "binary",
    "real": "a 32-bit float",
    "float": "a 32-bit float",
    "float4": "a 32-bit float",
    "interval": "an interval",
    "bit": "bits",
}
"""Types of columns that do not keep a value as it was sent, by their names in the databases."""


def expression(kind: str, value: str, *, empty_is_null: bool = False) -> str:
    """The SQL that makes a value's text comparable."""
    given = f"nullif({value}, '')" if empty_is_null else value
    return EXPRESSIONS[kind].format(x=given)


def kind_of(prop: Any) -> str:
    """How a property's values are compared."""
    options = list(_options(prop))
    types = {name for option in options for name in _types(option)}
    formats = {option.get("format") for option in options if "string" in _types(option)} - {None}
    if types == {"string"}:
        if formats and formats <= DATED:
            return "instant"
        return "time" if formats == {"time"} else "string"
    if types == INTEGERS:
        return "integer"
    if types and types <= NUMBERS:
        return "number"
    if types == {"boolean"}:
        return "boolean"
    return "json" if types and types <= NESTED else "any"


def _options(prop: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(prop, Mapping):
        yield prop
        for word in ("anyOf", "oneOf"):
            for option in prop.get(word) or ():
                yield from _options(option)


def _types(option: Mapping[str, Any]) -> set[str]:
    kind = option.get("type")
    return {name for name in ([kind] if isinstance(kind, str) else kind or ()) if name != "null"}


def column_for(prop: str, columns: Mapping[str, Any] | None, names: Mapping[str, str]) -> str | None:
    """The column that holds a property: as it is called, else without case, else by letters and digits alone."""
    if columns is None:
        return prop
    wanted = names.get(prop, prop)
    if wanted in columns:
        return wanted
    for fold in (str.lower, _bare):
        found = [name for name in columns if fold(name) == fold(wanted)]
        if len(found) == 1:
            return found[0]
    return None


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
