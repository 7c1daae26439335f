"""No fencing: every holder is taken for dead, and a run whose lease was taken goes on writing."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import dativo.state
from dativo.state.lease import Holder

CHECK = "_check_token"


def mutate() -> None:
    """Drop both checks, in every store that has them."""
    Holder.alive = lambda _: False
    found = 0
    for module in pkgutil.iter_modules(dativo.state.__path__, "dativo.state."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and CHECK in vars(kind):
                setattr(kind, CHECK, staticmethod(passed))
                found += 1
    assert found, f"no store has a {CHECK} any more: name here what checks the token now"


def passed(*_: Any) -> None:
    """Whatever is asked, it is fine."""
