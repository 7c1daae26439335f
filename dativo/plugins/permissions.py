"""What a plugin asks for: the `sandbox`, `limits` and `env` of its manifest, as one thing to approve, hash and compare.

Nothing here is granted: `dativo.run.grants` makes grants of it for one run. Texts may hold `{config:KEY}`, which stands
for what a setting holds. The shape kept in dativo.lock is `block()`, canonical, so that equal wishes hash alike (I6).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.config import limits
from dativo.config.quantity import parse_size, size_text
from dativo.dataclass import dataclass

FROM_CONFIG = "config"
"""The network of a plugin without a `sandbox` block, and of one that asks for it: the hosts that its settings name."""
PROFILES = ("limits", "standard", "strict")
CONFIG_MODES = ("auto", "file", "memfd")
SHM = 64 << 20
TEMPLATE = re.compile(r"\{config:([A-Za-z0-9_.-]+)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GIVEN = re.compile(r"PATH|HOME|TMPDIR|IFS|(LD|DATIVO|PYTHON|BASH|GIT)_?.*")
"""Variables that every plugin gets from Dativo, or that would change what runs: never taken from a manifest."""


@dataclass(frozen=True)
class Permissions:
    """A manifest's wishes, checked. Limits are parsed values by the names of `dativo.config.limits`."""

    profile: str | None = None
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: str | tuple[str, ...] = FROM_CONFIG
    """`config`, `any`, or HOST:PORT entries; an empty tuple is no network."""
    unix: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config_mode: str = "auto"
    shm: int | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def block(self) -> dict[str, Any]:
        """As plain data for the lock file: sorted, what is not asked for left out, quantities as people write them."""
        lists = {key: sorted(set(getattr(self, key))) for key in ("read", "write", "unix", "env")}
        network = self.network if isinstance(self.network, str) else sorted(set(self.network))
        bounds = {key: limits.text(key, value) for key, value in sorted(self.limits.items())}
        shape: dict[str, Any] = {
            "profile": self.profile,
            **lists,
            "config_mode": None if self.config_mode == "auto" else self.config_mode,
            "shm": None if self.shm is None else size_text(self.shm),
            "limits": bounds,
        }
        return {**{key: value for key, value in sorted(shape.items()) if value}, "network": network}

    def digest(self) -> str:
        """What is approved, as a hash."""
        return digest(self.block())

    def words(self) -> list[str]:
        """What it asks for, in a few words: files, network, the rest."""
        files = [f"{kind}: {', '.join(found)}" for kind in ("read", "write") if (found := getattr(self, kind))]
        network = {"any": "any network", FROM_CONFIG: "network: hosts of its config"}.get(str(self.network))
        if network is None:
            network = f"network: {', '.join(self.network)}" if self.network else "no network"
        more = [f"{kind}: {', '.join(found)}" for kind in ("unix", "env") if (found := getattr(self, kind))]
        return ["  ".join(files) or "no files", network, "  ".join(more)]


def digest(block: Mapping[str, Any]) -> str:
    """The hash of a block."""
    text = json.dumps(block, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def from_manifest(manifest: Mapping[str, Any], name: str | None = None) -> Permissions:
    """What a manifest asks for. Raises `permissions.invalid` that names what cannot be meant."""
    return _Reader(name or str(manifest.get("name") or "the plugin")).read(manifest)


def from_block(block: Mapping[str, Any], name: str) -> Permissions:
    """What a lock file keeps as approved."""
    reader = _Reader(name)
    found = reader.sandbox({"network": FROM_CONFIG, **block})
    return Permissions(**found, env=reader.texts(block, "env"), limits=reader.limits(block.get("limits")))


class _Reader:
    """Lenient about what is missing and about other words, precise about what is wrong."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, manifest: Mapping[str, Any]) -> Permissions:
        bounds, env = self.limits(manifest.get("limits")), self._env(manifest)
        block = manifest.get("sandbox")
        if not isinstance(block, Mapping):
            return Permissions(env=env, limits=bounds)
        return Permissions(**self.sandbox(block), env=env, limits=bounds)

    def sandbox(self, block: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {key: self.texts(block, key) for key in ("read", "write", "unix")}
        for key, texts in found.items():
            for text in texts:
                self._template(f"sandbox.{key}", text)
        found["network"] = self._network(block.get("network"))
        found["profile"] = self._word(block, "profile", PROFILES)
        found["config_mode"] = self._word(block, "config_mode", CONFIG_MODES) or "auto"
        shm = block.get("shm")
        if shm is not None:
            try:
                found["shm"] = parse_size(shm)
            except ValueError as problem:
                raise self._wrong("sandbox.shm", str(problem)) from None
        return found

    def texts(self, block: Mapping[str, Any], key: str) -> tuple[str, ...]:
        given = block.get(key)
        items = [given] if isinstance(given, str) else [] if given is None else given
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            raise self._wrong(f"sandbox.{key}", "a list of texts is expected")
        found = tuple(dict.fromkeys(item.strip() for item in items if item.strip()))
        if any("\0" in item or "\n" in item for item in found):
            raise self._wrong(f"sandbox.{key}", "a text with a control character")
        return found

    def limits(self, given: Any) -> dict[str, Any]:
        if given is not None and not isinstance(given, Mapping):
            raise self._wrong("limits", "a mapping of keys is expected")
        found = {}
        for key, value in (given or {}).items():
            name = limits.named(str(key))
            if value is None or name not in limits.LIMITS:
                continue  # a newer plugin may know more
            try:
                found[name] = limits.parse(name, value)
            except ValueError as problem:
                raise self._wrong(f"limits.{key}", str(problem)) from None
        return found

    def _network(self, given: Any) -> str | tuple[str, ...]:
        if given is None or given is False or given == "none":
            return ()
        if given is True or given == "any":
            return "any"
        if given == FROM_CONFIG:
            return FROM_CONFIG
        for text in self.texts({"network": given}, "network"):
            self._template("sandbox.network", text)
            if not TEMPLATE.search(text) and not re.fullmatch(
                r"(\*\.)?[^*\s/:]+:\d{1,5}|\[[0-9a-fA-F:.]+\]:\d{1,5}", text
            ):
                raise self._wrong("sandbox.network", f"{text!r} is not HOST:PORT, *.DOMAIN:PORT or {{config:KEY}}")
        return self.texts({"network": given}, "network")

    def _template(self, where: str, text: str) -> None:
        rest = TEMPLATE.sub("", text)
        if "{" in rest or "}" in rest:
            raise self._wrong(where, f"{text!r} is no template: {{config:KEY}} is the only one")

    def _word(self, block: Mapping[str, Any], key: str, words: tuple[str, ...]) -> str | None:
        given = block.get(key)
        if given is None or given in words:
            return given
        raise self._wrong(f"sandbox.{key}", f"one of {', '.join(words)} is expected")

    def _env(self, manifest: Mapping[str, Any]) -> tuple[str, ...]:
        """The variables beyond its settings: TARGET_X_PATH is the setting `path`, and arrives in its config."""
        settings = manifest.get("settings")
        described = settings.get("properties") if isinstance(settings, Mapping) else None
        prefix = str(manifest.get("name") or self.name).upper().replace("-", "_") + "_"
        own = {prefix + str(key).upper().replace("-", "_") for key in described or ()}
        names = self.texts({"env": manifest.get("env")}, "env")
        wrong = next((name for name in names if not _VARIABLE.fullmatch(name)), None)
        if wrong is not None:
            raise self._wrong("env", f"{wrong!r} cannot be an environment variable")
        return tuple(name for name in names if name not in own and not _GIVEN.fullmatch(name))

    def _wrong(self, where: str, what: str) -> errors.ConfigError:
        return errors.ConfigError(
            "permissions.invalid",
            f"{self.name}'s manifest: {where}: {what}",
            hint="report it to the plugin's author",
            context={"plugin": self.name},
        )


# -- comparing


def difference(old: Permissions, new: Permissions) -> list[str]:
    """How `new` differs from `old`, a line each: `+` is more, `-` is less."""
    return [*_more(old, new, "+"), *_more(new, old, "-")]


def asks_more(old: Permissions, new: Permissions) -> list[str]:
    """The difference if `new` asks for anything that `old` does not hold, else nothing."""
    return difference(old, new) if any(_more(old, new, "+")) else []


def _more(old: Permissions, new: Permissions, sign: str) -> list[str]:
    lines = []
    if _rank(new.profile) < _rank(old.profile):
        lines.append(f"{sign} profile  {new.profile or 'standard'} (was {old.profile})")
    for kind, held in (("read", (*old.read, *old.write)), ("write", old.write), ("unix", old.unix)):
        lines += [
            f"{sign} {kind}  {text}" for text in getattr(new, kind) if not any(_within(text, one) for one in held)
        ]
    lines += [f"{sign} reach  {text}" for text in _hosts(new.network) if not _reached(text, old.network)]
    lines += [f"{sign} env  {name}" for name in new.env if name not in old.env]
    if (new.shm or SHM) > (old.shm or SHM):
        lines.append(f"{sign} shm  {size_text(new.shm or SHM)}")
    for key in sorted({*old.limits, *new.limits}):
        one, other = (_bound(side, key) for side in (new, old))
        if limits.exceeds(key, one, other):
            lines.append(f"{sign} {key}  {limits.text(key, one)} (was {limits.text(key, other)})")
    return lines


def _rank(profile: str | None) -> int:
    return PROFILES.index(profile or "standard") or 1  # a manifest cannot go below standard


def _within(text: str, held: str) -> bool:
    """Whether a path lies in another one: the same, or below it without stepping back."""
    return text == held or (text.startswith(held.rstrip("/") + "/") and ".." not in text[len(held) :].split("/"))


def _hosts(network: str | tuple[str, ...]) -> tuple[str, ...]:
    return {"any": ("any host",), FROM_CONFIG: ("the hosts of its config",)}.get(str(network), ()) or tuple(
        network if isinstance(network, tuple) else ()
    )


def _reached(text: str, held: str | tuple[str, ...]) -> bool:
    if held == "any" or text in _hosts(held):
        return True
    if held == FROM_CONFIG:
        return bool(TEMPLATE.match(text)) and TEMPLATE.sub("", text) in ("", ":")
    host, _, port = text.rpartition(":")
    wild = (one.rpartition(":") for one in held if one.startswith("*."))
    return any(host.endswith(domain[1:]) and port == there for domain, _, there in wild)


def _bound(permissions: Permissions, key: str) -> Any:
    return permissions.limits[key] if key in permissions.limits else limits.default(key)
