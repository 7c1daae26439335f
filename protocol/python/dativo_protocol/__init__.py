"""The Singer protocol as Dativo speaks it, for programs in Python: `../SPEC.md` is the law, `../vectors` are its cases.

What it is for: reading and writing messages without losing a digit (`codec`, `messages`, `reader`), catalogs and
selection (`catalog`), the algebra of bookmarks (`bookmark`, `ledger`), the mapping of types (`types`), the vectors
(`vectors`).
Where it stands: below everything. Plugins written in Python and the control plane import it; it imports orjson only.
Invariants it guards: I1 and I4 (`ledger`), I9 (`reader`: a line is a message, junk that is counted, or an error),
I10 (the reader's memory is bounded by `max_line`), I12 (a stream's name stays a string and nothing else).
Who may import it: anyone. Importing the package costs nothing; a name's module is loaded at its first use.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # importing typing would cost more than the rest of this file
if TYPE_CHECKING:
    from typing import Any

    from dativo_protocol.bookmark import canonical, clear_stream, get_stream, merge, same, set_stream
    from dativo_protocol.catalog import apply_selection, is_selected, selected_streams, validate
    from dativo_protocol.codec import decode, encode
    from dativo_protocol.fault import WireError
    from dativo_protocol.ledger import StateLedger
    from dativo_protocol.messages import ActivateVersion, Batch, FileBatch, Message, Record, Schema, State, parse
    from dativo_protocol.reader import Junk, Reader
    from dativo_protocol.types import ColumnType, column_type, columns

__version__ = "0.1.0"

_HOME = {
    "bookmark": ("canonical", "clear_stream", "get_stream", "merge", "same", "set_stream"),
    "catalog": ("apply_selection", "is_selected", "selected_streams", "validate"),
    "codec": ("decode", "encode"),
    "fault": ("WireError",),
    "ledger": ("StateLedger",),
    "messages": ("ActivateVersion", "Batch", "FileBatch", "Message", "Record", "Schema", "State", "parse"),
    "reader": ("Junk", "Reader"),
    "types": ("ColumnType", "column_type", "columns"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ActivateVersion",
    "Batch",
    "ColumnType",
    "FileBatch",
    "Junk",
    "Message",
    "Reader",
    "Record",
    "Schema",
    "State",
    "StateLedger",
    "WireError",
    "apply_selection",
    "canonical",
    "clear_stream",
    "column_type",
    "columns",
    "decode",
    "encode",
    "get_stream",
    "is_selected",
    "merge",
    "parse",
    "same",
    "selected_streams",
    "set_stream",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module, once."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
