"""Reads the references of a config, once in a run, right before a plugin starts; each value is hidden from then on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import field
from importlib import import_module
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.secrets.backend import TIMEOUT, Backend, Surroundings
from dativo.secrets.redact import REDACTOR, Redactor
from dativo.secrets.reference import Path as Place
from dativo.secrets.reference import Reference, found, is_reference, named, parse
from dativo.secrets.tenants import Tenants

KINDS = {
    "env": "env:Env",
    "file": "file:File",
    "keyring": "system:Keyring",
    "vault": "vault:Vault",
    "aws": "aws:Aws",
    "gcp": "gcp:Gcp",
    "azure": "azure:Azure",
    "exec": "command:Exec",
}


@dataclass(frozen=True)
class Resolved:
    """A config with its values, and which of them came from where."""

    config: dict[str, Any] = field(repr=False)
    origins: dict[Place, Reference]


class Resolver:
    """The secrets of one run: settings of the backends, the job's tenant, what was read so far."""

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        root: Path | None = None,
        tenant: str | None = None,
        variable: Callable[[str], str | None] = lambda _: None,
        redactor: Redactor = REDACTOR,
    ) -> None:
        self._settings = dict(settings or {})
        self._root = root or Path()
        self._variable = variable
        self.redactor = redactor
        self._tenants = Tenants(self._settings.get("tenants"), tenant)
        self._backends: dict[str, Backend] = {}
        self._opening: list[str] = []
        auth = (self._settings.get("vault") or {}).get("auth") or {}
        for text in (auth.get("token"), auth.get("secret_id")):
            if text and not is_reference(text):
                self.redactor.add(text)

    def check(self, config: Any, what: str = "") -> dict[Place, Reference]:
        """Every reference in a config, well formed and this tenant's own; nothing is read."""
        return {at: self.checked(text, _where(what, at)) for at, text in found(config)}

    def checked(self, text: str, where: str) -> Reference:
        """A reference that this job may name."""
        reference = parse(text, where)
        if self._tenants.patterns is not None:
            self._tenants.check(reference.backend, self._unopened(reference.backend).canonical(reference.name), where)
        return reference

    def resolve(self, config: Mapping[str, Any], what: str = "") -> Resolved:
        """The config with every reference replaced by its value. A value is never looked at for references again."""
        whole, origins = copy.deepcopy(dict(config)), self.check(config, what)
        for at, reference in origins.items():
            put(whole, at, self.value(reference, _where(what, at)))
        return Resolved(whole, origins)

    def value(self, reference: Reference, where: str = "") -> Any:
        """The value of a reference that was checked; hidden from now on."""
        try:
            value = self.backend(reference.backend).read(reference.name, reference.key)
        except errors.DativoError as problem:
            if where:
                problem.message = f"{where}: {problem.message}"
            raise
        self.redactor.add(value, referenced=True)
        return copy.deepcopy(value)

    def replace(self, reference: Reference, old: Any, new: Any) -> None:
        """Compare-and-set in the backend; the new value is hidden first."""
        self.redactor.add(new, referenced=True)
        backend = self.backend(reference.backend)
        backend.compare_and_set(reference.name, reference.key, old, new)
        backend.forget(reference.name)

    def can_replace(self, reference: Reference) -> bool:
        """Whether the backend can do that for this secret."""
        return self.backend(reference.backend).can_write(reference.name)

    def identity(self, reference: Reference) -> str:
        """The one name of what a reference means, however it is written."""
        name = self.backend(reference.backend).canonical(reference.name)
        return f"{reference.backend}/{name}#{reference.key or ''}"

    def backend(self, name: str) -> Backend:
        """A backend, made once. Its own settings may be references to other backends."""
        if name not in self._backends:
            if name in self._opening:
                chain = " > ".join([*self._opening, name])
                raise errors.ConfigError("secret.invalid", f"secrets.{name} needs itself ({chain})")
            self._opening.append(name)
            try:
                self._backends[name] = self._made(name)
            finally:
                self._opening.pop()
        return self._backends[name]

    def _made(self, name: str) -> Backend:
        section = copy.deepcopy(dict(self._settings.get(name) or {}))
        # The operator's own settings belong to no tenant.
        for at, text in [] if name == "exec" else list(found(section)):
            reference = parse(text, _where(f"secrets.{name}", at))
            put(section, at, self.value(reference, _where(f"secrets.{name}", at)))
        return self._of_kind(name, section)

    def _unopened(self, name: str) -> Backend:
        """A backend that can tell how a name is spelt, and nothing else."""
        return self._backends.get(name) or self._of_kind(name, dict(self._settings.get(name) or {}))

    def _of_kind(self, name: str, section: Mapping[str, Any]) -> Backend:
        module, _, kind = KINDS[name].partition(":")
        around = Surroundings(section, self._root, self._variable, float(self._settings.get("timeout") or TIMEOUT))
        made = getattr(import_module(f"dativo.secrets.{module}"), kind)(around)
        assert isinstance(made, Backend)
        return made


def put(config: Any, at: Place, value: Any) -> None:
    """Set the value at a place that exists."""
    for part in at[:-1]:
        config = config[part]
    config[at[-1]] = value


def get(config: Any, at: Place) -> Any:
    """The value at a place, None when there is no such place."""
    for part in at:
        try:
            config = config[part]
        except (KeyError, IndexError, TypeError):
            return None
    return config


def _where(what: str, at: Place) -> str:
    return f"{what}: {named(at)}" if what and at else what or named(at)
