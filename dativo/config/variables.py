"""`${VAR}`, `${VAR:-default}`, `$$` in the values of a project file, and the `.env` beside it.

The process environment wins over `.env`. A missing variable is an error that names file, line and key, never a
value (I13).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.document import KeyPath
from dativo.config.layers import Layers

_REFERENCE = re.compile(r"\$(?:\$|\{([^{}]*)\})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; {} when there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise errors.ConfigError("project.invalid", f"{path} cannot be read", hint="it must be UTF-8 text") from problem
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if not match:
            raise errors.ConfigError("project.invalid", f"{path.name}:{number}: NAME=value is expected")
        found[match[1]] = _unquoted(match[2], path, number)
    return found


def _unquoted(value: str, path: Path, number: int) -> str:
    if value[:1] not in ("'", '"'):
        return re.split(r"\s#", value, maxsplit=1)[0].rstrip()
    quote = value[0]
    end = 1
    while end < len(value) and value[end] != quote:
        end += 2 if quote == '"' and value[end] == "\\" else 1
    rest = value[end + 1 :].strip()
    if end >= len(value) or (rest and not rest.startswith("#")):
        raise errors.ConfigError("project.invalid", f"{path.name}:{number}: the quotes do not match")
    inner = value[1:end]
    if quote == "'":
        return inner
    escapes = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), inner)


class Variables:
    """The variables a project sees: those of the process first, then those of `.env`."""

    def __init__(self, env_file: Mapping[str, str], environ: Mapping[str, str] | None = None) -> None:
        self._env_file = env_file
        self._environ = os.environ if environ is None else environ

    def get(self, name: str) -> str | None:
        """The value, or None when it is set nowhere."""
        return self._environ.get(name, self._env_file.get(name))

    def origin(self, name: str) -> str:
        """Where a variable comes from: `environment`, `.env` or `unset`."""
        return "environment" if name in self._environ else ".env" if name in self._env_file else "unset"

    def resolve(self, value: Any, layers: Layers, at: KeyPath) -> Any:
        """`value`, which stands at key `at`, with every reference replaced."""
        if isinstance(value, dict):
            return {key: self.resolve(item, layers, (*at, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, layers, (*at, index)) for index, item in enumerate(value)]
        return self._text(value, layers, at) if isinstance(value, str) else value

    def _text(self, text: str, layers: Layers, at: KeyPath) -> str:
        if "$" in text:
            text = _REFERENCE.sub(lambda found: self._one(found, layers, at), text)
        if text.startswith("secret://"):
            raise errors.ConfigError(
                "config.invalid",
                f"{layers.where(at)}: {named(at)} is a secret:// reference, which this version cannot read",
                hint="use ${VARIABLE} and put the value into the environment or .env",
            )
        return text

    def _one(self, found: re.Match[str], layers: Layers, at: KeyPath) -> str:
        whole, inside = found[0], found[1]
        if whole == "$$":
            return "$"
        if inside is None:
            if found.string[found.end() :].startswith("{"):
                raise self._malformed(layers, at)
            return "$"
        name, dash, default = inside.partition(":-")
        if not _NAME.fullmatch(name):
            raise self._malformed(layers, at)
        value = self.get(name)
        if dash and not value:
            return default
        if value is None:
            raise errors.ConfigError(
                "config.variable",
                f"{layers.where(at)}: {named(at)} needs ${{{name}}}, which is not set",
                hint=f"export {name}, write it into .env beside {layers.base.path.name}, or give ${{{name}:-default}}",
            )
        return value

    def _malformed(self, layers: Layers, at: KeyPath) -> errors.ConfigError:
        return errors.ConfigError(
            "config.invalid",
            f"{layers.where(at)}: {named(at)} holds a ${{…}} that names no variable",
            hint="write ${NAME} or ${NAME:-default}; a plain dollar sign is $$",
        )


def references(value: Any) -> list[str]:
    """The names of the variables that a value refers to."""
    if isinstance(value, dict):
        return [name for item in value.values() for name in references(item)]
    if isinstance(value, list):
        return [name for item in value for name in references(item)]
    if not isinstance(value, str):
        return []
    names = (found[1].partition(":-")[0] for found in _REFERENCE.finditer(value) if found[1])
    return [name for name in names if _NAME.fullmatch(name)]


def escaped(text: str) -> str:
    """Text as it must be written to be read back unchanged; a text that refers to a variable is left as it is."""
    plain = references(text) or ("$$" not in text and "${" not in text)
    return text if plain else text.replace("$", "$$")


def named(at: KeyPath) -> str:
    """A key path as people write it: plugins.tap-x.config.host."""
    return ".".join(str(part) for part in at)
