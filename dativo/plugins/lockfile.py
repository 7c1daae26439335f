"""dativo.lock: every plugin with the version and hashes of every package in it. Written by one writer, byte for byte.

A run needs only the headers, not thousands of hashes, so they are kept parsed in the cache under the file's own hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.paths import cache_dir
from dativo.dataclass import dataclass
from dativo.plugins import firstparty, permissions

VERSION = 1
SINGER, NATIVE = "singer", "native"
_TUPLES = ("capabilities", "constraints")
HEADER = "# Written by `dativo add` and `dativo sync`. Keep it in version control; do not edit it.\n"


@dataclass(frozen=True)
class LockedPackage:
    """One package of a plugin's environment. `built` names where a wheel that is on no index was built from."""

    name: str
    version: str
    hashes: tuple[str, ...]
    built: str | None = None
    """`path:./folder`, `manifest:./file.yaml`, `checkout:taps/tap-csv` or `git:URL@commit#folder`; None: the index."""


@dataclass(frozen=True)
class LockedPlugin:
    """One plugin. `requirement` is what to resolve again; `digest` names its environment (or hashes its script)."""

    name: str
    kind: str
    variant: str | None
    source: str
    requirement: str
    with_: tuple[str, ...]
    python: str | None
    distribution: str | None
    version: str
    executable: str
    digest: str
    capabilities: tuple[str, ...] = ()
    permissions: str | None = None
    """The hash of `sandbox`: what was approved (I6)."""
    sandbox: dict[str, Any] = field(default_factory=dict, repr=False)
    """The approved permissions, readable: `Permissions.block()`."""
    packages: tuple[LockedPackage, ...] = field(default=(), repr=False)
    engine: str = SINGER
    """What it speaks, and so how it is started: one of the registry's engines. Written where it is not Singer."""
    constraints: tuple[str, ...] = ()
    """Bounds of packages that nobody asked for by name: one that is not needed is not installed."""

    @property
    def packaged(self) -> bool:
        """Whether it is made of packages, in an environment: not a script, not an image."""
        return self.source not in ("script", "docker")

    @property
    def environment(self) -> str:
        """The name of its environment under data_dir()/envs."""
        return f"{self.name}-{self.digest.partition(':')[2][:12]}"

    def shown(self) -> dict[str, Any]:
        """What is told of it wherever it is told as JSON."""
        names = ("name", "kind", "version", "variant", "engine", "source", "requirement", "digest")
        return {**{name: getattr(self, name) for name in names}, "capabilities": list(self.capabilities)}

    def with_digest(self) -> LockedPlugin:
        """With the digest of everything that decides what gets installed."""
        parts = [f"{VERSION}", self.python or "", self.distribution or ""]
        for package in sorted(self.packages, key=lambda item: item.name):
            parts.append(f"{package.name}=={package.version} {' '.join(sorted(package.hashes))}")
        return replace(self, digest="sha256:" + hashlib.sha256("\n".join(parts).encode()).hexdigest())


@dataclass(frozen=True)
class Lock:
    """The plugins of a lock file, by name."""

    plugins: dict[str, LockedPlugin] = field(default_factory=dict)

    def having(self, plugins: Iterable[LockedPlugin]) -> Lock:
        """With these plugins added or replaced."""
        return Lock({**self.plugins, **{plugin.name: plugin for plugin in plugins}})

    def without(self, names: Iterable[str]) -> Lock:
        """Without these plugins."""
        gone = set(names)
        return Lock({name: plugin for name, plugin in self.plugins.items() if name not in gone})


def read(path: Path) -> Lock:
    """The whole lock file; an empty one when there is none."""
    raw = _bytes(path)
    return _parse(raw, path) if raw else Lock()


def headers(path: Path) -> Lock:
    """The lock without its packages, from the cache when this very file has been parsed before."""
    raw = _bytes(path)
    if not raw:
        return Lock()
    cached: Path | None = None
    with suppress(OSError, ValueError, TypeError, KeyError, errors.DativoError):
        cached = cache_dir() / "headers" / f"{hashlib.sha256(raw).hexdigest()}.json"
        return Lock({item["name"]: _thawed(item) for item in json.loads(cached.read_bytes())})
    lock = _parse(raw, path)
    if cached is not None:
        _cache(cached, lock)
    return Lock({name: replace(plugin, packages=()) for name, plugin in lock.plugins.items()})


def write(path: Path, lock: Lock) -> None:
    """Replace the lock file atomically."""
    atomic.write(path, render(lock))


def render(lock: Lock) -> str:
    """The file's text: sorted, one hash a line, so that a change reads well in a diff."""
    parts = [HEADER, f"version = {VERSION}\n"]
    for name in sorted(lock.plugins):
        plugin = lock.plugins[name]
        parts.append("\n[[plugin]]\n")
        for key, value in _fields(plugin).items():
            if value not in (None, ()) and (key, value) != ("engine", SINGER):
                parts.append(f"{key} = {_toml(value)}\n")
        parts += _table("plugin.sandbox", plugin.sandbox)
        for package in sorted(plugin.packages, key=lambda item: item.name):
            parts.append(f"\n[[plugin.package]]\nname = {_toml(package.name)}\nversion = {_toml(package.version)}\n")
            if package.built:
                parts.append(f"built = {_toml(package.built)}\n")
            hashes = "".join(f"    {_toml(item)},\n" for item in sorted(package.hashes))
            parts.append(f"hashes = [\n{hashes}]\n")
    return "".join(parts)


def _fields(plugin: LockedPlugin) -> dict[str, Any]:
    values = {key: value for key, value in vars(plugin).items() if key not in ("packages", "sandbox")}
    return {("with" if key == "with_" else key): value for key, value in values.items()}


def _table(name: str, values: dict[str, Any]) -> list[str]:
    """A mapping as a table, mappings in it as tables below it."""
    if not values:
        return []
    plain = {key: value for key, value in sorted(values.items()) if not isinstance(value, dict)}
    lines = [f"\n[{name}]\n", *(f"{key} = {_toml(value)}\n" for key, value in plain.items())]
    for key in sorted(values.keys() - plain.keys()):
        lines += _table(f"{name}.{key}", values[key])
    return lines


def _toml(value: str | tuple[str, ...] | list[str]) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)  # a JSON string is a TOML basic string, DEL aside, which no field can hold


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as problem:
        raise errors.EnvironmentFault("lock.invalid", f"{path} cannot be read: {problem.strerror}") from problem


def _parse(raw: bytes, path: Path) -> Lock:
    import tomllib

    try:
        data = tomllib.loads(raw.decode())
        if data.get("version") != VERSION:
            raise errors.EnvironmentFault(
                "lock.invalid",
                f"{path.name} has format {data.get('version')}, not {VERSION}",
                hint="use a newer Dativo",
            )
        plugins = [_plugin(item) for item in data.get("plugin", [])]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise errors.EnvironmentFault("lock.invalid", f"{path.name} is not TOML: {problem}") from problem
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise errors.EnvironmentFault("lock.invalid", f"{path.name}: {problem} is missing or wrong") from problem
    return Lock({plugin.name: plugin for plugin in plugins})


def _plugin(item: dict[str, Any]) -> LockedPlugin:
    packages = tuple(
        LockedPackage(str(one["name"]), str(one["version"]), tuple(map(str, one["hashes"])), one.get("built"))
        for one in item.get("package", [])
    )
    values = {key: value for key, value in item.items() if key not in ("package", "with", *_TUPLES)}
    defaults: dict[str, Any] = {"variant": None, "python": None, "distribution": None}
    defaults["engine"] = told_engine(item.get("distribution"))
    plugin = LockedPlugin(
        **{**defaults, **values},
        with_=tuple(map(str, item.get("with", ()))),
        capabilities=tuple(map(str, item.get("capabilities", ()))),
        constraints=tuple(map(str, item.get("constraints", ()))),
        packages=packages,
    )
    if plugin.sandbox and permissions.digest(plugin.sandbox) != plugin.permissions:
        raise ValueError(f"{plugin.name}: the hash of its permissions")
    if plugin.packages and plugin.with_digest().digest != plugin.digest:  # I7: it names what is installed
        raise ValueError(f"{plugin.name}: the digest of its packages")
    # I12: the name and the digest become a path, the executable is joined to one
    for value in (plugin.name, plugin.digest.replace(":", ".", 1)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}", value):
            raise ValueError(repr(value))
    if plugin.source != "script" and Path(plugin.executable).name != plugin.executable:
        raise ValueError(repr(plugin.executable))
    return plugin


def told_engine(distribution: str | None) -> str:
    """The engine of a package of which nobody said one, as in locks from before there were engines."""
    return NATIVE if distribution in firstparty.FOLDERS else SINGER


def _thawed(item: dict[str, Any]) -> LockedPlugin:
    tuples = {key: tuple(item[key]) for key in ("with_", *_TUPLES)}
    return LockedPlugin(**{**item, **tuples, "packages": ()})


def _cache(path: Path, lock: Lock) -> None:
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        shown = [{**asdict(replace(plugin, packages=())), "packages": []} for plugin in lock.plugins.values()]
        temporary.write_text(json.dumps(shown), encoding="utf-8")
        temporary.replace(path)
