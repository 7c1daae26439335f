"""Which settings are secret, and how they are shown: by the plugin's own flag, else by what the name says (I13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dativo.config.variables import references

HIDDEN = "••••"
_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|passw|secret|token|api_?key|private_?key|access_?key|credential|(^|_)auth(_|$)|_jwt|"
    r"connection_string|(^|_)dsn$|sqlalchemy_url|signature",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]+(?=@)")


def is_secret(key: str, described: Mapping[str, Any]) -> bool:
    """Whether a setting holds a secret."""
    flagged = described.get("secret", described.get("writeOnly"))
    return bool(flagged) if isinstance(flagged, bool) else bool(_SECRET.search(key))


def masked(key: str, value: Any, described: Mapping[str, Any]) -> Any:
    """A value as it may be shown. A text of references to variables is shown: those are names, not values."""
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
    if not isinstance(value, str) or not references(value) or ":-" in value:
        return False
    return re.fullmatch(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\})+", value) is not None
