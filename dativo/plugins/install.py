"""add, sync and remove: the only changes to dativo.lock and to the installed environments, all or nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from dativo import errors
from dativo.config import atomic
from dativo.config.paths import cache_dir
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins import advice, airbyte, approval, build, environment, index, lacking, lockfile, sources, work
from dativo.plugins.approval import Change
from dativo.plugins.build import Outcome, Task, Workshop
from dativo.plugins.installed import script_manifest, script_path, unknown
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.manifest import kind_from
from dativo.plugins.permissions import FROM_CONFIG
from dativo.plugins.registry import index as registry
from dativo.plugins.registry.index import Index
from dativo.plugins.requirement import Request, Wanted, checked_name, from_declaration, kind_of, understand
from dativo.plugins.resolve import Resolved, resolve
from dativo.plugins.uv import Uv


class Prober(Protocol):
    """Runs code of plugins through the data plane. Given by the caller: only `dativo.run` may join plugins and that.

    Called from several threads.
    """

    def __call__(self, executable: Path, home: Path | None, engine: str, /) -> dict[str, Any]:
        """Start a plugin (executable, environment, what it speaks) and return its manifest."""

    def image(self, digest: str, /) -> dict[str, Any]:
        """Start a container image of the engine and return its manifest."""

    def confine(self, task: Task, /) -> Outcome:
        """Run a build in the sandbox."""


Say = Callable[[str], None]


@dataclass(frozen=True)
class Session:
    """What one add, sync or upgrade works with. `trusting` builds folders of the user's own as they are."""

    project: Project
    probe: Prober
    offline: bool = False
    frozen: bool = False
    say: Say = lambda _: None
    trusting: bool = False
    verify: bool = False
    refresh: bool = False
    names: Index = field(default_factory=registry.everything)
    """Where names are looked up, and settings and secrets that a plugin does not tell of."""

    @cached_property
    def shop(self) -> Workshop:
        """uv with the project's indexes, and the place where packages are built."""
        uv = Uv(self.offline, self.refresh, index.environment(self.project))
        return Workshop(self.probe.confine, uv, self.say, self.trusting)


OLD_SETUPTOOLS = "setuptools<80"
WORKERS = 4


@dataclass(frozen=True)
class Placed:
    """A plugin whose files are in place, not yet asked what it can do. `home` is None for a script."""

    plugin: LockedPlugin
    executable: Path
    home: Path | None
    fresh: bool


def add(
    project: Project,
    requests: Sequence[Request],
    *,
    probe: Prober,
    offline: bool = False,
    say: Say = lambda _: None,
    approve: bool = False,
    trusting: bool = False,
    replacing: Collection[str] = (),
    index: Index | None = None,
) -> list[Change]:
    """Resolve, install, probe and lock plugins. When one fails, none is kept.

    `approve` takes what asks for more than was approved, `replacing` names plugins that may become other packages,
    `index` is where names are looked up (all registries, unless another is given).
    """
    names = index or registry.everything()
    session = Session(project, probe, offline=offline, say=say, trusting=trusting, names=names)
    locked = lockfile.headers(project.lock_file).plugins
    wanted = [_beside(understand(request, project, session.names), locked, say) for request in requests]
    _no_clash(project, [item for item in wanted if item.name not in replacing])
    require_writable(project)
    for item in wanted:
        project.may_add(item.name)
        _warn(item, session)
    with work.installing(), undone() as built:
        made = made_ready(session, wanted, built)
        approval.check(project, made, lockfile.headers(project.lock_file), approve=approve)
        record(project, wanted, made)
    for change in made:
        _tell(change.plugin, session)
    return made


def _warn(wanted: Wanted, session: Session) -> None:
    """Say that a plugin is known to be broken, before anyone waits for it; of a version that was chosen nothing is."""
    entry = session.names.of(wanted)
    if entry is not None and entry.broken and wanted.requirement == entry.package:
        session.say(f"{wanted.name} was broken when it was last tried: {entry.broken}")


def made_ready(session: Session, wanted: Sequence[Wanted], built: list[Placed]) -> list[Change]:
    """Resolve, install and probe, several at once; nothing is recorded. What was made is noted in `built`."""
    _ = session.shop  # secrets are read once, before there are threads
    with ThreadPoolExecutor(WORKERS) as pool:
        placed = work.each(pool, lambda item: _resolve_and_place(item, session, built), wanted)
        return work.each(pool, lambda item, here: _asked(item, here, session, built), wanted, placed)


@contextmanager
def undone() -> Iterator[list[Placed]]:
    """A list for what is installed; when it does not come to its end, all that is fresh in it is taken away again."""
    built: list[Placed] = []
    try:
        yield built
    except BaseException:
        for here in built:
            if here.fresh:
                environment.discard(here.plugin)
        raise


def _tell(plugin: LockedPlugin, session: Session) -> None:
    """Say what the registry knows of a plugin: what it has for a custom plugin's work, and hosts it will need."""
    for remark in advice.of_plugin(session.project, plugin, session.names):
        session.say(str(remark))
    entry = session.names.of(plugin)
    hosts = entry.hosts() if entry and plugin.sandbox.get("network") == FROM_CONFIG else ()
    if hosts:
        granted = " ".join(f"--network {host}" for host in hosts)
        session.say(f"{plugin.name} may need {', '.join(hosts)}: dativo allow {plugin.name} {granted}")


def remove(project: Project, names: Sequence[str]) -> list[LockedPlugin]:
    """Take plugins out of dativo.yml and dativo.lock, and their environments away when nobody else uses them."""
    lock = lockfile.read(project.lock_file)
    declared = set(project.plugins())
    for name in names:
        if name not in lock.plugins and name not in declared:
            raise unknown(project, name, lock)
    require_writable(project)
    gone = [lock.plugins[name] for name in names if name in lock.plugins]
    with atomic.editing(project.lock_file):
        fresh = lockfile.read(project.lock_file)
        for name in names:
            project.remove_plugin(name)
        if project.lock_file.exists():
            lockfile.write(project.lock_file, fresh.without(names))
    with work.installing():
        for plugin in gone:
            if not plugin.packaged:
                path = Path(plugin.digest) if plugin.source == "docker" else script_path(project, plugin)
                script_manifest(path, plugin.digest).unlink(missing_ok=True)
            else:
                environment.release(plugin, project.lock_file)
    return gone


def require_writable(project: Project) -> None:
    """Refuse before anything is fetched when the project cannot be written."""
    import os

    places = [project.lock_file, *([project.settings_file] if project.file else [])]
    for path in places:
        place = path if path.exists() else path.parent
        if not os.access(place, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise errors.EnvironmentFault(
                "env.read_only", f"{path} cannot be written", hint="make the project writable"
            )


def _resolve_and_place(wanted: Wanted, session: Session, built: list[Placed]) -> Placed:
    plugin = None
    try:
        session.shop.python(wanted.request.python)
        resolved = resolve(wanted, session.project, shop=session.shop)
        plugin = resolved.plugin
        return place(resolved, session, built, wanted.request.executable)
    except errors.DativoError as problem:
        if problem.code == "plugin.unknown" and wanted.source == "pypi" and plugin is None:
            problem.hint = session.names.hint(wanted.name)
        if problem.code == "plugin.python":
            lacking.explain_python(problem, wanted.request.python, session.names.of(wanted))
        older = _explain(problem, wanted, plugin, session)
        if older is None:
            raise
        with _or_else(problem):
            return _resolve_and_place(_under(older, wanted, session), session, built)


def _under(python: str, wanted: Wanted, session: Session) -> Wanted:
    session.say(f"{wanted.name} does not run under this Python: trying Python {python}")
    return replace(wanted, request=replace(wanted.request, python=python))


@contextmanager
def _or_else(problem: errors.DativoError) -> Iterator[None]:
    """Where that Python is not to be had, the first error counts: it says which one to get."""
    try:
        yield
    except errors.DativoError as again:
        raise problem if again.code == "plugin.python" else again from None


def _explain(problem: errors.DativoError, wanted: Wanted, plugin: LockedPlugin | None, session: Session) -> str | None:
    """Say which Python or package a plugin lacks that did not install or start, where that can be told.

    Returns the Python to try, unless one was asked for.
    """
    if plugin is not None:
        problem.context.setdefault("version", plugin.version)
    said = problem.code == "plugin.install_failed" and problem.hint is not None
    if said or problem.code not in lacking.FAILED or wanted.source == "script":
        return None
    entry = session.names.of(plugin) if plugin is not None else None
    bound = entry.python if entry is not None else None
    if bound is None and wanted.source == "pypi" and wanted.distribution and not session.offline:
        bound = lacking.declared(wanted.distribution, plugin.version if plugin else None, session.shop.indexes)
    asked = wanted.request.python
    others = {one.name: one.version for one in plugin.packages if one.name != plugin.distribution} if plugin else {}
    used = asked or f"{sys.version_info.major}.{sys.version_info.minor}"
    older = lacking.explain(problem, used, bound, others)
    return older if asked is None else None


def place(resolved: Resolved, session: Session, built: list[Placed], executable: str | None = None) -> Placed:
    """Build the environment of a lock entry and find its command. What was made is noted in `built`."""
    plugin = resolved.plugin
    if plugin.source == "script":
        return Placed(plugin, script_path(session.project, plugin), None, False)
    if plugin.source == "docker":
        return Placed(plugin, Path(plugin.digest), None, False)
    made = _made(plugin, resolved.wheels, session)
    here = Placed(plugin, made.path, made.path, made.fresh)
    built.append(here)
    plugin = replace(plugin, executable=plugin.executable or choose_script(plugin, made.path, executable))
    return replace(here, plugin=plugin, executable=made.path / "bin" / plugin.executable)


def _made(plugin: LockedPlugin, wheels: dict[str, Path], session: Session) -> environment.Built:
    """The environment; what uv finds no wheel for is built first, one after another."""
    if environment.ready(plugin):
        return environment.build(plugin, {}, uv=session.shop.uv)
    wheels = {**sources.kept_builds(plugin.packages, plugin.python), **wheels}
    while True:
        try:
            return environment.build(plugin, wheels, uv=session.shop.uv)
        except errors.DativoError as problem:
            lacking = build.lacks_wheel(problem)
            package = next((one for one in plugin.packages if one.name == lacking), None)
            if package is None or package.name in wheels:
                raise
        wheels[package.name] = sources.from_sdist(package, python=plugin.python, shop=session.shop)


def _asked(wanted: Wanted, here: Placed, session: Session, built: list[Placed]) -> Change:
    """Probe a placed plugin. One that lacks pkg_resources is placed again with the setuptools that still has it, and
    one that lacks what Python has dropped under the last Python that has it."""
    try:
        return ask(here, session)
    except errors.DativoError as problem:
        if lacks_pkg_resources(problem) and not any(item.startswith("setuptools") for item in wanted.request.with_):
            again = _with_setuptools(wanted, session)
        elif older := _explain(problem, wanted, here.plugin, session):
            with _or_else(problem):
                again = _under(older, wanted, session)
        else:
            raise
        if here.fresh:
            environment.discard(here.plugin)
        with _or_else(problem):
            return _asked(again, _resolve_and_place(again, session, built), session, built)


def _with_setuptools(wanted: Wanted, session: Session) -> Wanted:
    session.say(f"{wanted.name} needs pkg_resources: installed with {OLD_SETUPTOOLS} (recorded)")
    return replace(wanted, request=replace(wanted.request, with_=(*wanted.request.with_, OLD_SETUPTOOLS)))


def ask(here: Placed, session: Session, known: dict[str, Any] | None = None) -> Change:
    """Keep what a placed plugin says about itself; it is started only if it is not `known` and never was here."""
    kept = script_manifest(here.executable, here.plugin.digest) if here.home is None else _told(here.plugin)
    manifest = known if known is not None else _read(kept)
    if manifest is None:
        image = here.plugin.source == "docker"
        manifest = (
            session.probe.image(here.plugin.digest)
            if image
            else session.probe(here.executable, here.home, here.plugin.engine)
        )
        _keep(kept, manifest)
    entry = session.names.of(here.plugin)
    if entry is not None:
        manifest = entry.completed(manifest)
    plugin = _described(here.plugin, manifest)
    if here.home is not None:
        environment.write_manifest(plugin, manifest)
        environment.claim(plugin, session.project.lock_file)
    return Change(plugin, manifest, here.fresh)


def _told(plugin: LockedPlugin) -> Path:
    """Where the answer of a plugin is kept: by what it is made of, so that another has another."""
    return cache_dir() / "manifests" / f"{plugin.digest.partition(':')[2]}-{plugin.executable}.json"


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else None
    return None


def choose_script(plugin: LockedPlugin, made: Path, given: str | None) -> str:
    """The command to start: the one named like the plugin or its package, else the package's only tap-/target- one."""
    found = environment.scripts(made, plugin.distribution or "")
    if given:
        if given in found:
            return given
        raise errors.ConfigError(
            "config.invalid",
            f"{plugin.distribution} has no command {given}",
            hint=f"it has {', '.join(found) or 'none'}",
        )
    names = [plugin.name, plugin.distribution or ""]
    short = re.search(r"(?:^|-)((?:tap|target)-.+)", plugin.distribution or "")
    for name in [*names, *([short[1]] if short else [])]:
        if name in found:
            return name
    likely = [name for name in found if name.startswith(("tap-", "target-", "map-", "mapper-"))]
    for choice in (likely, found):
        if len(choice) == 1:
            return choice[0]
    if not found:
        raise errors.EnvironmentFault(
            "plugin.install_failed", f"{plugin.distribution} {plugin.version} holds no command", hint="is it a plugin?"
        )
    raise errors.ConfigError(
        "usage", f"{plugin.distribution} has several commands: {', '.join(found)}", hint="name one: --executable NAME"
    )


def lacks_pkg_resources(problem: errors.DativoError) -> bool:
    """Whether a plugin did not start because setuptools no longer brings pkg_resources (SINGER.md B.1)."""
    text = "\n".join([problem.message, *problem.details, str(problem.context.get("stderr", ""))])
    return "pkg_resources" in text and ("ModuleNotFoundError" in text or "No module named" in text)


def _described(plugin: LockedPlugin, manifest: dict[str, Any]) -> LockedPlugin:
    """The lock entry with what the probe told. A name, flag or command decides the kind before the manifest does."""
    kind = plugin.kind or kind_of(plugin.executable) or kind_from(manifest)
    if not kind:
        raise errors.ConfigError(
            "plugin.kind", f"{plugin.name}: is it a tap, a target or a mapper?", hint="say it: --kind tap"
        )
    version = plugin.version
    if plugin.source == "script" and manifest.get("version"):
        version = str(manifest["version"])
    capabilities = tuple(sorted(manifest.get("capabilities", ())))
    return approval.asking(replace(plugin, kind=kind, version=version, capabilities=capabilities), manifest)


def _no_clash(project: Project, wanted: Sequence[Wanted]) -> None:
    """Two plugins cannot share a name; say which is there and how both can be had."""
    locked = lockfile.headers(project.lock_file).plugins
    seen: dict[str, Wanted] = {}
    for item in wanted:
        there = locked.get(item.name)
        other = seen.get(item.name)
        if other is not None:
            raise _taken(item, other.requirement)
        if there is not None and not same_origin(there, item):
            raise _taken(item, f"{there.requirement} {there.version}")
        seen[item.name] = item


def _beside(wanted: Wanted, locked: Mapping[str, LockedPlugin], say: Say) -> Wanted:
    """A request with a name of its own where another engine's has the usual one: both are to be had."""
    there = locked.get(wanted.name)
    asked = wanted.request.engine is not None and wanted.request.as_name is None
    if there is None or not asked or same_origin(there, wanted):
        return wanted
    name = f"{wanted.variant or wanted.engine}-{wanted.name}"
    say(f"{wanted.name} is {there.requirement} ({there.engine}) here, so this one is called {name}")
    return replace(wanted, name=checked_name(name), request=replace(wanted.request, as_name=name))


def same_origin(locked: LockedPlugin, wanted: Wanted) -> bool:
    """Whether a request is for the plugin that is already locked, perhaps at another version."""
    if locked.source != wanted.source:
        return False
    if wanted.source == "pypi":
        return locked.distribution == wanted.distribution
    return locked.requirement == wanted.requirement or (wanted.url or "\0") in locked.requirement


def _taken(wanted: Wanted, holder: str) -> errors.ConfigError:
    word = wanted.variant or wanted.source
    short = {"pipelinewise": "pw"}.get(word, word)
    return errors.ConfigError(
        "plugin.taken",
        f"{wanted.name} is already {holder} here, not {wanted.requirement}",
        hint=f"keep both: dativo add {wanted.request.text} --as {wanted.name}-{short}",
        details=(f"or take it out first: dativo remove {wanted.name}",),
    )


def record(project: Project, wanted: Sequence[Wanted], made: Sequence[Change]) -> None:
    """Write dativo.lock, then dativo.yml; a failure of the second undoes the first."""
    with atomic.editing(project.lock_file):
        before = lockfile.read(project.lock_file)
        lockfile.write(project.lock_file, before.having(change.plugin for change in made))
        if not project.file:
            return
        try:
            for item, change in zip(wanted, made, strict=True):
                _declare(project, item, change.plugin)
        except BaseException:
            lockfile.write(project.lock_file, before)
            raise


def _declare(project: Project, wanted: Wanted, plugin: LockedPlugin) -> None:
    """Mention the plugin in dativo.yml so that `dativo sync` would ask for the same thing again."""
    told = wanted.engine != airbyte.ENGINE  # else its source says it
    by_name = told and wanted.source == "pypi" and _meant(plugin.name, wanted.variant, project) == wanted.requirement
    project.add_plugin(
        plugin.name,
        kind=wanted.request.kind if told else None,
        variant=wanted.variant if by_name or _shared(wanted, project) else wanted.request.variant,
        engine=wanted.request.engine if told else None,
        source=None if by_name else wanted.declared,
        executable=wanted.request.executable if told else None,
        with_=plugin.with_,
        constraints=plugin.constraints,
        python=wanted.request.python,
    )


def _shared(wanted: Wanted, project: Project) -> bool:
    """Whether a package's name means another one without its variant, as target-duckdb of PyPI means ours."""
    if wanted.source != "pypi" or wanted.variant is None or wanted.distribution is None:
        return False
    return _meant(wanted.distribution, None, project) not in (None, wanted.distribution) and (
        _meant(wanted.distribution, wanted.variant, project) == wanted.distribution
    )


def _meant(name: str, variant: str | None, project: Project) -> str | None:
    """What a name and a variant in dativo.yml mean on every machine; None when they mean nothing there.

    A variant that the shipped index does not have means what it says today, and may be an error when the index grows.
    """
    if variant is not None and variant not in {one.variant for one in registry.shipped().choices(name)}:
        return None
    try:
        return understand(from_declaration(name, {"variant": variant}, project), project).requirement
    except errors.ConfigError:
        return None


def _keep(path: Path, manifest: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    atomic.write(path, json.dumps(manifest))
