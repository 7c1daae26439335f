"""What Meltano makes of a setting's value: by its kind, and from the flat names of meltano.yml to the plugin's config.

Facts: Meltano 4.4.1, core/setting_definition.py and `nest_object`, `flatten` of core/utils.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Mapping
from typing import Any

from dativo import errors
from dativo.config.meltano import dates
from dativo.dataclass import dataclass

TRUE = ("true", "1", "yes", "on")
KINDS = (
    "string", "integer", "boolean", "decimal", "date_iso8601", "email", "password", "oauth", "options", "file", "array",
    "object", "hidden",
)  # fmt: skip
SENSITIVE = ("password", "oauth")
PROCESSORS = ("nest_object", "upcase_string", "stringify", "parse_date")
_DOT = re.compile(r"(?<!\\)\.")


@dataclass(frozen=True)
class Setting:
    """One setting's definition."""

    name: str
    kind: str | None = None
    value: Any = None
    """Its default."""
    aliases: tuple[str, ...] = ()
    env: str | None = None
    env_aliases: tuple[str, ...] = ()
    sensitive: bool = False
    processor: str | None = None
    post_processor: str | None = None
    options: tuple[Any, ...] = ()

    @property
    def extra(self) -> bool:
        """Whether it speaks to Meltano rather than to the plugin: `_select` and its like."""
        return self.name.startswith("_")


def of_value(name: str, value: Any) -> Setting:
    """The definition that a key of `config` without one amounts to."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"), (int, "integer"), (float, "decimal"), (dict, "object"), (list, "array"),
    )  # fmt: skip
    return Setting(name, next((kind for type_, kind in kinds if isinstance(value, type_)), None))


def cast(setting: Setting, value: Any, plugin: str) -> Any:
    """A value as its kind wants it. Raises config.invalid, without the value (I13)."""
    try:
        value = _chosen(setting, _cast(setting, value))
        return value if value is None or setting.processor is None else _processed(setting.processor, value)
    except (ValueError, TypeError) as problem:
        said = str(problem) if str(problem).startswith(("is ", "has ")) else f"is no {setting.kind}"
        raise errors.ConfigError(
            "config.invalid",
            f"{plugin}: {setting.name} {said}",
            hint=f"see where it is set: dativo config {plugin} --origin",
            context={"plugin": plugin, "setting": setting.name},
        ) from None


def _chosen(setting: Setting, value: Any) -> Any:
    if value is not None and setting.kind == "options" and value not in setting.options:
        raise ValueError(f"is none of its options: {', '.join(map(str, setting.options))}")
    return value


def _cast(setting: Setting, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if setting.kind == "boolean":
        return value.lower() in TRUE
    if setting.kind == "integer":
        return int(value)
    if setting.kind == "decimal":
        return float(value)
    if setting.kind in ("object", "array"):
        return _parsed(value, dict if setting.kind == "object" else list)
    return value


def _parsed(text: str, wanted: type) -> Any:
    """JSON, or the same as Python writes it."""
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"is no JSON {'object' if wanted is dict else 'array'}") from None
    found = list(found) if wanted is list and isinstance(found, tuple) else found
    if not isinstance(found, wanted):
        raise ValueError(f"is no JSON {'object' if wanted is dict else 'array'}")  # noqa: TRY004 - one kind of answer
    return found


def finished(setting: Setting, value: Any, plugin: str) -> Any:
    """A value as the plugin is given it."""
    if value is None:
        return None
    if setting.post_processor:
        return _processed(setting.post_processor, value)
    if setting.kind == "date_iso8601" and isinstance(value, str):
        try:
            return _processed("parse_date", value)
        except ValueError as problem:
            raise errors.ConfigError(
                "config.invalid",
                f"{plugin}: {setting.name} {problem}",
                hint=f"write it as 2026-01-31, 2026-01-31T00:00:00Z, {dates.WORDS}",
                context={"plugin": plugin, "setting": setting.name},
            ) from None
    return value


def _processed(processor: str, value: Any) -> Any:
    if processor == "nest_object":
        return nested(value) if isinstance(value, Mapping) else value
    if processor == "upcase_string":
        return str(value).upper()
    if processor == "stringify":
        return value if isinstance(value, str) else json.dumps(value)
    if processor == "parse_date":
        return dates.parsed(str(value))
    raise ValueError(f"has a processor that is not known: {processor}")


def text_of(setting: Setting, value: Any) -> str:
    """A value as a variable holds it."""
    if isinstance(value, str):
        return value
    return str(value) if setting.kind in (None, "string", "decimal") else json.dumps(value)


def flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; an empty object stays one."""
    found: dict[str, Any] = {}
    todo: list[tuple[str, Any]] = list(data.items())
    while todo:
        key, value = todo.pop(0)
        if isinstance(value, dict) and value:
            todo[:0] = [(f"{key}.{inner}", item) for inner, item in value.items()]
        else:
            found[key] = value
    return found


def nested(data: Mapping[str, Any], *, unescape: bool = True) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`. What stands there first stays; `\\.` is a dot of a name."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        parts = _DOT.split(key)
        parts = [part.replace("\\.", ".") for part in parts] if unescape else parts
        node = found
        for part in parts[:-1]:
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                raise errors.ConfigError("config.invalid", f"{key} is set, and so is {part}, which is no object")
            node = inner
        if parts[-1] not in node:
            node[parts[-1]] = copy.deepcopy(value)
    return found


def configured(data: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their flat names as the config that the plugin reads."""

    def cleaned(node: dict[str, Any]) -> dict[str, Any]:
        return {
            key.replace("\\.", "."): cleaned(value) if isinstance(value, dict) else value
            for key, value in node.items()
            if not _DOT.search(key)
        }

    return cleaned(nested({key: value for key, value in data.items() if value is not None}, unescape=False))
