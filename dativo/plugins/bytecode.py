"""Bytecode of an environment, compiled when it is installed and kept in the cache by what it was compiled from.

A pack holds the bytecode of one top folder of site-packages. Its name is a hash over the Python that made it and over
the path and SHA-256 of every source in it, as they lie in the environment: what a package says about itself (RECORD)
has no say, so one package cannot slip bytecode to another. The bytecode is of the kind that Python does not compare
with the source (PEP 552, unchecked): the sources are sealed with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dativo import children
from dativo.config.paths import cache_dir
from dativo.dataclass import dataclass

FORMAT = "1"
PATIENCE = 900.0
_ASK = "import importlib.util as u, sys; print(sys.implementation.cache_tag, u.MAGIC_NUMBER.hex())"


@dataclass(frozen=True)
class _Group:
    """A top folder, or module, of site-packages: its sources by their path in the environment."""

    place: Path
    sources: dict[str, str]
    """Path -> SHA-256."""


def compile_all(made: Path, sources: Mapping[str, str]) -> dict[str, str]:
    """Put the bytecode of all `sources` (path in `made` -> SHA-256) in place: its own path -> SHA-256.

    Sources that do not compile (templates, Python 2) have none, as with `python -m compileall`. Raises OSError.
    """
    python = made / "bin" / "python"
    tag, kind = _python(python)
    found: dict[str, str] = {}
    missing: list[tuple[_Group, Path]] = []
    for group in _groups(made, sources):
        pack = _pack(group, kind)
        taken = _unpack(pack, made)
        if taken is None:
            missing.append((group, pack))
        else:
            found |= taken
    if missing:
        _compile(python, [group.place for group, _ in missing])
        for group, pack in missing:
            found |= _keep(pack, made, [name for source in group.sources if (name := _compiled(made, source, tag))])
    return found


def _python(python: Path) -> tuple[str, str]:
    """The tag in the names of its bytecode, and the kind of bytecode that it makes."""
    if os.path.realpath(python) == os.path.realpath(sys.executable):
        from importlib.util import MAGIC_NUMBER

        return str(sys.implementation.cache_tag), f"{sys.implementation.cache_tag} {MAGIC_NUMBER.hex()}"
    words = children.run([str(python), "-I", "-S", "-c", _ASK], timeout=PATIENCE).stdout.split()
    if len(words) != 2:
        raise OSError(0, f"{python} does not answer")
    return words[0], " ".join(words)


def _groups(made: Path, sources: Mapping[str, str]) -> Iterator[_Group]:
    held: dict[str, dict[str, str]] = {}
    for name, digest in sources.items():
        lib, version, site, top, *_ = (*name.split("/", 4), "", "", "")
        if (lib, site) == ("lib", "site-packages") and version.startswith("python3"):
            held.setdefault(f"{lib}/{version}/{site}/{top}", {})[name] = digest
    for top, group in held.items():
        yield _Group(made / top, group)


def _pack(group: _Group, kind: str) -> Path:
    text = "\n".join([FORMAT, kind, *(f"{name} {digest}" for name, digest in sorted(group.sources.items()))])
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return cache_dir() / "bytecode" / digest[:2] / digest[2:40]


def _unpack(pack: Path, made: Path) -> dict[str, str] | None:
    try:
        raw = memoryview(pack.read_bytes())
        head, at = json.loads(bytes(raw[8 : 8 + int.from_bytes(raw[:8])])), 8 + int.from_bytes(raw[:8])
        if at + sum(size for _, size in head) != len(raw):
            return None
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    found: dict[str, str] = {}
    folders: set[str] = set()
    for name, size in head:
        body = raw[at : at + size]
        at += size
        path = f"{made}/{name}"
        folder = path.rpartition("/")[0]
        if folder not in folders:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            folders.add(folder)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o444)
        try:
            while body:
                body = body[os.write(handle, body) :]
        finally:
            os.close(handle)
        found[name] = hashlib.sha256(raw[at - size : at]).hexdigest()
    return found


def _compile(python: Path, places: list[Path]) -> None:
    listing = "".join(f"{place}\n" for place in places)
    options = ["-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-i", "-"]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}  # noqa: S108
    children.run([str(python), "-I", "-m", "compileall", *options], given=listing, timeout=PATIENCE, env=environment)


def _compiled(made: Path, source: str, tag: str) -> str | None:
    folder, _, name = source.rpartition("/")
    path = f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
    return path if (made / path).is_file() else None


def _keep(pack: Path, made: Path, names: list[str]) -> dict[str, str]:
    """Write a pack (a failure costs the next install some time, no more) and return the hashes."""
    bodies = [(made / name).read_bytes() for name in names]
    head = json.dumps([[name, len(body)] for name, body in zip(names, bodies, strict=True)]).encode()
    with suppress(OSError):
        pack.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = pack.with_name(f".{pack.name}.{os.urandom(4).hex()}")
        try:
            partial.write_bytes(b"".join([len(head).to_bytes(8), head, *bodies]))
            partial.replace(pack)
        finally:
            partial.unlink(missing_ok=True)
    return {name: hashlib.sha256(body).hexdigest() for name, body in zip(names, bodies, strict=True)}
