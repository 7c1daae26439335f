"""The network of one plugin: its manifest's entries, what its settings name, and what the project's owner adds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dativo import errors
from dativo.config.specs import PluginSpec
from dativo.plugins.permissions import FROM_CONFIG, TEMPLATE, Permissions
from dativo.run import inference
from dativo.run.templates import expanded

CONFIG, MANIFEST = "from its config", "from its manifest"
Network = str | tuple[str, ...]
"""none, any, or HOST:PORT entries."""


class Reach:
    """What a plugin called `name` with these settings may reach. `note` is told whose word each host is."""

    def __init__(
        self, name: str, config: Mapping[str, Any], file: str, note: Callable[[Iterable[str], str], None]
    ) -> None:
        self.name, self._config, self._file, self._note = name, config, file, note

    def of(self, wanted: Permissions, spec: PluginSpec) -> Network:
        """The manifest's hosts with the owner's; `none` and `any` are words that end the matter."""
        own = spec.sandbox.get("network")
        if own in ("none", False):
            return "none"
        if wanted.network == "any" or own in ("any", True):
            self._note(["any"], MANIFEST if wanted.network == "any" else self._file)
            return "any"
        found = self._wanted(wanted.network) + self._proxies(wanted, spec)
        for text in own or ():
            hosts = self.hosts(text)
            self._note(hosts, self._file)
            found += hosts
        return tuple(dict.fromkeys(found))

    def _wanted(self, network: str | Sequence[str]) -> list[str]:
        if network == FROM_CONFIG:
            found = [one for one in inference.hosts(self._config, self.name) if not one.startswith("/")]
            self._note(found, CONFIG)
            return found
        found = []
        for text in network:
            hosts = self.hosts(text)
            self._note(hosts, CONFIG if TEMPLATE.search(text) else MANIFEST)
            found += hosts
        return found

    def hosts(self, text: str) -> list[str]:
        """The `HOST:PORT`s that an entry stands for; a port that no setting holds is the one the name suggests."""
        fallback = inference.default_port(self.name)
        ported = re.fullmatch(r"(.*\{config:[^}]+\}.*):(\{config:[^}]+\}|\d+)", text)
        if ported is None:
            return [host for one in expanded(text, self._config) for host in self._addresses(one, text, fallback)]
        ports = [int(port) for port in expanded(ported[2], self._config) if port.isdigit()] or [fallback]
        names = expanded(ported[1], self._config)
        return [host for one in names for port in ports for host in self._addresses(one, text, port)]

    def _addresses(self, text: str, shown: str, port: int) -> list[str]:
        if "://" in text or "=" in text:
            return inference.of_url(text, port)
        if text.startswith("/"):
            return []  # a socket's folder, as libpq takes it
        parts = [part.strip() for part in text.split(",") if part.strip()]
        found = [inference.address(part, port) for part in parts]
        if None in found:
            raise errors.ConfigError(
                "permissions.invalid",
                f"{self.name}: {shown} does not stand for a HOST:PORT",
                hint="as in db.internal:5432, *.example.com:443 or [::1]:5432",
                context={"plugin": self.name},
            )
        return [one for one in found if one is not None]

    def _proxies(self, wanted: Permissions, spec: PluginSpec) -> list[str]:
        """A proxy that the plugin's environment names is a host that it must reach."""
        names = {*spec.pass_env, *wanted.env, *(spec.sandbox.get("env") or ())}
        values = {**{name: os.environ.get(name, "") for name in sorted(names)}, **spec.env}
        proxies = [text for name, text in values.items() if name.lower() in ("http_proxy", "https_proxy", "all_proxy")]
        found = [host for text in proxies for host in inference.of_url(text, 8080)]
        self._note(found, "the proxy")
        return found
