"""A plugin of Dativo's as Meltano's custom plugin definition: its settings, kinds and capabilities from its manifest.

Facts: Meltano 4.4.1, docs "custom extractors and loaders", schemas/meltano.schema.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dativo.config.meltano.expansion import VARIABLE, mapped

KINDS = {"tap": "extractors", "target": "loaders", "mapper": "mappers"}
CAPABILITIES = {
    "tap": (
        "properties", "catalog", "discover", "state", "about", "stream-maps", "activate-version", "batch", "test",
        "log-based", "schema-flattening", "structured-logging",
    ),
    "target": (
        "about", "stream-maps", "activate-version", "batch", "soft-delete", "hard-delete", "datatype-failsafe",
        "schema-flattening", "structured-logging",
    ),
    "mapper": ("about", "stream-maps", "structured-logging"),
}  # fmt: skip
"""Those that Meltano knows."""
_TYPES = {"integer": "integer", "number": "decimal", "boolean": "boolean", "array": "array", "object": "object"}


def definition(
    name: str, kind: str, manifest: Mapping[str, Any], *, pip_url: str | None, executable: str
) -> dict[str, Any]:
    """`{"plugins": {"extractors": [{…}]}}`: what a meltano.yml, or a file that it includes, holds of a plugin.

    `executable` is a command of the package `pip_url`, or without one the path of a program.
    """
    schema = manifest.get("settings") or {}
    described = schema.get("properties") or {}
    able = manifest.get("capabilities") or ()
    needed = [key for key in schema.get("required") or [] if key in described]
    plugin: dict[str, Any] = {
        "name": name,
        "namespace": name.replace("-", "_"),
        "pip_url": pip_url,
        "executable": executable,
        "capabilities": [one for one in CAPABILITIES[kind] if one in able],
        "settings_group_validation": [needed] if needed else None,
        "settings": [_setting(key, about) for key, about in described.items()],
    }
    return {"plugins": {KINDS[kind]: [{key: value for key, value in plugin.items() if value not in (None, [])}]}}


def _setting(name: str, about: Any) -> dict[str, Any]:
    """One setting. A kind is told only where the plugin takes no other: a text that is no JSON would be refused."""
    about = about if isinstance(about, Mapping) else {}
    found: dict[str, Any] = {"name": name}
    types = _types(about)
    if about.get("enum") and all(isinstance(one, str) for one in about["enum"]):
        found |= {"kind": "options", "options": [{"label": one, "value": one} for one in about["enum"]]}
    elif types == ["string"] and about.get("format") in ("date", "date-time"):
        found["kind"] = "date_iso8601"
    elif len(types) == 1 and types[0] in _TYPES:
        found["kind"] = _TYPES[types[0]]
    if about.get("secret"):
        found["sensitive"] = True
    if about.get("default") is not None:
        # a dollar sign of the default is no variable of Meltano's
        found["value"] = mapped(about["default"], lambda text: VARIABLE.sub(lambda one: f"\\{one[0]}", text))
    if about.get("title"):
        found["label"] = str(about["title"])
    if about.get("description"):
        found["description"] = str(about["description"])
    return found


def _types(about: Mapping[str, Any]) -> list[str]:
    """The JSON types that a setting may have, `null` left out."""
    kinds = about.get("type")
    found = [kinds] if isinstance(kinds, str) else list(kinds) if isinstance(kinds, list) else []
    for word in ("anyOf", "oneOf"):
        found += [one for option in about.get(word) or [] if isinstance(option, Mapping) for one in _types(option)]
    return [one for one in dict.fromkeys(found) if one != "null"]
