"""`{config:KEY}` in a permission, replaced by what the setting holds: none, one, or several texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from dativo.plugins.permissions import TEMPLATE
from dativo.run.settings import properties

REFERENCE = "secret://"


def with_defaults(schema: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the plugin will have them: its own defaults where nothing is set, in objects too."""
    found = dict(config)
    for key, prop in properties(schema).items():
        held = found.get(key)
        if held is None and prop.get("default") is not None:
            found[key] = prop["default"]
        elif isinstance(held, dict) or (held is None and _has_defaults(prop)):
            found[key] = with_defaults(prop, held or {})
    return found


def _has_defaults(prop: Mapping[str, Any]) -> bool:
    return any(one.get("default") is not None for one in properties(prop).values())


def expanded(text: str, config: Mapping[str, Any]) -> list[str]:
    """Every text that a template stands for; nothing when a setting that it names holds nothing."""
    keys = TEMPLATE.findall(text)
    if not keys:
        return [text]
    parts = TEMPLATE.split(text)[::2]
    found = []
    for values in itertools.product(*(list(texts(lookup(config, key))) for key in keys)):
        pieces = [piece for pair in itertools.zip_longest(parts, values, fillvalue="") for piece in pair]
        found.append("".join(pieces))
    return list(dict.fromkeys(found))


def lookup(config: Any, key: str) -> Any:
    """What a setting holds; a dotted key leads into objects, and into each object of a list."""
    if isinstance(config, list):
        return [lookup(item, key) for item in config]
    if not isinstance(config, Mapping):
        return None
    if key in config:
        return config[key]
    for at in (index for index, sign in enumerate(key) if sign == "."):
        if key[:at] in config:
            return lookup(config[key[:at]], key[at + 1 :])
    return None


def texts(value: Any) -> Iterator[str]:
    """The texts in a value. A reference to a secret is not its value."""
    if isinstance(value, str):
        if value.strip() and "\0" not in value and not value.startswith(REFERENCE):
            yield value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
