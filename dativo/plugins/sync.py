"""sync: make what is installed equal to dativo.lock, and dativo.lock equal to dativo.yml unless it is frozen."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from dativo import errors
from dativo.config import atomic
from dativo.config.project import Project
from dativo.plugins import airbyte, approval, drift, environment, lockfile, sources, work
from dativo.plugins.approval import Change
from dativo.plugins.drift import answers
from dativo.plugins.install import WORKERS, Placed, Prober, Say, Session, add, ask, place, remove, undone
from dativo.plugins.installed import read_manifest, script_digest, script_manifest, script_path
from dativo.plugins.lockfile import Lock, LockedPackage, LockedPlugin
from dativo.plugins.requirement import from_declaration
from dativo.plugins.resolve import Resolved


def sync(
    project: Project,
    *,
    probe: Prober,
    frozen: bool = False,
    offline: bool = False,
    say: Say = lambda _: None,
    approve: bool = False,
    trusting: bool = False,
    verify: bool = False,
) -> list[Change]:
    """Install what the lock says. `frozen` refuses any difference instead of repairing it (I7).

    `approve` takes what asks for more than was approved. `verify` reads every installed file, whatever its times say.
    """
    with work.installing():
        session = Session(project, probe, offline=offline, frozen=frozen, say=say, trusting=trusting, verify=verify)
        return _synced(session, approve=approve)


def _synced(session: Session, *, approve: bool) -> list[Change]:
    project, say = session.project, session.say
    lock = lockfile.read(project.lock_file)
    stale, extra = drift.between(project, lock)
    if session.frozen:
        _refuse(stale, extra, project)
    changes: list[Change] = []
    if extra:
        remove(project, extra)
        say(f"removed {', '.join(extra)}: not in {project.settings_file.name} any more")
    if stale:
        requests = [from_declaration(name, project.declared(name), project) for name in stale]
        changes += add(
            project, requests, probe=session.probe, offline=session.offline, say=say, approve=approve,
            trusting=session.trusting, replacing=set(lock.plugins),
        )  # fmt: skip
    lock = lockfile.read(project.lock_file)
    rest = [plugin for name, plugin in sorted(lock.plugins.items()) if name not in stale]
    _ = session.shop  # secrets are read once, before there are threads
    with undone() as built:
        with ThreadPoolExecutor(WORKERS) as pool:
            placed = work.each(pool, lambda plugin: _place(plugin, session, built), rest)
            asked = work.each(pool, lambda here: _asked_once(here, session), placed)
        changes += approval.check(project, asked, lock, approve=approve)
    _relock(project, lock, changes)
    return sorted(changes, key=lambda change: change.plugin.name)


def bring(project: Project, names: Sequence[str], *, probe: Prober, say: Say) -> None:
    """Install what is declared for plugins, as the lock holds it where it does; nothing else is touched."""
    with work.installing():
        session = Session(project, probe, say=say)
        lock = lockfile.read(project.lock_file)
        stale = [
            name
            for name in names
            if name not in lock.plugins or not answers(lock.plugins[name], project.declared(name), project)
        ]
        if stale:
            requests = [from_declaration(name, project.declared(name), project) for name in stale]
            add(project, requests, probe=probe, say=say, replacing=set(lock.plugins))
        rest = [lock.plugins[name] for name in names if name not in stale]
        with undone() as built:
            asked = [ask(_place(one, session, built), session) for one in rest]
            changes = approval.check(project, asked, lock, approve=False)
        _relock(project, lock, changes)


def _refuse(stale: Sequence[str], extra: Sequence[str], project: Project) -> None:
    if stale or extra:
        name = project.settings_file.name
        details = [f"{plugin}: {name} asks for something else than the lock holds" for plugin in stale]
        details += [f"{plugin}: locked, but not in {name}" for plugin in extra]
        raise errors.EnvironmentFault(
            "lock.drift", f"{project.lock_file.name} does not match {name}", details=tuple(details)
        )


def _place(plugin: LockedPlugin, session: Session, built: list[Placed]) -> Placed:
    if plugin.source == "script":
        return _script(plugin, session)
    if plugin.source == "docker":
        return place(_same_image(plugin), session, built)
    if environment.ready(plugin):
        changed = _changed(plugin, session)
        if not changed:
            environment.claim(plugin, session.project.lock_file)
            home = environment.folder(plugin)
            return Placed(plugin, home / "bin" / plugin.executable, home, False)
        if session.frozen:
            shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
            raise errors.EnvironmentFault(
                "plugin.tampered",
                f"{plugin.name}: {len(changed)} installed files are not what was locked",
                details=(shown,),
            )
        session.say(f"{plugin.name}: {len(changed)} changed files, installed again")
        environment.discard(plugin)
    plugin, wheels = _with_wheels(plugin, session)
    return place(Resolved(plugin, wheels), session, built)


def _changed(plugin: LockedPlugin, session: Session) -> list[str]:
    """The installed files that are not what was installed."""
    fine = not session.verify and environment.untouched(plugin)
    return [] if fine else environment.changed_files(plugin)


def _asked_once(here: Placed, session: Session) -> Change:
    """A plugin is probed only if it never was on this machine."""
    path = here.executable
    kept = here.home / environment.MANIFEST if here.home else script_manifest(path, here.plugin.digest)
    if here.fresh or not kept.is_file():
        return ask(here, session)
    manifest = read_manifest(kept, here.plugin)
    return Change(approval.asking(here.plugin, manifest), manifest, False)


def _script(plugin: LockedPlugin, session: Session) -> Placed:
    path = script_path(session.project, plugin)
    if script_digest(path) != plugin.digest:
        raise errors.EnvironmentFault(
            "plugin.tampered" if path.exists() else "plugin.not_installed",
            f"{plugin.name}: {path} is not the script that was locked",
            hint=f"if the change is yours: dativo add {plugin.executable} --as {plugin.name} --kind {plugin.kind}",
        )
    return Placed(plugin, path, None, False)


def _same_image(plugin: LockedPlugin) -> Resolved:
    """The image that was locked, fetched where it is not here; what has its tag now may be another (I7)."""
    found = airbyte.pulled(plugin.requirement)
    if found != plugin.digest:
        raise errors.EnvironmentFault(
            "plugin.tampered",
            f"{plugin.name}: {plugin.requirement} is {found[:19]} now, not the image that was locked",
            hint=f"to take it: dativo add airbyte:docker/{plugin.requirement}",
        )
    return Resolved(plugin, {})


def _with_wheels(plugin: LockedPlugin, session: Session) -> tuple[LockedPlugin, dict[str, Path]]:
    """The local wheels of a lock entry; when one builds to other bytes, the entry that says so (refused if frozen)."""
    wheels: dict[str, Path] = {}
    packages: list[LockedPackage] = []
    for package in plugin.packages:
        if not package.built:
            packages.append(package)
            continue
        wheel = sources.locked_wheel(package, session.project, python=plugin.python, shop=session.shop)
        wheels[package.name] = wheel.path
        if wheel.sha256 not in package.hashes:
            if session.frozen:
                raise errors.EnvironmentFault(
                    "lock.drift", f"{plugin.name}: the wheel of {package.built} is not the one that was locked"
                )
            session.say(f"{plugin.name}: {package.built} builds to another wheel now; the lock is updated")
            package = LockedPackage(package.name, wheel.version, (wheel.sha256,), package.built)  # noqa: PLW2901
        packages.append(package)
    if tuple(packages) == plugin.packages:
        return plugin, wheels
    version = next(one.version for one in packages if one.name == plugin.distribution)
    return replace(plugin, packages=tuple(packages), version=version).with_digest(), wheels


def _relock(project: Project, lock: Lock, changes: Sequence[Change]) -> None:
    different = [change.plugin for change in changes if lock.plugins.get(change.plugin.name) != change.plugin]
    if different:
        with atomic.editing(project.lock_file):
            lockfile.write(project.lock_file, lockfile.read(project.lock_file).having(different))
