"""From JSON Schema to columns: SPEC.md section 7. Pure text, no pyarrow.

Numbers are never narrowed: an integer that may leave 64 bits is a decimal, a decimal that has more digits than a
database takes is text. A column's `kind` keeps what was meant, so that a target may offer more on request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

Kind = Literal[
    "string", "integer", "number", "decimal", "boolean", "timestamp", "date", "time", "binary", "json", "mixed"
]

_FORMATS: dict[str, Kind] = {"date-time": "timestamp", "date": "date", "time": "time"}
_DECIMAL_FORMATS = ("singer.decimal", "x-singer.decimal")
_SCALE_PRECISION = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_INT64 = (-(2**63), 2**63 - 1)
_STEPS = 1000  # references and branches that one property may take; what needs more says nothing that ends
_DEEPEST = 20  # levels of branches within branches

_ARROW = {
    "string": "string", "integer": "int64", "number": "float64", "boolean": "bool", "timestamp": "timestamp[us, UTC]",
    "date": "date32", "time": "time64[us]", "binary": "binary", "json": "string", "mixed": "string",
}  # fmt: skip
_DUCKDB = {
    "string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE", "date": "DATE", "time": "TIME", "binary": "BLOB",
    "json": "JSON", "mixed": "VARCHAR",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What a column holds. `precision`, `scale` and `text` (its digits are a string in a record) belong to decimals."""

    kind: Kind
    nullable: bool = False
    precision: int = 0
    scale: int = 0
    text: bool = False

    @property
    def arrow(self) -> str:
        """The Arrow type."""
        if self.kind != "decimal":
            return _ARROW[self.kind]
        if self.precision > 76:
            return "string"
        return f"decimal{128 if self.precision <= 38 else 256}({self.precision}, {self.scale})"

    @property
    def extension(self) -> str:
        """The name of its extension type in Arrow: a column of JSON texts has one."""
        texts = self.kind in ("json", "mixed") or (self.kind == "decimal" and self.precision > 76 and not self.text)
        return "arrow.json" if texts else ""

    @property
    def of_strings(self) -> bool:
        """Whether a record holds its values as strings."""
        return self.kind in ("string", "timestamp", "date", "time", "binary") or self.text

    @property
    def duckdb(self) -> str:
        """The DuckDB type."""
        if self.kind != "decimal":
            return _DUCKDB[self.kind]
        return f"DECIMAL({self.precision},{self.scale})" if self.precision <= 38 else "VARCHAR"


def columns(schema: dict[str, Any]) -> dict[str, ColumnType]:
    """The columns of a stream, from the schema of its SCHEMA message, in its order."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: column_type(value, schema) for name, value in properties.items()}


def column_type(schema: Any, root: dict[str, Any] | None = None) -> ColumnType:
    """The type of one property. `root` is the stream's schema, where local references point."""
    resolver = _Resolver(root)
    found = resolver.look(schema, 0)
    return found if resolver.steps > 0 else _ANYTHING


_ANYTHING = ColumnType("json", nullable=True)


class _Resolver:
    """Reads one property, and ends whatever its references say."""

    def __init__(self, root: dict[str, Any] | None) -> None:
        self.root, self.steps = root, _STEPS

    def look(self, schema: Any, depth: int) -> ColumnType:
        schema = self.resolve(schema, depth)
        if schema is None:
            return _ANYTHING
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and "type" not in schema:
                return self.union(schema[word], depth)
        names = _type_names(schema)
        kinds = names - {"null"}
        if not names:
            return _ANYTHING
        if {"integer", "number"} <= kinds:
            kinds -= {"integer"}
        if len(kinds) > 1:
            return ColumnType("json" if kinds <= {"object", "array"} else "mixed", "null" in names)
        return replace(_single(min(kinds, default="null"), schema), nullable="null" in names)

    def union(self, schemas: list[Any], depth: int) -> ColumnType:
        choices = [self.look(choice, depth + 1) for choice in schemas if not _is_null(choice)]
        nullable = len(choices) < len(schemas) or any(choice.nullable for choice in choices)
        alike = {replace(choice, nullable=nullable) for choice in choices}
        if len(alike) == 1:
            return alike.pop()
        return ColumnType("string" if choices and all(choice.of_strings for choice in choices) else "mixed", nullable)

    def resolve(self, schema: Any, depth: int) -> dict[str, Any] | None:
        """Follow local references and add up allOf; none where they do not end or lead nowhere."""
        while True:
            self.steps = max(0, self.steps - 1)
            if not self.steps or depth > _DEEPEST or not isinstance(schema, dict):
                return None
            if isinstance(schema.get("allOf"), list):
                parts: Iterable[Any] = (self.resolve(part, depth + 1) for part in schema["allOf"])
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                schema = {key: value for part in (*parts, rest) for key, value in (part or {}).items()}
            if not isinstance(schema.get("$ref"), str):
                return dict(schema)
            schema = _follow(schema["$ref"], self.root)


def _single(name: str, schema: dict[str, Any]) -> ColumnType:
    """The type of a property of one JSON type."""
    if name in ("string", "number"):
        digits = _declared_decimal(schema) or (_bounded_decimal(schema) if name == "number" else None)
        if digits:
            return replace(digits, text=name == "string")
    if name == "string":
        if schema.get("contentEncoding") == "base64":
            return ColumnType("binary")
        return ColumnType(_FORMATS.get(str(schema.get("format")), "string"))
    if name == "integer":
        return _integer(schema)
    simple: dict[str, Kind] = {"number": "number", "boolean": "boolean", "null": "string"}
    return ColumnType(simple.get(name, "json"))


def _integer(schema: dict[str, Any]) -> ColumnType:
    bounds = [limit for limit, _ in _bounds(schema)]
    if all(_INT64[0] <= limit <= _INT64[1] for limit in bounds):
        return ColumnType("integer")
    digits = max(limit.adjusted() + 1 for limit in bounds)
    return ColumnType("decimal", precision=38 if digits <= 38 else max(76, digits))


def _declared_decimal(schema: dict[str, Any]) -> ColumnType | None:
    """A decimal that says so, in one of the spellings in use."""
    for place in (schema.get("x-singer.decimal"), schema.get("decimal"), schema):
        if isinstance(place, dict):
            precision, scale = place.get("precision"), place.get("scale", 0)
            if type(precision) is int and type(scale) is int and precision > 0 and scale >= 0:
                return ColumnType("decimal", precision=max(precision, scale), scale=scale)
    extra = schema.get("additionalProperties")
    if schema.get("format") in _DECIMAL_FORMATS and isinstance(extra, dict):
        match = _SCALE_PRECISION.fullmatch(str(extra.get("scale_precision")))
        if match:
            precision, scale = int(match[1]), int(match[2])
            return ColumnType("decimal", precision=max(precision, scale, 1), scale=scale)
    return None


def _bounded_decimal(schema: dict[str, Any]) -> ColumnType | None:
    """A number with multipleOf has that many places; its bounds tell the digits before the point."""
    step = _decimal(schema.get("multipleOf"))
    if step is None or step <= 0:
        return None
    places = max(0, -_exponent(step.normalize()))
    bounds = _bounds(schema)
    whole = [_whole_digits(abs(limit), exclusive) for limit, exclusive in bounds]
    # without bounds nothing is known: as many digits as the widest decimal has
    precision = max(whole) + places if len(whole) > 1 else 38 if places <= 38 else 76
    return ColumnType("decimal", precision=max(precision, places, 1), scale=places)


def _bounds(schema: dict[str, Any]) -> list[tuple[Decimal, bool]]:
    """Lower and upper bounds, each with whether it is exclusive; draft 4 says so with a boolean."""
    found = []
    for inclusive, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        limit, strict = _decimal(schema.get(inclusive)), schema.get(exclusive)
        if limit is not None:
            found.append((limit, strict is True))
        if (other := _decimal(strict)) is not None:
            found.append((other, True))
    return found


def _whole_digits(limit: Decimal, exclusive: bool) -> int:
    if limit < 1:
        return 0
    power_of_ten = limit.as_tuple().digits[0] == 1 and not any(limit.as_tuple().digits[1:])
    return limit.adjusted() + (0 if exclusive and power_of_ten else 1)


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") in ("null", ["null"])


def _type_names(schema: dict[str, Any]) -> set[str]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    if isinstance(declared, list):
        return {name for name in declared if isinstance(name, str)}
    if "const" in schema:
        return {_name_of(schema["const"])}
    if isinstance(schema.get("enum"), list):
        return set(map(_name_of, schema["enum"]))
    if "properties" in schema:
        return {"object"}
    return {"array"} if "items" in schema else set()


def _name_of(value: Any) -> str:
    names = {type(None): "null", bool: "boolean", int: "integer", float: "number", Decimal: "number", str: "string"}
    return names.get(type(value), "object")


def _follow(reference: str, root: dict[str, Any] | None) -> Any:
    target: Any = root
    if reference != "#" and not reference.startswith("#/"):
        return None
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, dict) else None
    return target
