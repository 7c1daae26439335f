"""How a column's DuckDB type grows with its data (which type a SCHEMA gives it at first is `dativo_protocol.types`).

A type only ever grows to one that holds every value the column had: BOOLEAN and times to VARCHAR, BIGINT to HUGEINT or
DOUBLE, DOUBLE to DECIMAL, everything to VARCHAR in the end. Growing that could lose something is checked against the
data first (`load`, `table`), and goes to VARCHAR when it would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
WIDEST = 38
HUGEST = 2**127 - 1
NATIVE = {"date": "DATE", "time": "TIME", "timestamp": TIMESTAMP, "bytes": "BLOB"}
DATED = (TIMESTAMP, "TIMESTAMP")


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
        "decimal": f"DECIMAL({max(facts.before + facts.after, 1)},{facts.after})",
        **NATIVE,
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
    if kind in NATIVE:
        return current if current == NATIVE[kind] or (kind == "date" and current in DATED) else "VARCHAR"
    if current == "BOOLEAN":
        return current if kind == "bool" else "VARCHAR"
    if kind in ("bool", "json", "mixed"):
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
        whole = kind in ("big", "decimal") and facts.finite and not facts.after and facts.largest <= HUGEST
        return current if whole or kind == "int" else "VARCHAR"
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
