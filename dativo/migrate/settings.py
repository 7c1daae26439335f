"""A plugin's settings as another tool kept them, made fit for dativo.yml: secrets go into `.env`, dollars stay dollars.

What a stranger's file holds is data: a text that Dativo would read as a reference is kept as the text that it is (I12).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any

from dativo.config.variables import read_env_file
from dativo.dataclass import dataclass
from dativo.migrate import clear
from dativo.migrate.report import Report
from dativo.secrets import dotenv, names
from dativo.secrets.reference import is_reference

ENV = ".env"
_PASSWORD = re.compile(r"passw|passphrase|secret$", re.IGNORECASE)
_NONCE = token_hex(8)
"""Nobody's file can hold a mark, since nobody knows this."""
_MARK = re.compile(f"\ue000{_NONCE}(([A-Za-z_][A-Za-z0-9_]*)(?::-[^{{}}\ue001]*)?)\ue001")
_PATH_KEY = re.compile(
    r"(^|_)(path|paths|dir|directory|folder|file|files|filename|filepath|destination)$", re.IGNORECASE
)


def variable(name: str) -> str:
    """A reference to a variable, `NAME` or `NAME:-default`, marked to be told from a text that looks like one."""
    return f"\ue000{_NONCE}{name}\ue001"


def plain(text: str) -> str:
    """A text as dativo.yml must hold it to be read back unchanged, marked variables as references."""
    whole = text.replace("$", "$$") if "${" in text or "$$" in text else text
    return _MARK.sub(lambda found: f"${{{found[1]}}}", whole)


@dataclass
class Settings:
    """Collects the secrets of all plugins of one import."""

    report: Report
    into: Path | None = None
    """The folder whose `.env` may be there already: what it says is not changed."""
    env: dict[str, str] = field(default_factory=dict, repr=False)
    """Variable -> value: the new lines of `.env`."""

    @cached_property
    def there(self) -> dict[str, str]:
        """What the `.env` of the folder says. Raises project.invalid where it cannot be read."""
        return read_env_file(self.into / ENV) if self.into else {}

    def config(
        self,
        plugin: str,
        config: Mapping[str, Any],
        *,
        where: str,
        what: str,
        schema: Mapping[str, Any] | None = None,
        below: str = "",
    ) -> dict[str, Any]:
        """The `config:` of a plugin, or (`below`, with a dot) an object in it. Each setting is in the report.

        I13: a secret's value goes into `.env`, and a reference to it takes its place.
        """
        found = {}
        for key, value in config.items():
            moved: list[str] = []
            made = self._value(plugin, (key,), value, schema or {}, moved, where=where, what=f"{what}.{key}")
            name, became = f"{what}.{key}", f"plugins.{plugin}.config.{below}{key}"
            if made is None and value is not None:
                continue
            found[key] = made
            if moved:
                self.report.changed(where, name, became, self._why(moved))
            else:
                self.report.taken(where, name, became)
        return found

    def secret(self, plugin: str, key: str, value: str) -> str | None:
        """Put a secret into `.env`; returns the reference to it, or None where `.env` cannot hold its characters."""
        stem = re.sub(r"[^A-Za-z0-9]+", "_", f"{plugin}_{key}").upper().strip("_")
        stem = stem if not stem[:1].isdigit() else f"P_{stem}"
        name, number = stem, 2
        while {**self.there, **self.env}.get(name, value) != value:
            name, number = f"{stem}_{number}", number + 1
        if not _holds(name, value):
            return None
        if name not in self.there:
            self.env[name] = value
        return f"secret://env/{name}"

    def _why(self, moved: list[str]) -> str:
        kept = [name for name in dict.fromkeys(moved) if name in self.env or name in self.there]
        given = [name for name in dict.fromkeys(moved) if name not in kept]
        return "a secret: " + " and ".join(
            [*([f"its value is in {ENV} as {', '.join(kept)}"] if kept else []),
             *([f"read from the variable {', '.join(given)}"] if given else [])]
        )  # fmt: skip

    def lines(self) -> dict[str, str]:
        """`.env` as a file of the draft; nothing where there is no secret."""
        if not self.env:
            return {}
        return {ENV: "".join(f"{name}={dotenv.quoted(value)}\n" for name, value in self.env.items())}

    def _value(
        self,
        plugin: str,
        at: tuple[str | int, ...],
        value: Any,
        schema: Mapping[str, Any],
        moved: list[str],
        *,
        where: str,
        what: str,
    ) -> Any:
        more = {"where": where, "what": what}
        if isinstance(value, dict):
            return {key: self._value(plugin, (*at, key), one, schema, moved, **more) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(plugin, (*at, index), one, schema, moved, **more) for index, one in enumerate(value)]
        text = value if isinstance(value, str) else None
        if isinstance(value, int) and not isinstance(value, bool) and _PASSWORD.search(_last(at)):
            text = str(value)
        if text is None or not _hidden(at, text, schema, value):
            return plain(value) if isinstance(value, str) else value
        if is_reference(text) and _MARK.search(text):
            self.report.left(where, what, "it would be read as a reference to a secret of ours: set it by hand")
            return None
        reference = self._reference(plugin, at, text, schema, moved, **more)
        if reference is None:
            self.report.left(where, what, f"a secret with characters that {ENV} cannot hold: set it by hand")
        return reference

    def _reference(
        self,
        plugin: str,
        at: tuple[str | int, ...],
        text: str,
        schema: Mapping[str, Any],
        moved: list[str],
        *,
        where: str,
        what: str,
    ) -> str | None:
        """What stands for a secret text: a reference, or where it is made of variables too, the text with more of them.

        None where `.env` cannot hold it. `moved` is told the variables.
        """

        def put(secret: str, name: str | None) -> str | None:
            if name is None:
                kept = self.secret(plugin, "_".join(str(part) for part in at), secret)
                name = kept.rpartition("/")[2] if kept else None
            elif not self._default(name, secret):
                self.report.left(where, f"{what}: the default of ${{{name}}}", f"{ENV} has another value, or cannot")
            moved.extend([name] if name else [])
            return name

        alone = _MARK.fullmatch(text)
        if alone is not None:  # it is a variable already: its name is enough
            put(alone[1].removeprefix(alone[2]).removeprefix(":-"), alone[2])
            return f"secret://env/{alone[2]}"
        if _MARK.search(text) is not None:
            return clear.parted(plain(text), put, secret=_by_name(at, schema))
        name = put(text, None)
        return f"secret://env/{name}" if name else None

    def _default(self, name: str, default: str) -> bool:
        """A variable's default goes into `.env`, which the process environment lies over, as it did; or it is there."""
        if not default:
            return True
        before = {**self.env, **self.there}.get(name)
        if before is not None:
            return before == default
        if _holds(name, default):
            self.env[name] = default
        return name in self.env


def _holds(name: str, value: str) -> bool:
    """Whether `.env` gives back what is put into it."""
    try:
        return "\0" not in value and dotenv.parse(f"{name}={dotenv.quoted(value)}\n") == {name: value}
    except ValueError:
        return False


def _last(at: tuple[str | int, ...]) -> str:
    return next((part for part in reversed(at) if isinstance(part, str)), "")


def _hidden(at: tuple[str | int, ...], text: str, schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a text is a secret, by the plugin's word or by its name; has one in it; or looks like a reference."""
    if is_reference(text) or not isinstance(value, str):
        return True
    defaults = [found[1].partition(":-")[2] for found in _MARK.finditer(text)]
    bare = _MARK.sub("\ue001", text)
    if any(clear.in_address(one) for one in (bare, *defaults)):
        return True
    return bool(text) and bare.lower() not in names.WORDS and _by_name(at, schema)


def _by_name(at: tuple[str | int, ...], schema: Mapping[str, Any]) -> bool:
    """Whether whatever stands there is a secret."""
    nested: Any = "\ue001"
    for part in reversed(at):
        nested = [nested] if isinstance(part, int) else {part: nested}
    return any(names.inline("", nested, schema))


def known(plugin: str, variant: str | None = None) -> dict[str, Any]:
    """The settings of a plugin that the index knows, as a JSON Schema; {} for any other."""
    from dativo import errors
    from dativo.plugins.registry.index import shipped

    try:
        choice = shipped().choose(plugin, variant)
        entry = choice.catalogue.entry(choice.name, choice.variant, offline=True) if choice else None
    except errors.DativoError:
        return {}
    return dict(entry.settings) if entry else {}


def paths(config: Mapping[str, Any], above: str = "") -> list[str]:
    """The settings whose names say that they hold a path of this machine, and that do; dotted inside objects."""
    found: list[str] = []
    for key, value in config.items():
        if _is_path(key, value):
            found.append(above + key)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                found += paths(inner, f"{above}{key}.")
    return list(dict.fromkeys(found))


def rebased(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same settings with their relative paths made absolute, as seen from a folder."""

    def moved(key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return rebased(value, folder)
        if isinstance(value, list):
            return [moved(key, one) for one in value]
        return str(folder / value) if isinstance(value, str) and _is_path(key, value) else value

    return {key: moved(key, value) for key, value in config.items()}


def _is_path(key: str, value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return bool(
        _PATH_KEY.search(key) and texts and all(isinstance(one, str) and one and "://" not in one for one in texts)
    )
