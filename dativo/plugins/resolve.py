"""From a request to a lock entry: every package of the plugin's environment with its version and all its hashes."""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import firstparty, sources, uv
from dativo.plugins.environment import interpreter
from dativo.plugins.installed import script_digest
from dativo.plugins.lockfile import LockedPackage, LockedPlugin
from dativo.plugins.requirement import Wanted, kind_of

_PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:==\s*(?P<version>[^\s;\\]+)|@\s*(?P<url>\S+))")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Resolved:
    """A lock entry without its executable, and the local wheels it needs."""

    plugin: LockedPlugin
    wheels: dict[str, Path]


def resolve(wanted: Wanted, project: Project, *, offline: bool) -> Resolved:
    """Ask uv which packages the plugin consists of. A script consists of itself."""
    if wanted.source == "script":
        return _script(wanted)
    python = wanted.request.python
    wheels = _wheels(wanted, project, python=python, offline=offline)
    main = wheels[0].name if wheels else _canonical(wanted.distribution or "")
    lines = [f"{wheel.name} @ {wheel.path.as_uri()}" for wheel in wheels] or [wanted.requirement]
    packages = _compile([*lines, *wanted.request.with_], wheels, wanted.name, python=python, offline=offline)
    version = next((package.version for package in packages if package.name == main), None)
    if version is None:
        raise errors.EnvironmentFault("plugin.install_failed", f"{wanted.name}: uv resolved no package {main}")
    plugin = LockedPlugin(
        name=wanted.name,
        kind=kind_of(wanted.name, wanted.request.kind) or "",
        variant=wanted.variant,
        source=wanted.source,
        requirement=wanted.requirement,
        with_=wanted.request.with_,
        python=python or f"{sys.version_info.major}.{sys.version_info.minor}",
        distribution=main,
        version=version,
        executable="",
        digest="",
        packages=tuple(packages),
    )
    return Resolved(plugin.with_digest(), {wheel.name: wheel.path for wheel in wheels})


def _wheels(wanted: Wanted, project: Project, *, python: str | None, offline: bool) -> list[sources.Wheel]:
    """The wheels to build first: the plugin's own (at the front), then those of ours that it depends on."""
    if wanted.source == "path":
        assert wanted.folder is not None
        first = sources.from_folder(
            wanted.folder, f"path:{project.shown_path(wanted.folder)}", python=python, offline=offline
        )
    elif wanted.source == "git":
        assert wanted.url is not None
        first = sources.from_git(wanted.url, wanted.rev, wanted.subdirectory, python=python, offline=offline)
    else:
        folder = firstparty.folder(wanted.distribution or "")
        if folder is None:
            return []
        relative = firstparty.FOLDERS[wanted.distribution or ""]
        first = sources.from_folder(folder, f"checkout:{relative}", python=python, offline=offline)
        _fits(first, wanted)
    return sources.with_own_dependencies(first, python=python, offline=offline)


def _fits(wheel: sources.Wheel, wanted: Wanted) -> None:
    from packaging.requirements import Requirement

    wants = Requirement(wanted.requirement).specifier
    if not wants.contains(wheel.version, prereleases=True):
        raise errors.ConfigError(
            "plugin.unknown",
            f"{wanted.name}{wants} is wanted, but this checkout of Dativo holds {wheel.version}",
            hint="leave the version out",
        )


def _compile(
    lines: list[str], wheels: list[sources.Wheel], name: str, *, python: str | None, offline: bool
) -> list[LockedPackage]:
    with tempfile.TemporaryDirectory(prefix="dativo-resolve-") as folder:
        wish = Path(folder) / "requirements.in"
        wish.write_text("\n".join(lines) + "\n", encoding="utf-8")
        arguments = [
            "pip",
            "compile",
            "--quiet",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--no-strip-extras",
        ]
        text = uv.run(
            [*arguments, "--python", interpreter(python), str(wish)], what=f"resolving {name}", offline=offline
        )
    return parse_compiled(text, {wheel.name: wheel for wheel in wheels}, name)


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
    )
    return Resolved(plugin, {})


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
