"""The program of the checker, a child of the data plane: judges records by Python's `jsonschema`, one line at a time.

It is run alone, as a file, by an interpreter that can import jsonschema, and reads only its stdin: nothing of Dativo is
imported. The lines are those of native/bus/src/check/referee.rs. What SPEC.md says of validity holds here too: `format`
says nothing, numbers are exact, a bare NaN is a number without bounds, and references never leave the SCHEMA. No text
of a record is part of a reason (I13); values are sent apart, for the data plane to redact.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

SHOWN = 256
"""Of a value, at most so many characters are sent."""


class _Boundless(float):
    """A bare NaN or Infinity: a number that no bound is compared with."""

    def _never(self, _: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _never


NAN = _Boundless("nan")
DIGITS = 19
"""A `multipleOf` of more digits is not checked."""


def _read(text: str) -> Any:
    """JSON with every digit."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=lambda _: NAN)


def _number(_: Any, value: Any) -> bool:
    return isinstance(value, (Decimal, float))


def _integer(_: Any, value: Any) -> bool:
    if not isinstance(value, Decimal):
        return value is NAN
    parts = value.as_tuple()
    exponent = int(parts.exponent)
    return exponent >= 0 or not any(parts.digits[exponent:]) or not any(parts.digits)


def _whole(value: Decimal) -> tuple[int, int]:
    """A number as c * 10**e, where c ends in no zero."""
    parts = value.as_tuple()
    digits, exponent = list(parts.digits), int(parts.exponent)
    while len(digits) > 1 and digits[-1] == 0:
        digits.pop()
        exponent += 1
    found = 0
    for digit in digits:
        found = found * 10 + digit
    return found, exponent


def _multiple(validator: Any, unit: Any, value: Any, _: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(value, "number") or value is NAN or not isinstance(unit, Decimal) or unit <= 0:
        return
    count, exponent = _whole(value)
    step, place = _whole(unit)
    if len(str(step)) > DIGITS or count == 0:
        return
    if exponent < place or count * pow(10, exponent - place, step) % step:
        yield ValidationError("is not a multiple")


def _validators() -> Mapping[int, Any]:
    from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator

    return {4: Draft4Validator, 7: Draft7Validator, 2020: Draft202012Validator}


def _patterns(schema: Any) -> Iterator[str]:
    """Every expression in a SCHEMA: jsonschema meets one only when a record does."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        for value in schema.values():
            yield from _patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _patterns(value)


class Judge:
    """The streams' SCHEMAs, and what records are by them."""

    def __init__(self) -> None:
        self._streams: dict[int, Any] = {}

    def answer(self, line: str) -> dict[str, Any]:
        """The answer to one question."""
        if '"draft":' in line[:64]:
            try:
                self._announced(line)
            except Exception as problem:
                return {"usable": False, "why": _clean(getattr(problem, "message", None) or str(problem))}
            return {"usable": True}
        try:
            question = _read(line)
            return self._judged(self._streams[question["stream"]], question["record"])
        except Exception as problem:
            unresolved = any(one.__name__ == "Unresolvable" for one in type(problem).__mro__)
            return {"unable": "its SCHEMA refers to what is not in it" if unresolved else type(problem).__name__}

    def _announced(self, line: str) -> None:
        # Once as it is for what a SCHEMA may be, once with every digit for what a record is.
        plain, exact = json.loads(line), _read(line)
        self._streams.pop(plain["stream"], None)
        self._streams[plain["stream"]] = self._made(plain["schema"], exact["schema"], plain["draft"])

    def _made(self, plain: Any, exact: Any, draft: int) -> Any:
        from jsonschema import validators
        from jsonschema_specifications import REGISTRY

        chosen = validators.validator_for(plain, default=_validators()[draft])
        chosen.check_schema(plain)
        for pattern in _patterns(plain):
            re.compile(pattern)
        checker = chosen.TYPE_CHECKER.redefine_many({"number": _number, "integer": _integer})
        extend: Any = validators.extend
        made = extend(chosen, {"multipleOf": _multiple}, type_checker=checker)
        # It knows what the drafts themselves say, and has no way to fetch more.
        return made(exact, registry=REGISTRY)

    def _judged(self, validator: Any, record: Any) -> dict[str, Any]:
        deleted = isinstance(record, dict) and record.get("_sdc_deleted_at") is not None
        for error in validator.iter_errors(record):
            if deleted and error.validator == "required" and not error.absolute_path:
                continue  # a record that only says that its row was deleted need not have the other columns
            value, cut = _shown(error.instance)
            path = [_clean(str(step)) for step in error.absolute_path]
            return {"valid": False, "rule": str(error.validator or "schema"), "path": path, "value": value, "cut": cut}
        return {"valid": True}


def _plain(value: Any) -> Any:
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _shown(value: Any) -> tuple[str, bool]:
    """The beginning of a value as JSON, and whether that is not all of it."""
    if isinstance(value, Decimal):
        text = str(value)
        return text[:SHOWN], len(text) > SHOWN
    text = ""
    for part in json.JSONEncoder(default=_plain).iterencode(value):
        text += part
        if len(text) > SHOWN:
            return text[:SHOWN], True
    return text, False


def _clean(text: str) -> str:
    """Fit for one line of JSON that others read: no lone surrogate, and not too long."""
    return text[:SHOWN].encode("utf-8", "replace").decode()


def main() -> None:
    """Answer until stdin ends."""
    sys.path += sys.argv[1:]
    warnings.simplefilter("ignore")
    judge = Judge()
    for line in sys.stdin.buffer:
        answer = json.dumps(judge.answer(line.decode())).encode() + b"\n"
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
