"""The plugins that are locked and installed. This is what a run reads: the lock's headers and one manifest each."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.project import Project
from dativo.config.specs import AIRBYTE, bare
from dativo.dataclass import dataclass
from dativo.plugins import airbyte, environment, lockfile, permissions
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.permissions import Permissions


@dataclass(frozen=True)
class Installed:
    """A plugin ready to start."""

    name: str
    kind: str
    version: str
    executable: Path
    env_dir: Path | None
    digest: str
    manifest: dict[str, Any] = field(repr=False)
    source: str
    variant: str | None = None
    approved: str | None = None
    """The hash of the permissions that dativo.lock holds as approved."""
    engine: str = lockfile.SINGER
    distribution: str | None = None
    """Its package; None for a script."""

    @property
    def origin(self) -> str:
        """What it is, whatever it is called here: whose bookmarks it can read."""
        return f"{self.distribution or self.name} ({self.engine})"

    @cached_property
    def permissions(self) -> Permissions:
        """What its manifest asks for."""
        return permissions.from_manifest(self.manifest, self.name)

    @property
    def settings_schema(self) -> dict[str, Any]:
        """The JSON Schema of its settings; {} when it told none."""
        found = self.manifest.get("settings")
        return found if isinstance(found, dict) else {}

    @property
    def capabilities(self) -> frozenset[str]:
        """What it says it can do."""
        return frozenset(self.manifest.get("capabilities", ()))


def installed(project: Project, name: str) -> Installed:
    """One plugin, or `plugin.unknown` with the nearest name, `plugin.not_installed`, `plugin.tampered`."""
    lock = lockfile.headers(project.lock_file)
    plugin = lock.plugins.get(bare(name))
    if plugin is None or (name.startswith(AIRBYTE) and plugin.engine != airbyte.ENGINE):
        raise unknown(project, name, lock)
    found = _ready(project, plugin)
    if found.env_dir is not None and not environment.untouched(plugin):  # I7, before anything of it is started
        changed = environment.changed_files(plugin)
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        raise errors.EnvironmentFault(
            "plugin.tampered",
            f"{plugin.name}: installed files are not what was installed: {shown}",
        )
    return found


def all_installed(project: Project) -> list[Installed]:
    """Every plugin of the lock that is installed, by name; those that need `dativo sync` are left out."""
    found = []
    for _, plugin in sorted(lockfile.headers(project.lock_file).plugins.items()):
        try:
            found.append(_ready(project, plugin))
        except errors.EnvironmentFault:
            continue
    return found


def unknown(project: Project, name: str, lock: lockfile.Lock | None = None) -> errors.ConfigError:
    """The error for a name that is not locked, with the plugin that was probably meant."""
    if name.startswith(AIRBYTE):
        return errors.ConfigError("plugin.unknown", f"no plugin {bare(name)}", hint=f"install it: dativo add {name}")
    lock = lockfile.headers(project.lock_file) if lock is None else lock
    for plugin in lock.plugins.values():
        if name in (plugin.distribution, f"{plugin.variant}-{plugin.name}"):
            return errors.ConfigError("plugin.unknown", f"no plugin {name}", hint=f"it is called {plugin.name} here")
    if project.file and name in project.plugins():
        message = f"{name} is in {project.settings_file.name}, but was never installed"
        return errors.ConfigError("plugin.unknown", message, hint="install it: dativo sync")
    import difflib

    near = difflib.get_close_matches(name, lock.plugins, n=1)
    if near:
        return errors.ConfigError(
            "plugin.unknown", f"no plugin {name}", hint=f"did you mean {near[0]}? Else: dativo add {name}"
        )
    if project.file and name in _of_user(project):
        message = f"{name} is installed for you, but not in this project"
        return errors.ConfigError("plugin.unknown", message, hint=f"add it here: dativo add {name}")
    return errors.ConfigError("plugin.unknown", f"no plugin {name}", hint=f"install it: dativo add {name}")


def _of_user(project: Project) -> dict[str, LockedPlugin]:
    try:
        return lockfile.headers(Project(project.root, None).lock_file).plugins
    except errors.DativoError:
        return {}


def script_path(project: Project, plugin: LockedPlugin) -> Path:
    """The absolute path of a script plugin."""
    return (project.root / plugin.executable).resolve()


def script_digest(path: Path) -> str | None:
    """The hash a script is locked by; None when it is not there."""
    try:
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _ready(project: Project, plugin: LockedPlugin) -> Installed:
    if plugin.source == "script":
        path = script_path(project, plugin)
        found = script_digest(path)
        if found is None:
            raise errors.EnvironmentFault(
                "plugin.not_installed",
                f"{plugin.name}: {path} is gone",
                hint=f"restore it, or dativo remove {plugin.name}",
            )
        if found != plugin.digest:  # I7
            raise errors.EnvironmentFault(
                "plugin.tampered", f"{plugin.name}: {path} is not the script that was locked",
                hint=f"if the change is yours: dativo add {plugin.executable} --as {plugin.name} --kind {plugin.kind}",
            )  # fmt: skip
        return _installed(plugin, path, None, read_manifest(script_manifest(path, plugin.digest), plugin))
    if plugin.source == "docker":
        kept = script_manifest(Path(plugin.digest), plugin.digest)
        if not kept.is_file():
            raise errors.EnvironmentFault(
                "plugin.not_installed", f"{plugin.name} {plugin.version} is locked but was never started here"
            )
        return _installed(plugin, Path(sys.executable), None, read_manifest(kept, plugin))
    if not environment.ready(plugin):
        raise errors.EnvironmentFault(
            "plugin.not_installed", f"{plugin.name} {plugin.version} is locked but not installed"
        )
    home = environment.folder(plugin)
    manifest = read_manifest(home / environment.MANIFEST, plugin)
    return _installed(plugin, home / "bin" / plugin.executable, home, manifest)


def script_manifest(path: Path, digest: str) -> Path:
    """Where a script's probed manifest is kept."""
    from dativo.config.paths import data_dir

    return data_dir() / "scripts" / f"{hashlib.sha256(f'{path}{digest}'.encode()).hexdigest()[:24]}.json"


def read_manifest(path: Path, plugin: LockedPlugin) -> dict[str, Any]:
    """The probed manifest; what the lock knows when it was never probed here."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        data = None
    if isinstance(data, dict):
        return data
    return {"name": plugin.name, "kind": plugin.kind, "capabilities": list(plugin.capabilities)}


def _installed(plugin: LockedPlugin, executable: Path, home: Path | None, manifest: dict[str, Any]) -> Installed:
    return Installed(
        name=plugin.name,
        kind=plugin.kind,
        version=plugin.version,
        executable=executable,
        env_dir=home,
        digest=plugin.digest,
        manifest=manifest,
        source=plugin.source,
        variant=plugin.variant,
        approved=plugin.permissions,
        engine=plugin.engine,
        distribution=plugin.distribution,
    )
