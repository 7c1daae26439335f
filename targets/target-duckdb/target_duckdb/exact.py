"""Reads one JSON object without losing anything: the careful way, for the few lines the fast decoder cannot take.

Those are lines with numbers of many digits, NaN and Infinity, lone surrogates, or nesting beyond the fast decoder's
depth. The scanner is iterative, so depth costs memory and nothing else.
"""

from __future__ import annotations

import re
from decimal import Decimal
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner of the standard library
from typing import Any

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
SPACE = re.compile(r"[ \t\r\n]*")
WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
LONGEST_INT = 4000
DEEPEST = 99_998  # the 100,000 levels of a message, less its own and its record's
SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)


class RawJson(str):
    """A nested value kept as the JSON text it came as."""

    __slots__ = ()


def number(text: str, fraction: bool) -> int | float | Decimal:
    """The value of a number token: an int, a float where its text says the same, else a Decimal."""
    if not fraction:
        return int(text) if len(text) < LONGEST_INT else Decimal(text)
    near = float(text)
    return near if repr(near) == text else Decimal(text)


class Scanner:
    """A cursor over one JSON text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.nonstandard = False

    def fail(self) -> ValueError:
        """What every syntax error raises."""
        return ValueError(f"not JSON: something else was expected at character {self.at + 1}")

    def space(self) -> str:
        """Skip blanks; the next character, or nothing at the end."""
        found = SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def scalar(self) -> Any:
        """A string, number or word."""
        text, at = self.text, self.at
        if text[at : at + 1] == '"':
            value, self.at = scanstring(text, at + 1, True)
            return value
        for word, constant in WORDS.items():
            if text.startswith(word, at):
                self.at = at + len(word)
                self.nonstandard |= isinstance(constant, float)
                return constant
        found = NUMBER.match(text, at)
        if not found:
            raise self.fail()
        self.at = found.end()
        return number(found[0], bool(found[1] or found[2]))

    def nested(self) -> RawJson:
        """Check one object or array of any depth and keep its text."""
        text, start = self.text, self.at
        open_ends: list[str] = []
        expect = "value"
        while True:
            char = self.space()
            if expect == "value" and char in ("{", "["):
                self.at += 1
                open_ends.append("}" if char == "{" else "]")
                if len(open_ends) > DEEPEST:
                    raise self.fail()
                if self.space() == open_ends[-1]:
                    expect = "after"
                    continue
                if char == "{":
                    self.key()
            elif expect == "value":
                self.scalar()
                expect = "after"
            elif char and char == open_ends[-1]:
                self.at += 1
                open_ends.pop()
                if not open_ends:
                    return RawJson(text[start : self.at])
            elif char == ",":
                self.at += 1
                if open_ends[-1] == "}":
                    self.space()
                    self.key()
                expect = "value"
            else:
                raise self.fail()

    def key(self) -> str:
        """An object's key with its colon."""
        self.space()
        if self.text[self.at : self.at + 1] != '"':
            raise self.fail()
        name, self.at = scanstring(self.text, self.at + 1, True)
        if self.space() != ":":
            raise self.fail()
        self.at += 1
        return str(name)

    def members(self, deep: str | None = None) -> dict[str, Any]:
        """One object: scalars as values, nested values as RawJson; the member named `deep` as such a dict itself."""
        if self.space() != "{":
            raise self.fail()
        self.at += 1
        found: dict[str, Any] = {}
        if self.space() == "}":
            self.at += 1
            return found
        while True:
            name = self.key()
            char = self.space()
            if char == "{" and name == deep:
                found[name] = self.members()
            elif char in ("{", "["):
                found[name] = self.nested()
            else:
                found[name] = self.scalar()
            char = self.space()
            self.at += 1
            if char == "}":
                return found
            if char != ",":
                self.at -= 1
                raise self.fail()

    def end(self) -> None:
        """Refuse anything after the object."""
        if self.space():
            raise self.fail()


def message(text: str) -> dict[str, Any]:
    """A Singer message: its members, with `record` opened and every deeper value as RawJson."""
    scanner = Scanner(text)
    found = scanner.members("record")
    scanner.end()
    if scanner.nonstandard and found.get("type") != "RECORD":
        raise ValueError("not JSON: NaN and Infinity may stand in records only")
    return found


def record(text: str) -> dict[str, Any]:
    """One bare record, as in a BATCH file."""
    scanner = Scanner(text)
    found = scanner.members()
    scanner.end()
    return found


def member_text(text: str, name: str) -> str:
    """The exact text of the last member of that name: a STATE's value goes back as the tap wrote it."""
    scanner = Scanner(text)
    scanner.space()
    scanner.at += 1
    value = "null"
    if scanner.space() == "}":
        return value
    while True:
        key = scanner.key()
        char = scanner.space()
        start = scanner.at
        if char in ("{", "["):
            scanner.nested()
        else:
            scanner.scalar()
        if key == name:
            value = text[start : scanner.at]
        char = scanner.space()
        scanner.at += 1
        if char == "}":
            return value


def spell_surrogates(text: str) -> str:
    r"""Lone surrogates, which UTF-8 lacks, spelled as JSON spells them: the six characters \ud800."""
    return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def spell_escaped_surrogates(text: str) -> str:
    r"""The same inside JSON text, where a lone \ud800 is refused: its backslash is escaped."""
    return ESCAPE.sub(lambda found: f"\\\\{found[1]}" if found[1] else found[0], text)
