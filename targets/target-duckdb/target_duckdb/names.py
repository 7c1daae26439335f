"""Names of tables and columns: data, never SQL (I12), and unlike each other although DuckDB ignores case."""

from __future__ import annotations

from collections.abc import Container

from target_duckdb.spelling import spell_surrogates

BOOKMARKS = "_dativo_bookmarks"
NAMES = "_dativo_names"
RESERVED = frozenset({BOOKMARKS, NAMES})


def quoted(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def legal(name: str) -> str:
    """The name as DuckDB can hold it: never empty, no NUL, valid Unicode."""
    return spell_surrogates(name).replace("\0", "\u2400") or "_"


def folded(name: str) -> str:
    """What DuckDB compares: ASCII case is ignored, and to be safe every other case too."""
    return name.lower()


def unlike(name: str, taken: Container[str]) -> str:
    """The name, with the first suffix _2, _3 … that makes it unlike the taken (folded) ones."""
    name = legal(name)
    number, candidate = 1, name
    while folded(candidate) in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
