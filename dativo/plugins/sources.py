"""Wheels that are on no index: built from a folder, a git commit or Dativo's checkout, kept in the cache by hash."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from dativo import errors
from dativo.config.paths import cache_dir
from dativo.config.project import Project
from dativo.plugins import firstparty, uv
from dativo.plugins.environment import interpreter
from dativo.plugins.lockfile import LockedPackage


@dataclass(frozen=True)
class Wheel:
    """A built wheel; `built` is how the lock file says where it came from."""

    name: str
    version: str
    path: Path
    sha256: str
    built: str


def from_folder(folder: Path, built: str, *, python: str | None, offline: bool) -> Wheel:
    """Build a folder's wheel (in place, with the user's own CARGO_TARGET_DIR and the like) and keep it by its hash."""
    with tempfile.TemporaryDirectory(prefix="dativo-wheel-") as out:
        what = f"building {folder.name}"
        arguments = ["build", "--wheel", "--python", interpreter(python), "--out-dir", out, str(folder)]
        uv.run(arguments, what=what, offline=offline)
        made = sorted(Path(out).glob("*.whl"))
        if len(made) != 1:
            raise errors.EnvironmentFault("plugin.install_failed", f"{what} made {len(made)} wheels, not one")
        return _keep(made[0], built)


def from_git(url: str, rev: str | None, folder: str | None, *, python: str | None, offline: bool) -> Wheel:
    """Build the wheel of one commit; the lock names the commit whatever `rev` was."""
    if offline:
        raise errors.EnvironmentFault(
            "plugin.install_failed", f"{url} cannot be fetched", hint="leave --offline out once to fill the cache"
        )
    with tempfile.TemporaryDirectory(prefix="dativo-git-") as clone:
        commit = fetch(url, rev, Path(clone))
        source = (Path(clone) / folder).resolve() if folder else Path(clone)
        if not source.is_relative_to(Path(clone).resolve()) or not source.is_dir():  # I12
            raise errors.ConfigError("usage", f"{url} has no folder {folder} at {commit[:12]}", hint="#subdirectory=…")
        suffix = f"#subdirectory={folder}" if folder else ""
        return from_folder(source, f"git+{url}@{commit}{suffix}", python=python, offline=offline)


def with_own_dependencies(wheel: Wheel, *, python: str | None, offline: bool) -> list[Wheel]:
    """The wheel and those of our distributions it depends on that the checkout can build, in the order found."""
    found = {wheel.name: wheel}
    waiting = [wheel]
    while waiting:
        for name in _dependencies(waiting.pop().path):
            folder = firstparty.folder(name)
            if name in found or folder is None:
                continue
            found[name] = from_folder(folder, f"checkout:{firstparty.FOLDERS[name]}", python=python, offline=offline)
            waiting.append(found[name])
    return list(found.values())


def locked_wheel(package: LockedPackage, project: Project, *, python: str | None, offline: bool) -> Wheel:
    """The wheel a lock file pins: from the cache, else built again. The caller compares hashes."""
    assert package.built
    for digest in package.hashes:
        kept = sorted((cache_dir() / "wheels" / digest.removeprefix("sha256:")).glob("*.whl"))
        if kept and _sha256(kept[0]) == digest:
            return Wheel(package.name, package.version, kept[0], digest, package.built)
    kind, _, place = package.built.partition(":")
    if package.built.startswith("git+"):
        found = re.fullmatch(r"git\+(.+)@([0-9a-f]{40,64})(?:#subdirectory=(.+))?", package.built)
        if found:
            return from_git(found[1], found[2], found[3], python=python, offline=offline)
    if kind == "path" and (project.root / place).is_dir():
        return from_folder((project.root / place).resolve(), package.built, python=python, offline=offline)
    if kind == "checkout":
        folder = firstparty.folder(package.name)
        if folder is not None:
            return from_folder(folder, package.built, python=python, offline=offline)
        hint = "run `dativo sync` without --frozen: it is then taken from the package index"
    else:
        hint = "restore it, or run `dativo add` again"
    raise errors.EnvironmentFault("plugin.install_failed", f"{package.name}: {package.built} is not here", hint=hint)


def _keep(made: Path, built: str) -> Wheel:
    from packaging.utils import parse_wheel_filename

    name, version, _, _ = parse_wheel_filename(made.name)
    digest = _sha256(made)
    place = cache_dir() / "wheels" / digest.removeprefix("sha256:")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = place / f".{os.getpid()}-{os.urandom(4).hex()}"
    shutil.copyfile(made, partial)
    return Wheel(str(name), str(version), partial.replace(place / made.name), digest, built)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def _dependencies(wheel: Path) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = HeaderParser().parsestr(archive.read(inside).decode()).get_all("Requires-Dist") or []
    return [canonicalize_name(Requirement(line).name) for line in lines]


def fetch(url: str, rev: str | None, clone: Path) -> str:
    """Check a revision out and return its commit. Only transports that run no command of the URL's choosing."""
    _git(clone, "init", "--quiet")
    _git(clone, "remote", "add", "origin", "--", url)
    try:
        _git(clone, "fetch", "--quiet", "--depth", "1", "origin", "--", rev or "HEAD")
        _git(clone, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    except errors.EnvironmentFault:
        if rev is None or rev.startswith("-"):
            raise
        _git(clone, "fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        _git(clone, "checkout", "--quiet", "--detach", rev)
    return _git(clone, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file", "LC_ALL": "C"}
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
    except OSError as problem:
        raise errors.EnvironmentFault(
            "plugin.install_failed", "git was not found", hint="install git, or give a path"
        ) from problem
    if done.returncode:
        raise uv.failure(f"git {arguments[0]}", done.stderr, offline=False)
    return done.stdout
