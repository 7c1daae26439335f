"""What every backend is: a place where a name leads to a text or an object, and where it can be, compare-and-set."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.secrets import faults

TIMEOUT = 30.0
"""Seconds that a backend is given to answer, unless `secrets.timeout` says otherwise."""


@dataclass(frozen=True)
class Surroundings:
    """What a backend is made from: its own section of `secrets:` and where it is used."""

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    root: Path = field(default_factory=Path)
    """Where relative paths start."""
    variable: Callable[[str], str | None] = lambda _: None
    """Looks up an environment variable, or one of `.env`."""
    timeout: float = TIMEOUT

    def text(self, key: str, variable: str | None = None) -> str | None:
        """A setting, else a variable that the backend's own tools read as well."""
        value = self.settings.get(key)
        if value is None and variable is not None:
            return self.variable(variable) or None
        return None if value is None else str(value)


class Backend(ABC):
    """One backend, for one run: what it has read once it does not read again."""

    scheme: str

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self._read: dict[str, Any] = {}

    def read(self, name: str, key: str | None) -> Any:
        """The value: text, or what JSON can hold. ConfigError secret.unknown, EnvironmentFault secret.backend."""
        if name not in self._read:
            self._read[name] = self.content(name)
        return pick(self._read[name], key, self.called(name))

    @abstractmethod
    def content(self, name: str) -> Any:
        """All that stands under a name, as text or as an object."""

    def canonical(self, name: str) -> str:
        """The one spelling of a name that could be written in several ways; patterns of tenants are held against it."""
        return name

    def can_write(self, name: str) -> bool:
        """Whether `compare_and_set` works here."""
        return False

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Replace `old` by `new`; RunError secret.conflict when it is not `old` any more."""
        raise faults.failed(self.called(name), "this backend cannot be written")

    def forget(self, name: str) -> None:
        """Read it again the next time."""
        self._read.pop(name, None)

    def called(self, name: str) -> str:
        """How a secret is called in messages."""
        return f"{self.scheme}/{name}"


def pick(content: Any, key: str | None, what: str) -> Any:
    """The value of a key: of an object, or of a text that is JSON. Without a key, all of it."""
    if key is None:
        if isinstance(content, Mapping):
            if len(content) == 1:
                return next(iter(content.values()))
            raise errors.ConfigError(
                "secret.invalid", f"{what} has several keys", hint=f"choose one with #: {_listed(content)}"
            )
        return content
    data = content if isinstance(content, Mapping) else _object(content, what)
    if key in data:
        return data[key]
    at: Any = data
    for part in key.split("."):
        if not isinstance(at, Mapping) or part not in at:
            raise faults.unknown(what, f"it has no key {key}", f"it has {_listed(data)}")
        at = at[part]
    return at


def replaced(content: Any, key: str | None, old: Any, new: Any, what: str) -> Any:
    """The content with `new` in the place of `old`; secret.conflict when something else stands there."""
    try:
        now = pick(content, key, what)
    except errors.ConfigError:
        raise faults.changed(what) from None
    if now != old:
        raise faults.changed(what)
    if key is None:
        return {next(iter(content)): new} if isinstance(content, Mapping) else new
    if not isinstance(content, Mapping):
        return json.dumps(_with(_object(content, what), key, new), ensure_ascii=False)
    return _with(content, key, new)


def _with(data: Mapping[str, Any], key: str, new: Any) -> dict[str, Any]:
    if key in data or "." not in key:
        return {**data, key: new}
    head, _, rest = key.partition(".")
    return {**data, head: _with(data[head], rest, new)}


def _object(content: Any, what: str) -> Mapping[str, Any]:
    try:
        data = json.loads(content)
    except (ValueError, TypeError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise faults.unknown(what, "it is no JSON object, so it has no keys", "leave the # part out")
    return data


def _listed(data: Mapping[str, Any]) -> str:
    keys = sorted(map(str, data))
    return ", ".join(keys[:8]) + (" …" if len(keys) > 8 else "") if keys else "no keys"
