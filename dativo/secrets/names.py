"""Which settings are secret: by the plugin's own flag, else by what the name says (I13)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dativo.secrets.reference import is_reference

_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|passw|secret|token|api_?key|private_?key|access_?key|credential|(^|_)auth(_|$)|_jwt|"
    r"connection_string|(^|_)dsn$|sqlalchemy_url|signature",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_PLAIN = re.compile(r"(type|method|mode|user|name|host|port|url|uri|region|_id)$", re.IGNORECASE)
"""What is no secret although it stands beside one, as in `auth: {type: …, username: …, password: …}`."""
WORDS = {"true", "false", "none", "null", "basic", "bearer", "oauth", "oauth2", "password", "token", "default", "jwt"}
"""What stands in settings such as `auth_type`: hiding these words would hide every message about them."""


def is_secret(key: str, described: Mapping[str, Any]) -> bool:
    """Whether a setting holds a secret."""
    flagged = described.get("secret", described.get("writeOnly"))
    return bool(flagged) if isinstance(flagged, bool) else bool(_SECRET.search(key))


def inline(key: str, value: Any, described: Mapping[str, Any]) -> Iterator[str]:
    """The secret texts that stand in a setting itself, references left out: they are read later."""
    if isinstance(value, dict):
        inner = described.get("properties")
        known = inner if isinstance(inner, dict) else {}
        secret = is_secret(key, described)
        for name, item in value.items():
            all_secret = secret and not _PLAIN.search(name)
            yield from inline(name, item, known.get(name) or ({"secret": True} if all_secret else {}))
    elif isinstance(value, list):
        items = described.get("items")
        about = items if isinstance(items, dict) else {}
        flags = {"secret": True} if is_secret(key, described) else {}
        for item in value:
            yield from inline(key, item, {**flags, **about})
    elif isinstance(value, str) and not is_reference(value):
        if is_secret(key, described) and "enum" not in described and value.lower() not in WORDS:
            yield value
        else:
            yield from _IN_URL.findall(value)
