"""How settings that are secret are shown (I13). Which they are, `dativo.secrets.names` tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dativo.config.variables import references
from dativo.secrets.names import is_secret
from dativo.secrets.reference import is_reference

HIDDEN = "••••"
_IN_URL = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]+(?=@)")


def masked(key: str, value: Any, described: Mapping[str, Any]) -> Any:
    """A value as it may be shown. References to variables and secrets are shown: those are names, not values."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret(key, described):
        return value if _only_references(value) else HIDDEN
    if isinstance(value, dict):
        inner = described.get("properties")
        known = inner if isinstance(inner, dict) else {}
        return {name: masked(name, item, known.get(name) or {}) for name, item in value.items()}
    if isinstance(value, list):
        items = described.get("items")
        return [masked(key, item, items if isinstance(items, dict) else {}) for item in value]
    return _IN_URL.sub(rf"\1:{HIDDEN}", value) if isinstance(value, str) else value


def _only_references(value: Any) -> bool:
    if is_reference(value):
        return True
    if not isinstance(value, str) or not references(value) or ":-" in value:
        return False
    return re.fullmatch(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\})+", value) is not None
