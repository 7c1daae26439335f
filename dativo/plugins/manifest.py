"""What a plugin says about itself: `--about --format json`, else what its `--help` reveals. One shape for both."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MAX_ABOUT = 4 << 20
_FLAGS = {
    "--catalog": "catalog",
    "--properties": "properties",
    "--discover": "discover",
    "--state": "state",
    "--about": "about",
}


def from_about(text: str) -> dict[str, Any] | None:
    """The manifest in the output of `--about --format json`, or None. Log lines around it are fine."""
    start = text.find("{")
    while 0 <= start < MAX_ABOUT:
        try:
            data, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return checked(data) if isinstance(data, dict) and "name" in data else None
    return None


def from_help(text: str) -> dict[str, Any]:
    """The manifest that a `--help` text allows: capabilities only, no settings."""
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    found = sorted(word for flag, word in _FLAGS.items() if flag in flags and word != "about")
    return checked({"capabilities": found})


def checked(data: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with every field of the right type; what a plugin got wrong is left out, not trusted."""
    texts = ("name", "description", "version", "sdk_version", "kind")
    shape: dict[str, Any] = {key: str(data[key]) for key in texts if isinstance(data.get(key), str | int | float)}
    given = data.get("capabilities")
    shape["capabilities"] = sorted({str(item) for item in given}) if isinstance(given, list | tuple) else []
    settings = data.get("settings")
    properties = settings.get("properties") if isinstance(settings, dict) else None
    if isinstance(settings, dict) and isinstance(properties, dict):
        fine = {str(key): value for key, value in properties.items() if isinstance(value, dict)}
        shape["settings"] = {**settings, "properties": fine}
    if shape.get("kind") not in (None, "tap", "target", "mapper"):
        del shape["kind"]
    for key, kind in (("sandbox", dict), ("limits", dict), ("env", list), ("supported_python_versions", list)):
        if isinstance(data.get(key), kind):
            shape[key] = data[key]
    words = data.get("errors")
    if isinstance(words, dict):
        shape["errors"] = {kind: _expressions(words.get(kind)) for kind in ("transient", "permanent")}
    return shape


def _expressions(given: Any) -> list[str]:
    """The regular expressions that Python can read."""
    fine = []
    for one in given if isinstance(given, list) else ():
        try:
            re.compile(str(one))
        except (re.error, RecursionError, OverflowError):
            continue
        fine.append(str(one))
    return fine


def kind_from(manifest: Mapping[str, Any]) -> str | None:
    """The kind a manifest tells, directly or by what the plugin can do."""
    kind = manifest.get("kind")
    if isinstance(kind, str):
        return kind
    return "tap" if {"discover", "catalog", "properties"} & set(manifest.get("capabilities", ())) else None
