"""Lone surrogates: legal as JSON escapes, impossible in UTF-8. They are kept as the six characters that JSON writes."""

from __future__ import annotations

import re

SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)


def spell_surrogates(text: str) -> str:
    r"""Plain text with each lone surrogate as \ud800, spelled out."""
    return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def spell_escaped(text: str) -> str:
    r"""JSON text, which DuckDB refuses with a lone \ud800 in it: the backslash is escaped."""
    return ESCAPE.sub(lambda found: f"\\\\{found[1]}" if found[1] else found[0], text)
