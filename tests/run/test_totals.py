"""Several attempts as one summary."""

from __future__ import annotations

from dativo.observe.summary import Summary
from dativo.run.totals import joined


def test_the_books_of_attempts_add_up():
    """Each begins behind the bookmark of the one before; hashes are summed modulo 2^128."""
    first = Summary("interrupted", "r", books={"a": {"records": 1, "hash": "f" * 32}})
    last = Summary("done", "r", books={"a": {"records": 2, "hash": f"{3:032x}"}, "b": {"records": 1, "hash": "0" * 32}})
    assert joined([first], last, 1.0).books == {
        "a": {"records": 3, "hash": f"{2:032x}"},
        "b": {"records": 1, "hash": "0" * 32},
    }
