"""Which DuckDB type a JSON Schema property gets (SPEC.md's mapping), and how a column's type grows with its data.

A type only ever grows to one that holds every value the column had: BOOLEAN and times to VARCHAR, BIGINT to HUGEINT or
DOUBLE, DOUBLE to DECIMAL, everything to VARCHAR in the end. Growing that could lose something is checked against the
data first (`load`), and goes to VARCHAR when it would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
FORMATS = {"date-time": TIMESTAMP, "date": "DATE", "time": "TIME"}
DECIMAL_FORMATS = ("singer.decimal", "x-singer.decimal")
KINDS = {"boolean", "integer", "number", "string", "object", "array"}
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
WIDEST = 38
HUGEST = 2**127 - 1


@dataclass(frozen=True)
class Facts:
    """What is known of the numbers that a column got as text: most digits before and after the point, all whole."""

    before: int = 0
    after: int = 0
    largest: int = 0
    finite: bool = True

    def plus(self, other: Facts) -> Facts:
        """Both together."""
        return Facts(
            max(self.before, other.before),
            max(self.after, other.after),
            max(self.largest, other.largest),
            self.finite and other.finite,
        )


def resolve(schema: Any, root: dict[str, Any], seen: frozenset[str] = frozenset()) -> Any:
    """Follow local references; what leads nowhere or round in a circle is the schema of anything."""
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        ref = schema["$ref"]
        if ref in seen or not ref.startswith("#"):
            return {}
        seen |= {ref}
        schema = root
        for part in ref[1:].strip("/").split("/") if ref != "#" else ():
            step = part.replace("~1", "/").replace("~0", "~")
            schema = schema.get(step) if isinstance(schema, dict) else None
    return schema if isinstance(schema, dict) else {}


def merged(schema: Any, root: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """The schema with its references followed and its allOf parts added."""
    found = dict(resolve(schema, root))
    for part in found.pop("allOf", None) or []:
        if depth < 16:
            found = {**merged(part, root, depth + 1), **found}
    return found


def alternatives(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    """The schema's anyOf and oneOf branches, or itself."""
    branches = [*(schema.get("anyOf") or []), *(schema.get("oneOf") or [])]
    if not branches or depth > 16:
        return [schema]
    outer = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
    found = []
    for branch in branches:
        found += alternatives({**outer, **merged(branch, root)}, root, depth + 1)
    return found


def kinds(schema: dict[str, Any]) -> set[str] | None:
    """The JSON types this allows besides null; None for anything."""
    named = schema.get("type")
    if named is None:
        if "enum" in schema or "const" in schema:
            values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
            return {kind for kind in map(kind_of, values) if kind}
        if "properties" in schema:
            return {"object"}
        if "items" in schema:
            return {"array"}
        return {"string"} if decimal_spec(schema) is not None else None
    names = {named} if isinstance(named, str) else {name for name in named if isinstance(name, str)}
    names.discard("null")
    return names if names <= KINDS else None


def kind_of(value: Any) -> str | None:
    """The JSON type of a value."""
    for kind, types in (("boolean", bool), ("integer", int), ("number", float), ("string", str), ("array", list)):
        if isinstance(value, types):
            return kind
    return None if value is None else "object"


def duckdb_type(schema: Any, root: dict[str, Any]) -> str:
    """The DuckDB type of one property."""
    found: dict[str, None] = {}
    for branch in alternatives(merged(schema, root), root):
        one = branch_type(branch)
        if one is not None:
            found[one] = None
    if not found:
        return "VARCHAR"
    if len(found) == 1:
        return next(iter(found))
    if set(found) <= {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return "VARCHAR"


def branch_type(schema: dict[str, Any]) -> str | None:
    """The DuckDB type of a schema without alternatives; None when it allows null only."""
    allowed = kinds(schema)
    if allowed is None:
        return "JSON"
    if not allowed:
        return None
    if allowed <= {"object", "array"}:
        return "JSON"
    if allowed == {"boolean"}:
        return "BOOLEAN"
    if allowed == {"integer"}:
        return integer_type(schema)
    if allowed <= {"integer", "number"} or (decimal_spec(schema) is not None and allowed <= {"string", "number"}):
        return number_type(schema, text="string" in allowed)
    if allowed == {"string"}:
        form = schema.get("format")
        return FORMATS.get(form, "VARCHAR") if isinstance(form, str) else "VARCHAR"
    return "VARCHAR"


def bounds(schema: dict[str, Any]) -> list[tuple[Decimal, bool]] | None:
    """Both bounds with whether they are exclusive, in any dialect; None when one is missing."""
    found = []
    for limit in ("imum", "imum"):
        side = ("max" if not found else "min") + limit
        exclusive = schema.get("exclusive" + side[0].upper() + side[1:])
        if isinstance(exclusive, bool) or exclusive is None:
            value, strict = schema.get(side), bool(exclusive)
        else:
            value, strict = exclusive, True
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return None
        found.append((Decimal(str(value)), strict))
    return found


def digits_before(limits: list[tuple[Decimal, bool]]) -> int:
    """How many digits stand before the point at most."""
    most = 1
    for limit, exclusive in limits:
        size = abs(limit)
        whole = int(size)
        if exclusive and whole == size and whole > 0:
            whole -= 1
        most = max(most, len(str(whole)))
    return most


def integer_type(schema: dict[str, Any]) -> str:
    """BIGINT unless the bounds say that values beyond 64 bits may come."""
    for side in ("maximum", "minimum"):
        value = schema.get(side)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            whole = int(Decimal(str(value)))
            if not -(2**63) <= whole < 2**63:
                return f"DECIMAL({WIDEST},0)" if len(str(abs(whole))) <= WIDEST else "VARCHAR"
    return "BIGINT"


def decimal_spec(schema: dict[str, Any]) -> tuple[int | None, int | None] | None:
    """The declared precision and scale in any of the spellings in use; None when it is no declared decimal."""
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and isinstance(extra.get("scale_precision"), str):
        pair = re.fullmatch(r"\(\s*(\d+)\s*,\s*(\d+)\s*\)", extra["scale_precision"])
        if pair:
            return int(pair[1]), int(pair[2])
    for where in (schema.get("x-singer.decimal"), schema.get("decimal"), schema):
        if isinstance(where, dict):
            precision, scale = where.get("precision"), where.get("scale")
            if type(precision) is int and precision > 0:
                return precision, scale if type(scale) is int and scale >= 0 else 0
    if schema.get("format") in DECIMAL_FORMATS or "x-singer.decimal" in schema:
        return None, None
    return None


def number_type(schema: dict[str, Any], *, text: bool) -> str:
    """DECIMAL where precision and scale can be known, DOUBLE for plain numbers, VARCHAR beyond 38 digits."""
    spec = decimal_spec(schema)
    if spec is not None:
        precision, scale = spec
        if precision is None or scale is None:
            return "VARCHAR"
        precision = max(precision, scale)
        return f"DECIMAL({precision},{scale})" if precision <= WIDEST else "VARCHAR"
    step = schema.get("multipleOf")
    if text or isinstance(step, bool) or not isinstance(step, int | float | Decimal) or step <= 0:
        return "VARCHAR" if text else "DOUBLE"
    exponent = Decimal(str(step)).normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    limits = bounds(schema)
    precision = max(digits_before(limits) + places, places) if limits else WIDEST
    return f"DECIMAL({precision},{places})" if precision <= WIDEST and places <= WIDEST else "VARCHAR"


def decimal_parts(name: str) -> tuple[int, int] | None:
    """Precision and scale of a DECIMAL type."""
    found = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", name)
    return (int(found[1]), int(found[2])) if found else None


def canonical(name: str) -> str:
    """One spelling per type."""
    return {"TIMESTAMPTZ": TIMESTAMP, "TEXT": "VARCHAR", "STRING": "VARCHAR"}.get(name, name.replace(", ", ","))


def whole_type(before: int, largest: int) -> str:
    """The type for whole numbers."""
    if largest <= 2**63 - 1:
        return "BIGINT"
    if largest <= HUGEST:
        return "HUGEINT"
    return f"DECIMAL({WIDEST},0)" if before <= WIDEST else "VARCHAR"


def decimal_type(before: int, after: int) -> str:
    """The DECIMAL with that many digits on either side, or VARCHAR when there is none."""
    return f"DECIMAL({WIDEST},{after})" if before + after <= WIDEST else "VARCHAR"


def for_new(kind: str, facts: Facts) -> str | None:
    """The type of a column nobody declared, from the first values seen. None: only nulls yet."""
    return {
        "null": None,
        "bool": "BOOLEAN",
        "int": "BIGINT",
        "float": "DOUBLE",
        "text": "VARCHAR",
        "json": "JSON",
        "mixed": "VARCHAR",
        "big": _for_big(facts),
    }[kind]


def _for_big(facts: Facts) -> str:
    if not facts.finite:
        return "VARCHAR"
    return decimal_type(facts.before, facts.after) if facts.after else whole_type(facts.before, facts.largest)


def grown(current: str, kind: str, facts: Facts) -> str:  # noqa: PLR0911, PLR0912 (the rules, one a line)
    """The narrowest type that holds what the column's type holds and values of this kind."""
    parts = decimal_parts(current)
    if kind == "null" or current in ("VARCHAR", "JSON"):
        return current
    if current == "BOOLEAN":
        return current if kind == "bool" else "VARCHAR"
    if kind == "bool" or kind == "json" or kind == "mixed":
        return "VARCHAR"
    if kind == "text":
        return "VARCHAR" if current in (*INTEGERS, "HUGEINT", "FLOAT", "DOUBLE", "UBIGINT", "UHUGEINT") else current
    if current in INTEGERS:
        if kind == "int":
            return "BIGINT"
        if kind == "float":
            return "DOUBLE"
        return _for_big(Facts(max(facts.before, 19), facts.after, facts.largest, facts.finite))
    if current == "HUGEINT":
        if kind == "int" or (kind == "big" and facts.finite and not facts.after and facts.largest <= HUGEST):
            return current
        return "VARCHAR"
    if current in ("FLOAT", "DOUBLE"):
        if kind in ("int", "float"):
            return "DOUBLE"
        return decimal_type(max(facts.before, 17), facts.after) if facts.finite and facts.after <= 21 else "VARCHAR"
    if parts:
        if kind in ("int", "float"):
            return current
        if not facts.finite:
            return "VARCHAR"
        before, after = parts[0] - parts[1], parts[1]
        if facts.before <= before and facts.after <= after:
            return current
        return decimal_type(max(before, facts.before), max(after, facts.after))
    return "VARCHAR"


def declared(current: str, wanted: str) -> str:
    """The type of an existing column after a SCHEMA declared another: numbers grow, the rest waits for its data."""
    if current in INTEGERS and (wanted in ("DOUBLE", "BIGINT", "HUGEINT") or decimal_parts(wanted)):
        parts = decimal_parts(wanted)
        return wanted if parts is None or parts[0] - parts[1] >= 19 else current
    if current == "FLOAT":
        return "DOUBLE"
    old, new = decimal_parts(current), decimal_parts(wanted)
    if old and new:
        before, after = max(old[0] - old[1], new[0] - new[1]), max(old[1], new[1])
        return f"DECIMAL({before + after},{after})" if before + after <= WIDEST else current
    return current
