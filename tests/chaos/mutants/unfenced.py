"""No fencing: a held job is not refused, and a run whose lease was taken goes on writing."""

from __future__ import annotations

from typing import Any

from dativo.state.store import Store

CHECKS = ("_check_token", "_refuse_if_held")


def mutate() -> None:
    """Drop both checks."""
    for name in CHECKS:
        assert hasattr(Store, name), f"the store has no {name} any more: name what checks it now"
        setattr(Store, name, staticmethod(passed))


def passed(*_: Any) -> None:
    """Whatever is asked, it is fine."""
