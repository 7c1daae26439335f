"""Wheels that no index has: built from a folder, a git commit, a source distribution or Dativo's checkout.

They are kept in the cache by hash: cache_dir()/wheels/SHA256/NAME.whl. cache_dir()/built says which of them was made of
what: a source distribution by its hash, or the checkout by the times of its files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from pathlib import Path

from dativo import children, errors
from dativo.config.paths import cache_dir
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins import airbyte, firstparty, index, seal, uv, work
from dativo.plugins.build import Workshop
from dativo.plugins.environment import interpreter
from dativo.plugins.lockfile import LockedPackage
from dativo.plugins.package import hidden

SDISTS = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")
_PARTS = ("protocol", "native", "taps", "targets")
"""What our plugins in a checkout are built from."""
_PASSING = (".git", ".venv", "target", "__pycache__", "tests")


@dataclass(frozen=True)
class Wheel:
    """A built wheel; `built` is how the lock file says where it came from."""

    name: str
    version: str
    path: Path
    sha256: str
    built: str


def from_folder(folder: Path, built: str, *, python: str | None, shop: Workshop) -> Wheel:
    """Build a folder's wheel and keep it by its hash: confined, or as it is when it is Dativo's own or trusted.

    A folder is built by one process at a time: build tools keep things in it, or beside it (CARGO_TARGET_DIR).
    """
    root = firstparty.checkout()
    own = root is not None and folder in {root / one for one in firstparty.FOLDERS.values()}
    with work.folder("wheel") as out:
        if not own and not shop.trusting:
            return _keep(shop.wheel(folder, folder.name, python=python, out=out), built)
        with _alone(root if own and root else folder):
            key = _checkout_key(root, folder, python) if own and root else None
            if key is not None and (made := _made_before(key)) is not None:
                return _wheel(made, built)
            wheel = _keep(_as_it_is(folder, out, python=python, shop=shop), built)
            if key is not None:
                _note(key, wheel)
            return wheel


def _as_it_is(folder: Path, out: Path, *, python: str | None, shop: Workshop) -> Path:
    what = f"building {folder.name}"
    shop.uv.run(["build", "--wheel", "--python", interpreter(python), "--out-dir", str(out), str(folder)], what=what)
    made = sorted(out.glob("*.whl"))
    if len(made) != 1:
        raise errors.EnvironmentFault("plugin.install_failed", f"{what} made {len(made)} wheels, not one")
    return made[0]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time, for all homes of Dativo: the locks are on what is there anyway.

    Where cargo keeps what it makes in one place for several folders, maturin writes its wheels there too.
    """
    places = [next(path for name in ("pyproject.toml", "setup.py") if (path := folder / name).is_file())]
    if shared := os.environ.get("CARGO_TARGET_DIR"):
        Path(shared).mkdir(parents=True, exist_ok=True)
        places.append(Path(shared))
    with contextlib.ExitStack() as stack:
        for place in places:
            handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _checkout_key(root: Path, folder: Path, python: str | None) -> str:
    """A name for the state of a checkout: its files by size and time, and what else decides about a build."""
    told = [str(folder), interpreter(python)]
    told += [f"{key}={value}" for key, value in sorted(os.environ.items()) if key.startswith(("CARGO", "RUST"))]
    for part in _PARTS:
        for parent, folders, names in os.walk(root / part):
            folders[:] = sorted(name for name in folders if name not in _PASSING)
            for name in sorted(names):
                about = os.lstat(f"{parent}/{name}")
                told.append(f"{parent}/{name} {about.st_size} {about.st_mtime_ns}")
    return "checkout-" + hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()


def from_manifest(path: Path, name: str, built: str) -> Wheel:
    """The wheel of a declarative manifest; nothing is run for it."""
    with work.folder("manifest") as out:
        return _keep(airbyte.wheel(path, name, out), built)


def from_git(url: str, rev: str | None, folder: str | None, *, python: str | None, shop: Workshop) -> Wheel:
    """Build the wheel of one commit, confined; the lock names the commit whatever `rev` was."""
    if shop.uv.offline:
        raise errors.EnvironmentFault(
            "plugin.install_failed", f"{url} cannot be fetched", hint="leave --offline out once to fill the cache"
        )
    with work.folder("git") as place:
        clone, out = place / "clone", place / "out"
        clone.mkdir()
        out.mkdir()
        commit = fetch(url, rev, clone)
        source = (clone / folder).resolve() if folder else clone
        if not source.is_relative_to(clone.resolve()) or not source.is_dir():  # I12
            raise errors.ConfigError("usage", f"{url} has no folder {folder} at {commit[:12]}", hint="#subdirectory=…")
        suffix = f"#subdirectory={folder}" if folder else ""
        name = url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
        made = shop.wheel(clone, f"{name} at {commit[:12]}", python=python, out=out, inside=folder or "")
        return _keep(made, f"git+{url}@{commit}{suffix}")


def from_sdist(package: LockedPackage, *, python: str | None, shop: Workshop) -> Path:
    """The wheel of a package that the index has as a source distribution only: built confined, once a Python."""
    if (kept := kept_build(package, python)) is not None:
        return kept
    found = [
        one
        for one in ([] if shop.uv.offline else index.files(shop.indexes, package.name))
        if one.name.lower().endswith(SDISTS) and f"sha256:{one.sha256}" in package.hashes
    ]
    what = f"{package.name} {package.version}"
    if not found:
        raise errors.EnvironmentFault(
            "plugin.install_failed", f"{what} has no wheel for this machine, and no source that could be built",
            hint="leave --offline out" if shop.uv.offline else None,
        )  # fmt: skip
    with work.folder("sdist") as place:
        source = index.download(found[0], place, package.hashes)
        (place / "out").mkdir()
        shop.say(f"{what} has no wheel: built in the sandbox")
        wheel = _keep(shop.wheel(source, what, python=python, out=place / "out"), f"sdist:{found[0].name}")
        if (wheel.name, wheel.version) != (package.name, _plain(package.version)):
            raise errors.EnvironmentFault(
                "plugin.install_failed", f"the source of {what} builds {wheel.name} {wheel.version}"
            )
        _note(_sdist_key(f"sha256:{found[0].sha256}", python), wheel)
        return wheel.path


def kept_build(package: LockedPackage, python: str | None) -> Path | None:
    """The wheel that was built of one of a package's source distributions before."""
    return next((kept for one in package.hashes if (kept := _made_before(_sdist_key(one, python))) is not None), None)


def kept_builds(packages: Sequence[LockedPackage], python: str | None) -> dict[str, Path]:
    """Those of all packages."""
    folder = cache_dir() / "built"
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    some = [one for one in packages if any(_sdist_key(digest, python) in names for digest in one.hashes)]
    return {package.name: kept for package in some if (kept := kept_build(package, python)) is not None}


def _sdist_key(digest: str, python: str | None) -> str:
    return f"sdist-{python or 'own'}-{digest.removeprefix('sha256:')}"


def _note(key: str, wheel: Wheel) -> None:
    path = cache_dir() / "built" / key
    path.parent.mkdir(mode=0o700, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}-{os.urandom(4).hex()}")
    partial.write_text(json.dumps(wheel.sha256), encoding="utf-8")
    partial.replace(path)


def _made_before(key: str) -> Path | None:
    """The wheel that was noted under a key, if it is still there and whole."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        digest = str(json.loads((cache_dir() / "built" / key).read_bytes()))
        return _kept(digest)
    return None


def _kept(digest: str) -> Path | None:
    found = sorted((cache_dir() / "wheels" / digest.removeprefix("sha256:")).glob("*.whl"))
    return found[0] if found and sha256(found[0]) == digest else None


def with_own_dependencies(wheel: Wheel, *, python: str | None, shop: Workshop) -> list[Wheel]:
    """The wheel and those of our distributions it depends on that the checkout can build, in the order found."""
    found = {wheel.name: wheel}
    waiting = [wheel]
    while waiting:
        for name in _dependencies(waiting.pop().path):
            folder = firstparty.folder(name)
            if name in found or folder is None:
                continue
            found[name] = from_folder(folder, f"checkout:{firstparty.FOLDERS[name]}", python=python, shop=shop)
            waiting.append(found[name])
    return list(found.values())


def locked_wheel(package: LockedPackage, project: Project, *, python: str | None, shop: Workshop) -> Wheel:
    """The wheel a lock file pins: from the cache, else built again. The caller compares hashes."""
    assert package.built
    for digest in package.hashes:
        if (kept := _kept(digest)) is not None:
            return Wheel(package.name, package.version, kept, digest, package.built)
    kind, _, place = package.built.partition(":")
    if package.built.startswith("git+"):
        found = re.fullmatch(r"git\+(.+)@([0-9a-f]{40,64})(?:#subdirectory=(.+))?", package.built)
        if found:
            return from_git(found[1], found[2], found[3], python=python, shop=shop)
    if kind == "path" and (project.root / place).is_dir():
        return from_folder((project.root / place).resolve(), package.built, python=python, shop=shop)
    if kind == "manifest" and (project.root / place).is_file():
        name = package.name.removeprefix("dativo-manifest-")
        return from_manifest((project.root / place).resolve(), name, package.built)
    if kind == "checkout":
        folder = firstparty.folder(package.name)
        if folder is not None:
            return from_folder(folder, package.built, python=python, shop=shop)
        hint = "run `dativo sync` without --frozen: it is then taken from the package index"
    else:
        hint = "restore it, or run `dativo add` again"
    raise errors.EnvironmentFault("plugin.install_failed", f"{package.name}: {package.built} is not here", hint=hint)


def _keep(made: Path, built: str) -> Wheel:
    digest = sha256(made)
    place = cache_dir() / "wheels" / digest.removeprefix("sha256:")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = place / f".{os.getpid()}-{os.urandom(4).hex()}"
    shutil.copyfile(made, partial)
    return _wheel(partial.replace(place / made.name), built)


def _wheel(path: Path, built: str) -> Wheel:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as problem:
        raise errors.EnvironmentFault("plugin.install_failed", f"{path.name} is no wheel's name") from problem
    return Wheel(str(name), str(version), path, sha256(path), built)


def _plain(version: str) -> str:
    from packaging.version import Version

    return str(Version(version))


def sha256(path: Path) -> str:
    """The hash of a file as lock files write it."""
    return "sha256:" + seal.digest_of(path)


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
        try:
            _git(clone, "checkout", "--quiet", "--detach", rev, "--")
        except errors.EnvironmentFault:
            raise errors.EnvironmentFault(
                "plugin.install_failed",
                f"{hidden(url)} has no branch, tag or commit {rev}",
                hint="leave @REV out for its default branch",
            ) from None
    return _git(clone, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file", "LC_ALL": "C"}
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", *arguments]
    try:
        done = children.run(command, cwd=folder, env=environment)
    except OSError as problem:
        raise errors.EnvironmentFault(
            "plugin.install_failed", "git was not found", hint="install git, or give a path"
        ) from problem
    if done.returncode:
        raise uv.failure(f"git {arguments[0]}", done.stderr, offline=False)
    return done.stdout
