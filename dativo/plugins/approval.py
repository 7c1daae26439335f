"""A plugin that asks for more than was approved is stopped: the difference is shown, nothing changes until approved.

What an upgrade would need is noted (data_dir()/approvals), so that `dativo allow NAME --approve` can agree to it before
`dativo add` or `dativo sync` is run again. What is approved stands in dativo.lock, readable and as a hash (I6).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.config import atomic
from dativo.config.paths import data_dir
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins import lockfile, permissions
from dativo.plugins.lockfile import Lock, LockedPlugin
from dativo.plugins.permissions import Permissions

if TYPE_CHECKING:
    from dativo.plugins.installed import Installed


@dataclass(frozen=True)
class Change:
    """One installed plugin and its manifest; `fresh` is False when its environment was there already."""

    plugin: LockedPlugin
    manifest: dict[str, Any]
    fresh: bool


def asking(plugin: LockedPlugin, manifest: dict[str, Any]) -> LockedPlugin:
    """The lock entry with what the manifest asks for as approved; `check` decides whether it is."""
    wanted = permissions.from_manifest(manifest, plugin.name)
    return replace(plugin, permissions=wanted.digest(), sandbox=wanted.block())


def approved(plugin: LockedPlugin) -> Permissions:
    """What a lock entry holds as approved: of an entry from before there were permissions, nothing."""
    return permissions.from_block(plugin.sandbox, plugin.name)


def check(project: Project, changes: Sequence[Change], lock: Lock, *, approve: bool) -> Sequence[Change]:
    """Raise `permissions.more` if any change asks for more than the lock holds for its name. A new name is approved."""
    stopped = []
    for change in changes:
        plugin, before = change.plugin, lock.plugins.get(change.plugin.name)
        if before is None or approve or before.permissions == plugin.permissions or _agreed(project, plugin):
            continue
        lines = permissions.asks_more(approved(before), approved(plugin))
        if lines:
            stopped.append((plugin, lines))
            _note(project, plugin, agreed=False)
    if stopped:
        raise _more(stopped)
    for change in changes:
        _path(project, change.plugin.name).unlink(missing_ok=True)
    return changes


def _more(stopped: Sequence[tuple[LockedPlugin, Sequence[str]]]) -> errors.ConfigError:
    first = stopped[0][0]
    named = ", ".join(f"{plugin.name} {plugin.version}" for plugin, _ in stopped)
    heads = [(f"{plugin.name}:",) if len(stopped) > 1 else () for plugin, _ in stopped]
    details = [line for head, (_, lines) in zip(heads, stopped, strict=True) for line in (*head, *lines)]
    word = "asks" if len(stopped) == 1 else "ask"
    return errors.ConfigError(
        "permissions.more",
        f"{named} {word} for more than was approved; nothing was changed",
        hint=f"if that is fine: the same again with --approve, or dativo allow {first.name} --approve",
        details=tuple(details),
        context={"plugin": first.name, "difference": {plugin.name: list(lines) for plugin, lines in stopped}},
    )


def require(plugin: Installed, project: Project) -> None:
    """Before a run: the manifest that is here must be the one that was approved."""
    wanted = plugin.permissions
    if wanted.digest() == plugin.approved:
        return
    locked = lockfile.headers(project.lock_file).plugins.get(plugin.name)
    held = approved(locked) if locked is not None else Permissions()
    raise errors.ConfigError(
        "permissions.more",
        f"{plugin.name}'s manifest is not the one that was approved",
        hint=f"if that is fine: dativo allow {plugin.name} --approve",
        details=tuple(permissions.difference(held, wanted)),
        context={"plugin": plugin.name},
    )


def approve(project: Project, plugin: Installed) -> list[str]:
    """Agree to the upgrade that was stopped, else to the manifest that is installed. Returns what was agreed to."""
    waiting = _read(project, plugin.name)
    if waiting is not None and not waiting["agreed"]:
        block = dict(waiting["block"])
        _write(project, plugin.name, block, agreed=True)
        held = permissions.from_manifest(plugin.manifest, plugin.name)
        return permissions.difference(held, permissions.from_block(block, plugin.name))
    with atomic.editing(project.lock_file):
        lock = lockfile.read(project.lock_file)
        before = lock.plugins[plugin.name]
        after = asking(before, plugin.manifest)
        if after == before:
            return []
        lockfile.write(project.lock_file, lock.having([after]))
    return permissions.difference(approved(before), approved(after))


def waits(project: Project, name: str) -> bool:
    """Whether `approve` agreed to an upgrade that is still to be installed."""
    return bool((_read(project, name) or {}).get("agreed"))


def _agreed(project: Project, plugin: LockedPlugin) -> bool:
    found = _read(project, plugin.name)
    return found is not None and found["agreed"] is True and found["hash"] == plugin.permissions


def _note(project: Project, plugin: LockedPlugin, *, agreed: bool) -> None:
    _write(project, plugin.name, plugin.sandbox, agreed=agreed)


def _write(project: Project, name: str, block: dict[str, Any], *, agreed: bool) -> None:
    path = _path(project, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    atomic.write(path, json.dumps({"hash": permissions.digest(block), "block": block, "agreed": agreed}))


def _read(project: Project, name: str) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        found = json.loads(_path(project, name).read_bytes())
        if isinstance(found, dict) and found.keys() >= {"hash", "block", "agreed"}:
            return found
    return None


def _path(project: Project, name: str) -> Path:
    key = hashlib.sha256(os.fsencode(project.lock_file.absolute()) + b"\0" + name.encode()).hexdigest()[:24]
    return data_dir() / "approvals" / f"{key}.json"
