"""`${VAR}`, `${VAR:-default}`, `$$` in the values of a project file, and the `.env` beside it.

A `secret://` reference passes through untouched: it is read when the plugin starts, never here.
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
from dativo.secrets import dotenv
from dativo.secrets.reference import is_reference

_REFERENCE = re.compile(r"\$(?:\$|\{([^{}]*)\})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; {} when there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise errors.ConfigError("project.invalid", f"{path} cannot be read", hint="it must be UTF-8 text") from problem
    try:
        return dotenv.parse(text)
    except ValueError as problem:
        raise errors.ConfigError("project.invalid", f"{path.name}:{problem}") from None


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
        if is_reference(text) and at[0] != "secrets" and not _is_setting(at):
            # I13: what is no setting of a plugin ends up in an environment, a file name or a list that is shown.
            why = "an environment can be read by others" if "env" in at else "it would be seen"
            raise errors.ConfigError(
                "secret.invalid",
                f"{layers.where(at)}: {named(at)} may not be a secret:// reference: {why}",
                hint="secret:// may stand in a plugin's config, in state.url and .options, in index credentials",
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


_CREDENTIALS = (("username",), ("password",))


def _is_setting(at: KeyPath) -> bool:
    """Whether a key is a plugin's setting, `plugins.NAME.config.…` or the same below a job; or opens store or index."""
    if at[:2] in (("state", "url"), ("state", "options")) or (at[:1] == ("index",) and at[2:] in _CREDENTIALS):
        return True
    inside = at[2:] if at[0] == "jobs" else at
    return inside[:1] == ("plugins",) and inside[2:3] == ("config",)


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
