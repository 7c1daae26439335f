"""A connector's recipe under what its job says: the settings that the earlier engine gave a reader or writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dativo.config.document import Document


def source(recipe: Document, job: Mapping[str, Any]) -> dict[str, Any]:
    """The source: defaults of the recipe, one level of the job's keys merged in; incremental where the job asks."""
    found: dict[str, Any] = {
        "type": recipe.data.get("type"),
        "engine": _engine(recipe),
        "credentials": recipe.data.get("credentials") or {},
        "incremental": None,
    }
    incremental = recipe.data.get("incremental")
    for key, value in mapping(job.get("source")).items():
        if key == "incremental" and isinstance(value, dict):
            base = incremental if isinstance(incremental, dict) else {}
            found[key] = {**base, **value} if value else None
        else:
            found[key] = _over(found.get(key), value)
    return found


def target(recipe: Document, job: Mapping[str, Any]) -> dict[str, Any]:
    """The target, with the recipe's connection template below the job's connection."""
    found: dict[str, Any] = {
        "type": recipe.data.get("type"),
        "file_format": recipe.data.get("file_format"),
        "partitioning": recipe.data.get("partitioning_default"),
        "engine": _engine(recipe),
        "connection": recipe.data.get("connection_template") or {},
    }
    for key, value in mapping(job.get("target")).items():
        found[key] = _over(found.get(key), value)
    return found


def mapping(value: Any) -> dict[str, Any]:
    """A value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's options, those of its own kind on top."""
    engine = settings.get("engine")
    engine = engine if isinstance(engine, dict) else {}
    found = engine.get("options")
    found = found if isinstance(found, dict) else {}
    own = found.get(str(engine.get("type")))
    plain = {key: value for key, value in found.items() if not isinstance(value, dict)}
    return {**plain, **(own if isinstance(own, dict) else {})}


def engine_of(settings: Mapping[str, Any]) -> str:
    """native, singer, meltano, airbyte or what else it says."""
    engine = settings.get("engine")
    return str(engine.get("type") or "native") if isinstance(engine, dict) else "native"


def _engine(recipe: Document) -> Any:
    found = recipe.data.get("default_engine")
    return {"type": found} if isinstance(found, str) else found or {}


def _over(below: Any, value: Any) -> Any:
    return {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
