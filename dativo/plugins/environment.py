"""One private virtual environment per lock digest, in data_dir()/envs: built aside, renamed into place, never edited.

`dativo-env.json` is written last: an environment without it is half made and is built again. `dativo-files.json` lists
every file's hash, so that a changed file is found (I7).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dativo import errors
from dativo.config import atomic
from dativo.config.paths import data_dir
from dativo.plugins.lockfile import LockedPackage, LockedPlugin

MARKER, FILES, USERS, MANIFEST = "dativo-env.json", "dativo-files.json", "dativo-users", "dativo-manifest.json"
_OWN = (MARKER, FILES, USERS, MANIFEST)


@dataclass(frozen=True)
class Built:
    """A finished environment and whether this call made it."""

    path: Path
    fresh: bool


def folder(plugin: LockedPlugin) -> Path:
    """Where a plugin's environment is, made or not."""
    return data_dir() / "envs" / plugin.environment


def ready(plugin: LockedPlugin) -> bool:
    """Whether the environment is finished and its interpreter still exists. Cheap: three stats and one small file."""
    path = folder(plugin)
    try:
        marker = json.loads((path / MARKER).read_bytes())
    except (OSError, ValueError):
        return False
    same = isinstance(marker, dict) and marker.get("digest") == plugin.digest
    # exists() follows links: the interpreter under bin/python may have been removed
    return same and (path / "bin" / "python").exists() and (path / "bin" / plugin.executable).exists()


def build(plugin: LockedPlugin, wheels: dict[str, Path], *, offline: bool) -> Built:
    """Make the environment, or take the one that is there. Nothing is left behind when it fails."""
    import shutil
    import tempfile

    target = folder(plugin)
    if ready(plugin):
        return Built(target, False)
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    except OSError as problem:
        raise atomic.fault(problem, target.parent) from problem
    try:
        made = work / "env"
        _install(plugin, made, wheels, offline=offline)
        _put(made / FILES, json.dumps(dict(_hashes(made)), separators=(",", ":")))
        _put(made / MARKER, json.dumps({"digest": plugin.digest, "name": plugin.name, "version": plugin.version}))
        return Built(target, _rename(made, target, plugin))
    except OSError as problem:
        raise atomic.fault(problem, target) from problem
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _install(plugin: LockedPlugin, made: Path, wheels: dict[str, Path], *, offline: bool) -> None:
    from dativo.plugins import uv

    python = interpreter(plugin.python)
    what = f"installing {plugin.name}"
    uv.run(
        ["venv", "--quiet", "--relocatable", "--no-project", "--python", python, str(made)], what=what, offline=offline
    )
    listing = made.parent / "requirements.txt"
    listing.write_text("".join(pinned(package, wheels) for package in plugin.packages), encoding="utf-8")
    arguments = ["pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--allow-empty-requirements"]
    uv.run([*arguments, "--python", str(made / "bin" / "python"), str(listing)], what=what, offline=offline)


def pinned(package: LockedPackage, wheels: dict[str, Path]) -> str:
    """One line of a requirements file: exact version, every hash."""
    wheel = wheels.get(package.name)
    what = f"{package.name} @ {wheel.as_uri()}" if wheel else f"{package.name}=={package.version}"
    return " \\\n    ".join([what, *(f"--hash={item}" for item in package.hashes)]) + "\n"


def _rename(made: Path, target: Path, plugin: LockedPlugin) -> bool:
    """Put the finished environment in place; whether ours is the one that stands there now."""
    for _ in range(3):
        try:
            made.rename(target)
        except OSError:
            if ready(plugin):
                return False  # another process finished the same one first
            if not target.exists():
                raise
            target.rename(made.parent / f"broken-{os.urandom(4).hex()}")  # half made or damaged
        else:
            return True
    raise errors.EnvironmentFault("plugin.install_failed", f"{target} is being changed by another program")


def interpreter(version: str | None) -> str:
    """What uv is told: this Python when the version is its own, else the version (uv finds or fetches it)."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version in (None, own):
        return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    return str(version)


def scripts(made: Path, distribution: str) -> list[str]:
    """The commands that a distribution put into bin/, from its RECORD (entry points and compiled programs alike)."""
    import csv

    record = next((path / "RECORD" for path in _metadata(made) if _named(path) == distribution), None)
    if record is None:
        return []
    with record.open(encoding="utf-8", newline="") as stream:
        paths = [row[0] for row in csv.reader(stream) if row]
    return sorted(Path(path).name for path in paths if path.startswith("../../../bin/"))


def _metadata(made: Path) -> Iterator[Path]:
    return made.glob("lib/python3*/site-packages/*.dist-info")


def _named(metadata: Path) -> str:
    return metadata.name.removesuffix(".dist-info").rsplit("-", 1)[0].lower().replace("_", "-").replace(".", "-")


def changed_files(plugin: LockedPlugin) -> list[str]:
    """Files that are no longer what was installed: changed, gone, or new outside __pycache__."""
    path = folder(plugin)
    try:
        recorded: dict[str, str] = json.loads((path / FILES).read_bytes())
    except (OSError, ValueError):
        return [FILES]
    present = dict(_hashes(path))
    changed = [name for name, digest in recorded.items() if present.get(name) != digest]
    new = [name for name in present.keys() - recorded.keys() if "__pycache__/" not in name]
    return sorted([*changed, *new])


def _hashes(made: Path) -> Iterator[tuple[str, str]]:
    for parent, folders, files in os.walk(made):
        ours = _OWN if Path(parent) == made else ()
        folders[:] = [name for name in folders if name not in ours]
        for name in sorted(set(files).difference(ours)):
            path = Path(parent) / name
            if path.is_symlink():
                yield str(path.relative_to(made)), f"link:{path.readlink()}"
            else:
                with path.open("rb") as stream:
                    yield str(path.relative_to(made)), hashlib.file_digest(stream, "sha256").hexdigest()


def discard(plugin: LockedPlugin) -> None:
    """Remove an environment, whole or broken. The rename first makes it vanish at once."""
    import shutil

    path = folder(plugin)
    gone = path.with_name(f".gone-{os.urandom(6).hex()}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise atomic.fault(problem, path) from problem
    shutil.rmtree(gone, ignore_errors=True)


def claim(plugin: LockedPlugin, lock_file: Path) -> None:
    """Note that a lock file uses this environment: it is shared between projects."""
    users = folder(plugin) / USERS
    users.mkdir(exist_ok=True)
    _put(users / _key(lock_file), str(lock_file.absolute()))


def release(plugin: LockedPlugin, lock_file: Path) -> bool:
    """Take the note back and remove the environment when no other lock file uses it. Whether it was removed."""
    users = folder(plugin) / USERS
    (users / _key(lock_file)).unlink(missing_ok=True)
    for note in users.glob("*") if users.is_dir() else ():
        other = Path(note.read_text(encoding="utf-8"))
        if other.is_file() and plugin.digest in other.read_text(encoding="utf-8", errors="replace"):
            return False
    discard(plugin)
    return True


def _key(lock_file: Path) -> str:
    return hashlib.sha256(os.fsencode(lock_file.absolute())).hexdigest()[:24]


def _put(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_manifest(plugin: LockedPlugin, manifest: dict[str, object]) -> None:
    """Keep a probed manifest beside the environment's files."""
    _put(folder(plugin) / MANIFEST, json.dumps(manifest))
