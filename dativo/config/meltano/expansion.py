"""`$VAR` and `${VAR}` as Meltano replaces them: a variable that is not set is empty text, unless that is to be strict.

Meltano 4.4.1, core/utils `expand_env_vars`: `$NAME` in capitals only, `${name}` in any case, `\\$` stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dativo import errors

VARIABLE = re.compile(r"(?P<escape>\\)?\$(?:\{(?P<curly>\w+)\}|(?P<plain>[A-Z][A-Z0-9_]*))")


def expanded(value: Any, env: Mapping[str, str], *, strict: bool = False) -> Any:
    """A value with the variables in its texts replaced; keys stay. Raises `config.variable` when `strict`."""

    def one(found: re.Match[str]) -> str:
        name = found["curly"] or found["plain"]
        if found["escape"]:
            return found[0][1:]
        if strict and name not in env:
            raise errors.ConfigError(
                "config.variable",
                f"${name} is not set, and meltano.yml has ff.strict_env_var_mode on",
                hint=f"export {name}, or write it into .env beside meltano.yml",
            )
        return str(env.get(name, ""))

    return mapped(value, lambda text: VARIABLE.sub(one, text))


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, change) for key, item in value.items()}
    return [mapped(item, change) for item in value] if isinstance(value, list) else value


def names(value: Any) -> list[str]:
    """The variables that a value refers to, in their order."""
    found: list[str] = []

    def note(text: str) -> str:
        found.extend(one["curly"] or one["plain"] for one in VARIABLE.finditer(text) if not one["escape"])
        return text

    mapped(value, note)
    return list(dict.fromkeys(found))


def variable(*words: str) -> str:
    """The name of the variable for words such as a plugin's name and a setting's: `TAP_X_HOST`."""
    return "_".join(re.sub(r"[^A-Za-z0-9]", "_", word).upper() for word in words if word)
