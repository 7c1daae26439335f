"""Ordinary YAML, read in a fraction of the time by libyaml: block and flow mappings, lists, quoted and plain values.

Whatever is not ordinary (an anchor, a tag, a merge, a duplicate key, a tab, an odd number, an error, its size) is not
read here: the answer is None, and `document` reads the text with ruamel.yaml, which alone decides what is refused and
says why. So both give the same data and lines for all that this gives; tests/config compares them.
Imported by `document` only.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import Any

_CHARS = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""A character that the two readers might see otherwise: tabs, carriage returns, other breaks, marks, controls."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,11})\.[0-9]{1,12}")
_NUMBERLIKE = re.compile(r"[-+]?[.0-9][0-9a-fA-FxXoO_:.]*([eE][-+]?[0-9_]*)?|[-+]?\.(inf|nan|Inf|NaN|INF|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATELIKE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
_SEVERAL_DOTS = re.compile(r"[0-9]+(\.[0-9]+){2,}")
"""As in 10.0.0.5 or 1.2.3: text."""
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_ODD_WORDS = re.compile(r"true|false|null|=|<<", re.IGNORECASE)

Lines = dict[tuple[str | int, ...], int]


class _OddError(Exception):
    """It is not ordinary."""


def read(text: str, *, dates: bool, most: int, depth: int) -> tuple[dict[str, Any], Lines] | None:
    """A document's data and the line of each key and item (from 1); None for what is to be read with more care.

    `dates`: that texts such as 2024-01-01 would be dates. `most` values and `depth` levels are ordinary.
    """
    if _CHARS.search(text):
        return None
    with suppress(ImportError, _OddError, ValueError):
        from yaml.cyaml import CParser
        from yaml.error import YAMLError

        try:
            return _Reader(CParser(text), dates=dates, most=most, depth=depth).document()
        except YAMLError:
            return None
    return None


class _Reader:
    def __init__(self, events: Any, *, dates: bool, most: int, depth: int) -> None:
        self.next = events.get_event
        self.dates, self.left, self.depth = dates, most, depth
        self.lines: Lines = {}

    def document(self) -> tuple[dict[str, Any], Lines]:
        self._expect("StreamStartEvent")
        begin = self._expect("DocumentStartEvent")
        root = self._expect("MappingStartEvent")
        if begin.version or begin.tags or root.tag or root.anchor:
            raise _OddError
        found = self._mapping(())
        self._expect("DocumentEndEvent")
        self._expect("StreamEndEvent")
        return found, self.lines

    def _expect(self, kind: str) -> Any:
        event = self.next()
        if type(event).__name__ != kind:
            raise _OddError
        return event

    def _mapping(self, at: tuple[str | int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while type(event := self.next()).__name__ != "MappingEndEvent":
            key = self._value(event, at)
            if type(key) is not str or key in found or (self.dates and _DATELIKE.match(key)):
                raise _OddError
            here = (*at, key)
            self.lines[here] = event.start_mark.line + 1
            found[key] = self._value(self.next(), here)
        return found

    def _list(self, at: tuple[str | int, ...]) -> list[Any]:
        found: list[Any] = []
        while type(event := self.next()).__name__ != "SequenceEndEvent":
            here = (*at, len(found))
            self.lines[here] = event.start_mark.line + 1
            found.append(self._value(event, here))
        return found

    def _value(self, event: Any, at: tuple[str | int, ...]) -> Any:
        self.left -= 1
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor or event.tag or self.left < 0 or len(at) > self.depth:
            raise _OddError
        if kind == "MappingStartEvent":
            return self._mapping(at)
        if kind == "SequenceStartEvent":
            return self._list(at)
        if kind != "ScalarEvent":
            raise _OddError
        return self._plain(event.value) if event.implicit[0] and not event.style else event.value

    def _plain(self, text: str) -> Any:
        """What a plain scalar is. What only might be a number or a word is odd."""
        if text in _WORDS:
            return _WORDS[text]
        if _ODD_WORDS.fullmatch(text):
            raise _OddError
        if self.dates and _DATE.fullmatch(text):
            return date.fromisoformat(text).isoformat()
        if self.dates and _DATELIKE.match(text):
            raise _OddError
        if not _NUMBERLIKE.fullmatch(text) or _SEVERAL_DOTS.fullmatch(text):
            return text
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
        raise _OddError
