"""What newer versions there are, and what taking them would change: packages, settings, capabilities, permissions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dativo import errors
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins import approval, environment, lockfile, permissions, work
from dativo.plugins.approval import Change
from dativo.plugins.install import WORKERS, Prober, Say, Session, made_ready, record, require_writable, undone
from dativo.plugins.installed import read_manifest, unknown
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.requirement import Request, Wanted, from_declaration, understand
from dativo.plugins.resolve import latest, resolve


@dataclass(frozen=True)
class Newer:
    """What would be installed today. `latest` is the index's newest, whatever the requirement says."""

    plugin: LockedPlugin
    version: str
    packages: tuple[tuple[str, str | None, str | None], ...]
    """Name, version now, version then; None: not there."""
    latest: str | None = None

    @property
    def differs(self) -> bool:
        """Whether an upgrade would change anything."""
        return self.version != self.plugin.version or bool(self.packages)


@dataclass(frozen=True)
class Upgrade:
    """One plugin before and after. Lines begin with + (new), - (gone) or ~ (changed)."""

    before: LockedPlugin
    after: LockedPlugin
    packages: tuple[tuple[str, str | None, str | None], ...]
    settings: tuple[str, ...]
    capabilities: tuple[str, ...]
    permissions: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether it is another environment."""
        return self.before.digest != self.after.digest


def outdated(project: Project, *, probe: Prober, say: Say = lambda _: None) -> list[Newer]:
    """Resolve every plugin that comes from an index again and compare. Scripts, folders and commits are left out."""
    lock = lockfile.read(project.lock_file)
    plugins = [plugin for _, plugin in sorted(lock.plugins.items()) if plugin.source == "pypi"]
    with work.installing(), ThreadPoolExecutor(WORKERS) as pool:
        session = Session(project, probe, say=say, refresh=True)
        _ = session.shop
        return work.each(pool, lambda plugin: _newer(plugin, session), plugins)


def _newer(plugin: LockedPlugin, session: Session) -> Newer:
    wanted = _wanted(plugin, session.project)
    found = resolve(wanted, session.project, shop=session.shop).plugin
    ours = any(one.built for one in found.packages if one.name == found.distribution)  # from this checkout
    return Newer(plugin, found.version, _packages(plugin, found), None if ours else latest(wanted, session.shop))


def upgrade(
    project: Project,
    names: Sequence[str],
    *,
    probe: Prober,
    say: Say = lambda _: None,
    approve: bool = False,
    dry_run: bool = False,
    shown: Callable[[list[Upgrade]], None] = lambda _: None,
) -> list[Upgrade]:
    """Resolve plugins again (all, when none is named), install what is newer, and lock it.

    `shown` is called with the differences before anything is recorded; what asks for more than was approved stops then,
    unless `approve`. With `dry_run` it ends there. The old environments are kept while other projects use them.
    """
    lock = lockfile.read(project.lock_file)
    for name in names:
        if name not in lock.plugins:
            raise unknown(project, name, lock)
    require_writable(project)
    chosen = names or [name for name, one in lock.plugins.items() if one.packaged]
    before = [lock.plugins[name] for name in sorted(set(chosen))]
    for plugin in before:
        if not plugin.packaged:
            raise errors.ConfigError("usage", f"{plugin.name} is a script", hint=f"dativo add {plugin.executable}")
    wanted = [_wanted(plugin, project) for plugin in before]
    session = Session(project, probe, say=say, refresh=True)
    with work.installing():
        with undone() as built:
            made = made_ready(session, wanted, built)
            found = [_compared(old, change) for old, change in zip(before, made, strict=True)]
            shown(found)
            if dry_run:
                raise _Enough(found)
            approval.check(project, made, lock, approve=approve)
            record(project, wanted, made)
        for one in found:
            if one.differs:
                environment.release(one.before, project.lock_file)
    return found


class _Enough(Exception):
    """A dry run has come as far as it goes."""

    def __init__(self, found: list[Upgrade]) -> None:
        super().__init__()
        self.found = found


def looked_at(project: Project, names: Sequence[str], **options: Any) -> list[Upgrade]:
    """`upgrade` that changes nothing: what is installed to be looked at is taken away again."""
    try:
        return upgrade(project, names, dry_run=True, **options)
    except _Enough as enough:
        return enough.found


def _wanted(plugin: LockedPlugin, project: Project) -> Wanted:
    """The request that a locked plugin once was; dativo.yml's word is newer than the lock's."""
    if project.file and plugin.name in project.plugins():
        return understand(from_declaration(plugin.name, project.declared(plugin.name), project), project)
    text = plugin.requirement
    if plugin.source == "path":
        text = str((project.root / text).resolve())
    return understand(
        Request(
            text, as_name=plugin.name, kind=plugin.kind, with_=plugin.with_,
            constraints=plugin.constraints, python=plugin.python, executable=plugin.executable,
        ),
        project,
    )  # fmt: skip


def _packages(old: LockedPlugin, new: LockedPlugin) -> tuple[tuple[str, str | None, str | None], ...]:
    """The packages whose version or bytes differ, the plugin's own first."""
    before = {one.name: one for one in old.packages}
    after = {one.name: one for one in new.packages}
    names = sorted(before.keys() | after.keys(), key=lambda name: (name != old.distribution, name))
    found = [(name, before.get(name), after.get(name)) for name in names]
    return tuple(
        (name, one.version if one else None, other.version if other else None)
        for name, one, other in found
        if one is None or other is None or (one.version, set(one.hashes)) != (other.version, set(other.hashes))
    )


def _compared(old: LockedPlugin, change: Change) -> Upgrade:
    manifest = read_manifest(environment.folder(old) / environment.MANIFEST, old)
    return Upgrade(
        old,
        change.plugin,
        _packages(old, change.plugin),
        tuple(_settings(manifest, change.manifest)),
        tuple(_words(set(old.capabilities), set(change.plugin.capabilities))),
        tuple(permissions.difference(approval.approved(old), approval.approved(change.plugin))),
    )


def _words(old: set[str], new: set[str]) -> list[str]:
    return [*(f"+ {word}" for word in sorted(new - old)), *(f"- {word}" for word in sorted(old - new))]


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """How the settings differ; of one that stays, what counts for whoever sets it: type, default, required, secret."""
    before, after = _properties(old), _properties(new)
    lines = [f"+ {key}{after[key]}" for key in sorted(after.keys() - before.keys())]
    lines += [f"- {key}" for key in sorted(before.keys() - after.keys())]
    for key in sorted(before.keys() & after.keys()):
        if before[key] != after[key]:
            lines.append(f"~ {key}{after[key]} (was{before[key] or ' optional'})")
    return lines


def _properties(manifest: Mapping[str, Any]) -> dict[str, str]:
    schema = manifest.get("settings") or {}
    required = set(schema.get("required") or ())
    found = {}
    for key, prop in (schema.get("properties") or {}).items():
        kinds = prop.get("type") or ()
        shown = "|".join(kinds) if isinstance(kinds, list) else str(kinds)
        words = [shown, "required" if key in required else "", "secret" if prop.get("secret") else ""]
        if prop.get("default") is not None and not prop.get("secret"):
            words.append(f"default {prop['default']}")
        found[str(key)] = "".join(f" {word}" for word in words if word)
    return found
