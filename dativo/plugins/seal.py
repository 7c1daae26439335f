"""What an environment's files were when it was installed, and the quick and the full look at whether they still are.

The full look reads every file (`hashes`). The quick one (`fingerprint`) reads none: size, ctime and inode of each
are enough to notice any write, since the kernel sets ctime itself and gives no user a way to set it back. A copy of an
environment, or one from a backup, has other inodes: it is looked at in full once. What rots on the disk without being
written is found by the full look only (`dativo sync --verify`). Somebody who may write as this user may also write
Dativo itself: against them nothing here helps (I7).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from dativo import children
from dativo.native import find_bus

LINK = "link:"
READABLE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
FOLDER = 0o555
_PIECE = 1 << 20


def fingerprint(root: Path, own: Collection[str]) -> str:
    """One hash over name, size, ctime and inode of all below `root` but its `own` files. Raises OSError.

    ctime moves with whatever is done to a file, its mode and its other times included.
    """
    return _asked("--tree-look", root, own=own)


def hashes(root: Path, own: Collection[str]) -> dict[str, str]:
    """Path below `root` -> SHA-256 of the file, or where the link leads. Raises OSError."""
    found: dict[str, str] = {}
    words = iter(_asked("--tree-hash", root, own=own).split("\0"))
    for word in words:
        if word.startswith("@"):
            found[word[1:]] = LINK + next(words)
        elif word:
            digest, _, name = word.partition(" ")
            found[name] = digest
    return found


def clone(source: Path, target: Path, left_out: Collection[str]) -> None:
    """The same tree, its files hard links. Raises OSError, as where the two are on different file systems."""
    _asked("--tree-link", source, target, own=left_out)


def _asked(question: str, *places: Path, own: Collection[str]) -> str:
    """What the compiled part says: thousands of files are looked at before every start (native/dativo-bus, tree.rs)."""
    but = [word for name in sorted(own) for word in ("--but", name)]
    command = [str(find_bus()), question, *map(str, places), *but]
    done = children.run(command, undecodable="surrogateescape", encoding="utf-8")
    if done.returncode:
        number, _, place = done.stderr.partition(" ")
        if not number.isdigit():
            raise OSError(errno.EIO, f"{question}: {done.stderr.strip() or done.returncode}")
        raise OSError(int(number), os.strerror(int(number)), place)
    return done.stdout


def digest_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        total = hashlib.sha256()
        while piece := os.read(handle, _PIECE):
            total.update(piece)
        return total.hexdigest()
    finally:
        os.close(handle)


def make_read_only(root: Path) -> None:
    """Nobody writes into it by accident. The top folder stays writable: notes about the environment are kept there."""
    top = str(root)
    for parent, _, names in os.walk(top):
        for name in names:
            path = f"{parent}/{name}"
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) and mode & ~READABLE & 0o7777:
                os.chmod(path, mode & READABLE)  # noqa: PTH101 - thousands of them
        if parent != top:
            os.chmod(parent, FOLDER)  # noqa: PTH101


def clear(path: Path) -> None:
    """Remove a tree, read-only folders included; what cannot be removed stays."""
    import shutil

    for parent, folders, _ in os.walk(path):
        for folder in [parent, *(f"{parent}/{name}" for name in folders)]:
            if not os.path.islink(folder):  # noqa: PTH114
                _open_up(folder)
    shutil.rmtree(path, ignore_errors=True)


def _open_up(folder: str) -> None:
    try:
        if not os.access(folder, os.W_OK | os.X_OK | os.R_OK):
            os.chmod(folder, 0o700)  # noqa: PTH101
    except OSError:
        return


def differences(recorded: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """Files that are gone, changed or new. Bytecode of another Python beside it (`x.cpython-399.pyc`) is no news."""
    changed = [name for name, digest in recorded.items() if present.get(name) != digest]
    tags = {_tag(name) for name in recorded if name.endswith(".pyc")}
    new = [name for name in present.keys() - recorded.keys() if not _is_strange_bytecode(name, tags)]
    return sorted([*changed, *new])


def _is_strange_bytecode(name: str, tags: Collection[str]) -> bool:
    """Bytecode that this environment's own Python never loads."""
    return "__pycache__/" in name and name.endswith(".pyc") and _tag(name) not in tags


def _tag(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".pyc").rsplit(".", 1)[-1]
