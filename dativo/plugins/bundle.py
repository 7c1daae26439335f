"""A bundle: one file with dativo.lock and every wheel that it names, to install where no index can be reached.

A zip file: `bundle.json` (what it is for, the SHA-256 of each wheel), `dativo.lock`, `wheels/…/NAME.whl`. A wheel that
an index gave has a hash of dativo.lock, one of a folder or a commit as well; one that was built of a source
distribution has the one that bundle.json tells. The manifests are in it too: nothing has to be started to be known.
"""

from __future__ import annotations

import hashlib
import json
import re
import sysconfig
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.project import Project
from dativo.plugins import approval, environment, index, lockfile, seal, sources, work
from dativo.plugins.approval import Change
from dativo.plugins.build import Workshop
from dativo.plugins.install import WORKERS, Placed, Prober, Say, Session, ask, undone
from dativo.plugins.lockfile import Lock, LockedPackage, LockedPlugin

FORMAT = 1
LARGEST_HEAD = 64 << 20


def make(project: Project, file: Path, *, probe: Prober, say: Say = lambda _: None) -> dict[str, Any]:
    """Write a bundle of all that is locked and installed. Returns what `bundle.json` holds.

    Raises `plugin.not_installed` where something is locked only, `usage` for scripts: they are files of the project.
    """
    lock = lockfile.read(project.lock_file)
    plugins = [plugin for plugin in lock.plugins.values() if plugin.packaged]
    if not plugins:
        raise errors.ConfigError("usage", "there is nothing to bundle", hint="dativo add …")
    for plugin in plugins:
        if not environment.ready(plugin):
            raise errors.EnvironmentFault(
                "plugin.not_installed", f"{plugin.name} {plugin.version} is locked but not installed"
            )
    for plugin in lock.plugins.values():
        if not plugin.packaged:
            say(f"{plugin.name} is a script: copy {plugin.executable} with the project")
    shop = Session(project, probe, say=say).shop
    with work.installing(), work.folder("bundle") as folder:
        with ThreadPoolExecutor(WORKERS) as pool:
            found = work.each(pool, lambda plugin: _wheels(plugin, project, shop, folder), plugins)
        named = [{package: _name(path) for package, path in wheels.items()} for wheels in found]
        held = {_name(path): path for wheels in found for path in wheels.values()}
        head = {
            "bundle": FORMAT,
            "platform": sysconfig.get_platform(),
            "plugins": {
                plugin.name: {
                    "version": plugin.version,
                    "digest": plugin.digest,
                    "python": plugin.python,
                    "wheels": names,
                    "manifest": json.loads((environment.folder(plugin) / environment.MANIFEST).read_bytes()),
                }
                for plugin, names in zip(plugins, named, strict=True)
            },
            "wheels": {name: sources.sha256(path) for name, path in sorted(held.items())},
        }
        _write(file, head, Lock({plugin.name: plugin for plugin in plugins}), held, folder)
    return head


def _name(path: Path) -> str:
    """Where a wheel lies in the bundle: two builds may have one file name."""
    return f"{seal.digest_of(path)[:16]}/{path.name}"


def _write(file: Path, head: dict[str, Any], lock: Lock, wheels: dict[str, Path], folder: Path) -> None:
    partial = folder / "bundle.zip"
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("bundle.json"), json.dumps(head, indent=1, sort_keys=True))
            archive.writestr(zipfile.ZipInfo("dativo.lock"), lockfile.render(lock))
            for name, path in sorted(wheels.items()):
                archive.write(path, f"wheels/{name}", zipfile.ZIP_STORED)  # a wheel is compressed already
        atomic.move(partial, file)
    except OSError as problem:
        raise atomic.fault(problem, file) from problem


def _wheels(plugin: LockedPlugin, project: Project, shop: Workshop, folder: Path) -> dict[str, Path]:
    """The wheel file of each package, as it is installed."""
    found: dict[str, Path] = {}
    for package in plugin.packages:
        if package.built:
            found[package.name] = sources.locked_wheel(package, project, python=plugin.python, shop=shop).path
        elif (kept := sources.kept_build(package, plugin.python)) is not None:
            found[package.name] = kept
        else:
            found[package.name] = _fetched(plugin, package, shop, folder)
    return found


def _fetched(plugin: LockedPlugin, package: LockedPackage, shop: Workshop, folder: Path) -> Path:
    """The wheel of the index that was installed: of those that are locked, the one with the installed tags."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    tags = environment.tags(environment.folder(plugin), package.name)
    for one in index.files(shop.indexes, package.name):
        if f"sha256:{one.sha256}" not in package.hashes or not one.name.endswith(".whl"):
            continue
        try:
            same = {str(tag) for tag in parse_wheel_filename(one.name)[3]} == tags
        except InvalidWheelFilename:
            continue
        if same:
            place = folder / str(one.sha256)
            place.mkdir(exist_ok=True)
            return place / one.name if (place / one.name).exists() else index.download(one, place, package.hashes)
    raise errors.EnvironmentFault(
        "plugin.install_failed", f"{package.name} {package.version}: the index has no such wheel any more"
    )


# -- and back


def install(
    project: Project, file: Path, *, probe: Prober, say: Say = lambda _: None, approve: bool = False
) -> list[Change]:
    """Install from a bundle, without a network. Where there is a dativo.lock, it must hold the same.

    Raises `bundle.invalid`, `bundle.unfit` (another platform or Python), `lock.drift`.
    """
    with work.installing(), work.folder("bundle") as folder:
        head, lock = _read(file, folder)
        _fits(head)
        there = lockfile.read(project.lock_file)
        plugins = [plugin for _, plugin in sorted(lock.plugins.items())]
        wrong = [
            one.name for one in plugins if one.name in there.plugins and there.plugins[one.name].digest != one.digest
        ]
        if wrong:
            raise errors.EnvironmentFault(
                "lock.drift", f"the bundle holds another {', '.join(wrong)} than {project.lock_file.name}",
                hint="make a new bundle, or take it out first: dativo remove",
            )  # fmt: skip
        session = Session(project, probe, offline=True, say=say)
        with undone() as built:
            with ThreadPoolExecutor(WORKERS) as pool:
                placed = work.each(pool, lambda plugin: _placed(plugin, head, folder, session, built), plugins)
            changes = [_known(here, head, session) for here in placed]
            approval.check(project, changes, there, approve=approve)
            _record(project, there, changes)
    return changes


def _known(here: Placed, head: dict[str, Any], session: Session) -> Change:
    manifest = head["plugins"][here.plugin.name].get("manifest")
    return ask(here, session, manifest if isinstance(manifest, dict) else None)


def _placed(plugin: LockedPlugin, head: dict[str, Any], folder: Path, session: Session, built: list[Placed]) -> Placed:
    names = head["plugins"][plugin.name]["wheels"]
    wheels = {}
    for package in plugin.packages:
        name = str(names.get(package.name))
        path, digest = folder / "wheels" / name, head["wheels"].get(name)
        if digest is None:
            raise errors.ConfigError("bundle.invalid", f"the bundle lacks {package.name} {package.version}")
        if package.built and digest not in package.hashes:
            raise errors.ConfigError("bundle.invalid", f"{path.name} is not the wheel that is locked")
        wheels[package.name] = path
    made = environment.build(plugin, wheels, uv=session.shop.uv, index=False)
    here = Placed(plugin, made.path / "bin" / plugin.executable, made.path, made.fresh)
    built.append(here)
    return here


def _record(project: Project, there: Lock, changes: Sequence[Change]) -> None:
    with atomic.editing(project.lock_file):
        lockfile.write(project.lock_file, there.having(change.plugin for change in changes))
        if not project.file:
            return
        declared = set(project.plugins())
        for change in changes:
            plugin = change.plugin
            if plugin.name not in declared:
                project.add_plugin(
                    plugin.name,
                    variant=plugin.variant if plugin.source == "pypi" else None,
                    source=None if plugin.requirement == plugin.name else plugin.requirement,
                    with_=plugin.with_,
                    constraints=plugin.constraints,
                )


def _fits(head: dict[str, Any]) -> None:
    here = sysconfig.get_platform()
    if head["platform"] != here:
        raise errors.EnvironmentFault("bundle.unfit", f"the bundle is for {head['platform']}, this machine is {here}")
    for name, told in head["plugins"].items():
        if told["python"] and not environment.has_python(told["python"]):
            raise errors.EnvironmentFault(
                "bundle.unfit", f"the bundle's {name} needs Python {told['python']}, which is not here",
                hint=f"install Python {told['python']}, or make the bundle with a Python that is here",
            )  # fmt: skip


def _read(file: Path, folder: Path) -> tuple[dict[str, Any], Lock]:
    """Unpack a bundle into a folder; every wheel must be what bundle.json says (I7)."""
    try:
        with zipfile.ZipFile(file) as archive:
            head = _head(archive)
            (folder / "dativo.lock").write_bytes(archive.read("dativo.lock"))
            (folder / "wheels").mkdir()
            for name, digest in head["wheels"].items():
                _unpack(archive, name, digest, folder / "wheels" / name)
        return head, lockfile.read(folder / "dativo.lock")
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as problem:
        raise errors.ConfigError("bundle.invalid", f"{file} is no bundle: {problem}") from problem
    except OSError as problem:
        raise atomic.fault(problem, folder) from problem


def _head(archive: zipfile.ZipFile) -> dict[str, Any]:
    about = archive.getinfo("bundle.json")
    head = json.loads(archive.read(about)) if about.file_size <= LARGEST_HEAD else {"bundle": "too large"}
    if head["bundle"] != FORMAT:
        raise ValueError(f"its format is {head['bundle']}, not {FORMAT}")
    return dict(head)


def _unpack(archive: zipfile.ZipFile, name: str, digest: str, path: Path) -> None:
    if not re.fullmatch(r"[0-9a-f]{16}/[A-Za-z0-9][\w.+!-]*\.whl", name, re.ASCII):  # I12
        raise ValueError(f"{name!r} is no wheel's name")
    total = hashlib.sha256()
    path.parent.mkdir(exist_ok=True)
    with archive.open(f"wheels/{name}") as packed, path.open("wb") as stream:
        while piece := packed.read(1 << 20):
            total.update(piece)
            stream.write(piece)
    if f"sha256:{total.hexdigest()}" != digest:
        raise ValueError(f"{name} is damaged: its hash is another")
