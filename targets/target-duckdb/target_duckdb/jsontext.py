"""Columns of JSON texts (`arrow.json`, lists, structs, maps): what they hold, and the spelling that RECORDs would get.

A text is looked at as a whole column; only texts whose spelling the codec would change (escapes that are not needed,
exponents), strings that hold escapes, and columns of nothing but numbers with a fraction or beyond int64 are decoded
value by value, as RECORDs are: which number a float gives back is known to the codec alone.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import compute as pc

from dativo_protocol import WireError, codec
from target_duckdb import columns
from target_duckdb.columns import Column, json_text, text_array
from target_duckdb.database import Database

SPACED = r"^[ \t\r\n]|[ \t\r\n]$|[\[{:,][ \t\r\n]|[ \t\r\n][\]}:,]"
STRING_OR_SPACE = r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+'
RESPELLED = r"\\[u/]|(?:^|[\[:,])-?[0-9.]+[eE]"
WHOLE = r"^-?[0-9]+$"
STRING, NESTED, BOOLEAN = {'"'}, {"{", "["}, {"t", "f"}
NUMBER = set("-0123456789NI")


class NotJsonError(ValueError):
    """A text that is no JSON."""


def column(texts: Any, wanted: str | None, database: Database) -> Column:  # noqa: PLR0911 (one return per kind)
    """The column that the texts' values make."""
    texts = spelled(texts)
    if texts.null_count == len(texts):
        return Column("null", pa.nulls(len(texts)))
    valid = database.computed(texts, "coalesce(bool_and(json_valid(v)), true)")
    if not valid[0].as_py():
        raise NotJsonError
    if wanted == "JSON":
        return Column("json", texts)
    first = pc.utf8_slice_codeunits(texts, 0, 1)
    found = set(pc.unique(first).to_pylist()) - {None}
    if found <= STRING:
        return Column("text", unquoted(texts))
    if found <= NESTED:
        return Column("json", texts)
    if found <= BOOLEAN:
        return Column("bool", pc.equal(texts, "true"))
    if found <= NUMBER:
        return numbers(texts, wanted)
    strings = pc.fill_null(pc.equal(first, '"'), False)
    return Column("mixed", replaced(texts, strings, unquoted))


def spelled(texts: Any) -> Any:
    """The texts as the codec writes them: compact, no needless escapes; JSON's null is a null."""
    if not holds(texts, f"{SPACED}|{RESPELLED}|^null$"):  # one look at nearly every column
        return texts
    if holds(texts, SPACED):
        texts = pc.replace_substring_regex(texts, STRING_OR_SPACE, r"\1")
    odd = pc.fill_null(pc.match_substring_regex(texts, RESPELLED), False)
    if pc.any(odd).as_py():
        texts = replaced(texts, odd, lambda some: text_array([json_text(value) for value in decoded(some)]))
    return pc.if_else(pc.equal(texts, "null"), pa.scalar(None, pa.string()), texts)


def holds(texts: Any, pattern: str) -> bool:
    """Whether some text matches."""
    return bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())


def replaced(texts: Any, mask: Any, change: Any) -> Any:
    """The texts, those under the mask changed."""
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))


def decoded(texts: Any) -> list[Any]:
    """The values of the texts (none is null), each digit kept."""
    try:
        return [codec.decode(text.encode()) for text in texts.to_pylist()]
    except WireError:
        raise NotJsonError from None


def unquoted(texts: Any) -> Any:
    """The strings that JSON strings stand for."""
    plain = pc.utf8_slice_codeunits(texts, 1, -1)
    escaped = pc.fill_null(pc.match_substring(texts, "\\"), False)
    if not pc.any(escaped).as_py():
        return plain
    return pc.replace_with_mask(plain, escaped, text_array(decoded(texts.filter(escaped))))


def numbers(texts: Any, wanted: str | None) -> Column:
    """Numbers: int64 where all are, else what RECORDs with these values make of them."""
    if not pc.any(pc.invert(pc.match_substring_regex(texts, WHOLE))).as_py():
        try:
            return Column("int", texts.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    present = iter(decoded(texts.drop_null()))
    return columns.column([next(present) if valid else None for valid in texts.is_valid().to_pylist()], wanted)
