"""From a request to a lock entry: every package of the plugin's environment with its version and all its hashes."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dativo import errors
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins import airbyte, build, firstparty, index, sources, work
from dativo.plugins.build import Workshop
from dativo.plugins.environment import interpreter
from dativo.plugins.installed import script_digest
from dativo.plugins.lockfile import LockedPackage, LockedPlugin, told_engine
from dativo.plugins.requirement import Wanted, kind_of

if TYPE_CHECKING:
    from packaging.version import Version

_PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:==\s*(?P<version>[^\s;\\]+)|@\s*(?P<url>\S+))")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Resolved:
    """A lock entry without its executable, and the local wheels it needs."""

    plugin: LockedPlugin
    wheels: dict[str, Path]


def resolve(wanted: Wanted, project: Project, *, shop: Workshop) -> Resolved:
    """Ask uv which packages the plugin consists of. A script consists of itself."""
    if wanted.source == "script":
        return _script(wanted)
    if wanted.source == "docker":
        return _image(wanted)
    python = wanted.request.python
    wheels = _wheels(wanted, project, python=python, shop=shop)
    main = wheels[0].name if wheels else _canonical(wanted.distribution or "")
    lines = [f"{wheel.name} @ {wheel.path.as_uri()}" for wheel in wheels] or [wanted.requirement]
    newest = None if wheels else _newest(wanted, shop)
    with_ = wanted.request.with_
    packages = _compile([*lines, *with_], wheels, wanted, shop=shop, newest=newest)
    old = any(one.name == "pendulum" and one.version.startswith(("0.", "1.")) for one in packages)
    if old and wanted.engine == airbyte.ENGINE:
        with_ = (*with_, airbyte.PENDULUM)
        packages = _compile([*lines, *with_], wheels, wanted, shop=shop, newest=newest)
    version = next((package.version for package in packages if package.name == main), None)
    if version is None:
        raise errors.EnvironmentFault("plugin.install_failed", f"{wanted.name}: uv resolved no package {main}")
    plugin = LockedPlugin(
        name=wanted.name,
        kind=kind_of(wanted.name, wanted.request.kind) or "",
        variant=wanted.variant,
        source=wanted.source,
        requirement=wanted.requirement,
        with_=with_,
        constraints=wanted.request.constraints,
        python=python or f"{sys.version_info.major}.{sys.version_info.minor}",
        distribution=main,
        version=version,
        executable=airbyte.COMMAND if wanted.source == "manifest" else "",
        digest="",
        packages=tuple(packages),
        engine=wanted.engine or told_engine(main),
    )
    return Resolved(plugin.with_digest(), {wheel.name: wheel.path for wheel in wheels})


def _wheels(wanted: Wanted, project: Project, *, python: str | None, shop: Workshop) -> list[sources.Wheel]:
    """The wheels to build first: the plugin's own (at the front), then those of ours that it depends on."""
    if wanted.source == "manifest":
        assert wanted.folder is not None
        return [sources.from_manifest(wanted.folder, wanted.name, f"manifest:{wanted.requirement}")]
    if wanted.source == "path":
        assert wanted.folder is not None
        first = sources.from_folder(
            wanted.folder, f"path:{project.shown_path(wanted.folder)}", python=python, shop=shop
        )
    elif wanted.source == "git":
        assert wanted.url is not None
        first = sources.from_git(wanted.url, wanted.rev, wanted.subdirectory, python=python, shop=shop)
    else:
        folder = firstparty.folder(wanted.distribution or "")
        if folder is None:
            return []
        _fits(folder, wanted)
        relative = firstparty.FOLDERS[wanted.distribution or ""]
        first = sources.from_folder(folder, f"checkout:{relative}", python=python, shop=shop)
    return sources.with_own_dependencies(first, python=python, shop=shop)


def _fits(folder: Path, wanted: Wanted) -> None:
    """Refuse a version that the checkout's plugin is not, before it is built: most likely another variant is meant."""
    import tomllib

    from packaging.requirements import Requirement

    wants = Requirement(wanted.requirement).specifier
    version = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if not wants.contains(version, prereleases=True):
        raise errors.ConfigError(
            "plugin.conflict",
            f"{wanted.name}{wants} is wanted, but this checkout of Dativo holds {version}",
            hint=f"leave the version out, or say whose it is: --variant (dativo info {wanted.name} lists them)",
        )


def _compile(
    lines: list[str],
    wheels: list[sources.Wheel],
    wanted: Wanted,
    *,
    shop: Workshop,
    newest: tuple[str, str] | None,
) -> list[LockedPackage]:
    """The packages, from wheels alone where that is possible: nothing is run then.

    Else, or when wheels alone give an older plugin than its `newest` version (package, version), uv may build, in the
    sandbox; where that gives no newer one, the wheels are taken.
    """
    name, python, bounds = wanted.name, wanted.request.python, wanted.request.constraints
    what, known = f"resolving {name}", {wheel.name: wheel for wheel in wheels}
    try:
        found = parse_compiled(_from_wheels(lines, what, python=python, bounds=bounds, shop=shop), known, name)
    except errors.DativoError as problem:
        lacking = build.lacks_wheel(problem)
        if lacking is None:
            raise
        shop.say(f"{name}: {lacking} has no wheel that fits; what it needs is asked for in the sandbox")
    else:
        if newest is None or any((one.name, one.version) == newest for one in found):
            return found
        shop.say(f"{name} {newest[1]}, or what it needs, has no wheel: that is asked for in the sandbox")
        built = parse_compiled(shop.compile(lines, [], what, python=python, bounds=bounds), known, name)
        older, newer = (_version_of(newest[0], some) for some in (found, built))
        return built if newer is not None and (older is None or newer > older) else found
    text = shop.compile(lines, [wheel.path for wheel in wheels], what, python=python, bounds=bounds)
    return parse_compiled(text, known, name)


def _version_of(name: str, packages: list[LockedPackage]) -> Version | None:
    from packaging.version import Version

    return next((Version(one.version) for one in packages if one.name == name), None)


def _from_wheels(lines: list[str], what: str, *, python: str | None, bounds: Sequence[str], shop: Workshop) -> str:
    with work.folder("resolve") as folder:
        wish = folder / "requirements.in"
        wish.write_text("\n".join(lines) + "\n", encoding="utf-8")
        limits = folder / "constraints.in"
        limits.write_text("".join(f"{one}\n" for one in bounds), encoding="utf-8")
        arguments = ["pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--no-build"]
        arguments += ["--no-strip-extras", "--python", interpreter(python), "--constraints", str(limits), str(wish)]
        return shop.uv.run(arguments, what=what)


def _newest(wanted: Wanted, shop: Workshop) -> tuple[str, str] | None:
    """The newest version on the index that fits the request: (package, version).

    Among wheels alone uv would go back to an older one, where the newest or something that it needs has no wheel; for a
    dependency that is fine, for the plugin that was asked for it is not.
    """
    from packaging.requirements import Requirement

    requirement = Requirement(wanted.requirement)
    specifier = requirement.specifier
    for bound in map(Requirement, wanted.request.constraints):
        if _canonical(bound.name) == _canonical(requirement.name) and (not bound.marker or bound.marker.evaluate()):
            specifier &= bound.specifier
    found = _versions(requirement.name, wanted, shop)
    newest = max(specifier.filter(found), default=None)  # pre-releases as uv takes them: asked for, or nothing else
    return None if newest is None else (_canonical(requirement.name), str(newest))


def latest(wanted: Wanted, shop: Workshop) -> str | None:
    """The newest version on the index for the Python in use, whatever was asked for; None where the index has none."""
    from packaging.requirements import Requirement

    found = [one for one in _versions(Requirement(wanted.requirement).name, wanted, shop) if not one.is_prerelease]
    return str(max(found)) if found else None


def _versions(name: str, wanted: Wanted, shop: Workshop) -> set[Version]:
    """The versions on the index that are not withdrawn."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    if shop.uv.offline:
        return set()
    running = wanted.request.python or ".".join(map(str, sys.version_info[:3]))
    versions: set[Version] = set()
    for one in index.files(shop.indexes, _canonical(name)):
        wheel = one.name.endswith(".whl")
        try:
            version = parse_wheel_filename(one.name)[1] if wheel else parse_sdist_filename(one.name)[1]
            fits = not one.requires_python or SpecifierSet(one.requires_python).contains(running, prereleases=True)
        except (InvalidSdistFilename, InvalidWheelFilename, InvalidSpecifier):
            continue
        if fits and not one.yanked:
            versions.add(version)
    return versions


def parse_compiled(text: str, wheels: dict[str, sources.Wheel], name: str) -> list[LockedPackage]:
    """The packages in uv's requirements output. Every one must have hashes, or it is refused (I7)."""
    packages = []
    for entry in text.replace("\\\n", " ").splitlines():
        found = _PACKAGE.match(entry)
        if not found:
            continue
        package = _canonical(found["name"])
        wheel = wheels.get(package)
        hashes = (wheel.sha256,) if wheel else tuple(_HASH.findall(entry))
        if not hashes or (found["url"] and not wheel):
            raise errors.EnvironmentFault(
                "plugin.install_failed",
                f"{name} needs {package} from {found['url'] or 'a place'} that gives no hash",
                hint="a plugin's packages must come from an index",
            )
        version = wheel.version if wheel else found["version"]
        packages.append(LockedPackage(package, version, hashes, wheel.built if wheel else None))
    return packages


def _script(wanted: Wanted) -> Resolved:
    assert wanted.folder is not None
    digest = script_digest(wanted.folder)
    mode = wanted.folder.stat().st_mode
    if digest is None or not mode & 0o111:
        raise errors.ConfigError(
            "usage", f"{wanted.requirement} is not an executable file", hint=f"chmod +x {wanted.requirement}"
        )
    kind = kind_of(wanted.name, wanted.request.kind) or ""
    plugin = LockedPlugin(
        name=wanted.name,
        kind=kind,
        variant=wanted.variant,
        source="script",
        requirement=wanted.requirement,
        with_=(),
        python=None,
        distribution=None,
        version="0",
        executable=wanted.requirement,
        digest=digest,
        engine=wanted.engine or told_engine(None),
    )
    return Resolved(plugin, {})


def _image(wanted: Wanted) -> Resolved:
    digest = airbyte.pulled(wanted.requirement)
    plugin = LockedPlugin(
        name=wanted.name,
        kind=wanted.request.kind or "",
        variant=None,
        source="docker",
        requirement=wanted.requirement,
        with_=(),
        python=None,
        distribution=None,
        version=airbyte.image(wanted.requirement)[1],
        executable="docker",
        digest=digest,
        engine=airbyte.ENGINE,
    )
    return Resolved(plugin, {})


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
