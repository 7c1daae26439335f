"""What the tests of secrets share: a redactor that knows nothing, and a resolver made from a `secrets:` section."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dativo.secrets.redact import REDACTOR
from dativo.secrets.resolve import Resolver

CANARY = 'kAn4ry/+Ω%zz"q 77'
"""A value that looks different in every encoding."""


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    """The redactor of this process as it is in a fresh one."""
    REDACTOR.clear()
    yield
    REDACTOR.clear()


@pytest.fixture
def resolver(tmp_path: Path) -> Any:
    """Makes a resolver whose relative paths start in the test's folder."""

    def make(settings: dict[str, Any] | None = None, **more: Any) -> Resolver:
        return Resolver(settings, root=tmp_path, **more)

    return make


def read(resolver: Resolver, text: str) -> Any:
    """What a reference stands for."""
    return resolver.resolve({"it": text}).config["it"]
