"""One private virtual environment per lock digest, in data_dir()/envs: built aside, renamed into place, never edited.

`dativo-env.json` is written last: an environment without it is half made and is built again. It holds the quick look at
all files (`seal.fingerprint`) that every start compares; `dativo-files.json` lists every file's hash (I7). Files and
folders are read-only.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dativo import errors
from dativo.config import atomic
from dativo.config.paths import data_dir
from dativo.dataclass import dataclass
from dativo.plugins import seal, twin, work
from dativo.plugins.lockfile import LockedPackage, LockedPlugin
from dativo.plugins.uv import Uv, run
from dativo.plugins.work import MARKER, USERS

FILES, MANIFEST = "dativo-files.json", "dativo-manifest.json"
OWN = (MARKER, FILES, USERS, MANIFEST)


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
    # exists() follows links: the interpreter under bin/python may have been removed
    return (
        _marker(path).get("digest") == plugin.digest
        and (path / "bin" / "python").exists()
        and (path / "bin" / plugin.executable).exists()
    )


def untouched(plugin: LockedPlugin) -> bool:
    """Whether every file is the one that was installed: by a look at each, by its bytes where the look says no.

    It is what every start of a plugin costs: no file is read as long as nobody wrote to one.
    """
    path = folder(plugin)
    try:
        seen = seal.fingerprint(path, OWN)
    except OSError:
        return False
    if _marker(path).get("seal") == seen:
        return True
    if changed_files(plugin):
        return False
    with suppress(OSError):  # a copy, or moved here: the bytes are right, and the next look is quick again
        _finish(path, plugin, seen)
    return True


def _marker(path: Path) -> dict[str, object]:
    try:
        found = json.loads((path / MARKER).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _finish(path: Path, plugin: LockedPlugin, seen: str) -> None:
    _put(
        path / MARKER,
        json.dumps({"digest": plugin.digest, "name": plugin.name, "version": plugin.version, "seal": seen}),
    )


def build(plugin: LockedPlugin, wheels: dict[str, Path], *, uv: Uv, index: bool = True) -> Built:
    """Make the environment, or take the one that is there. Nothing is left behind when it fails.

    `wheels` are files for packages that are not taken from an index; without `index` nothing else is.
    """
    target = folder(plugin)
    if ready(plugin):
        return Built(target, False)
    with work.folder(plugin.name, target.parent) as aside:
        made = aside / "env"
        try:
            if not twin.take(plugin, made, FILES, OWN):
                _install(plugin, made, wheels, uv=uv, index=index)
                _seal(made, plugin)
            twin.keep(plugin, made, OWN, FILES)
            _finish(made, plugin, seal.fingerprint(made, OWN))  # a link more is another ctime
            return Built(target, _rename(made, target, plugin))
        except OSError as problem:
            raise atomic.fault(problem, target) from problem


def _install(plugin: LockedPlugin, made: Path, wheels: dict[str, Path], *, uv: Uv, index: bool) -> None:
    python = interpreter(plugin.python)
    what = f"installing {plugin.name}"
    uv.run(["venv", "--quiet", "--relocatable", "--no-project", "--python", python, str(made)], what=what)
    listing = made.parent / "requirements.txt"
    listing.write_text("".join(pinned(package, wheels) for package in plugin.packages), encoding="utf-8")
    # Nothing is built here: what has no wheel was built in the sandbox, and is among `wheels`.
    arguments = ["pip", "sync", "--quiet", "--require-hashes", "--no-build", "--allow-empty-requirements"]
    arguments += [] if index else ["--no-index"]
    uv.run([*arguments, "--python", str(made / "bin" / "python"), str(listing)], what=what)


def _seal(made: Path, plugin: LockedPlugin) -> None:
    """Compile, list what is there, take the right to write, and note that it is whole."""
    from dativo.plugins import bytecode

    found = seal.hashes(made, OWN)
    found |= bytecode.compile_all(made, {name: one for name, one in found.items() if name.endswith(".py")})
    _put(made / FILES, json.dumps(found, separators=(",", ":")))
    seal.make_read_only(made)


def pinned(package: LockedPackage, wheels: dict[str, Path]) -> str:
    """One line of a requirements file: exact version, every hash."""
    wheel = wheels.get(package.name)
    what = f"{package.name} @ {wheel.as_uri()}" if wheel else f"{package.name}=={package.version}"
    hashes = package.hashes if wheel is None else (f"sha256:{seal.digest_of(wheel)}",)
    return " \\\n    ".join([what, *(f"--hash={item}" for item in hashes)]) + "\n"


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


def has_python(version: str) -> bool:
    """Whether uv has that Python here, without fetching one."""
    if interpreter(version).startswith("/"):
        return True
    with suppress(errors.DativoError):
        run(["python", "find", version], what=f"looking for Python {version}", offline=True)
        return True
    return False


def tags(made: Path, distribution: str) -> set[str]:
    """The tags of the wheel that a distribution was installed from."""
    files = [path / "WHEEL" for path in _metadata(made) if _named(path) == distribution]
    lines = files[0].read_text(encoding="utf-8").splitlines() if files else []
    return {line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")}


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
    """Files that are no longer what was installed: changed, gone, or new. Reads them all."""
    path = folder(plugin)
    try:
        recorded: dict[str, str] = json.loads((path / FILES).read_bytes())
        return seal.differences(recorded, seal.hashes(path, OWN))
    except (OSError, ValueError, AttributeError):
        return [FILES]


def discard(plugin: LockedPlugin) -> None:
    """Remove an environment, whole or broken. The rename first makes it vanish at once."""
    path = folder(plugin)
    gone = path.with_name(f"{work.GONE}{os.urandom(6).hex()}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise atomic.fault(problem, path) from problem
    seal.clear(gone)


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
        if work.named(Path(note.read_text(encoding="utf-8")), plugin.digest):
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
