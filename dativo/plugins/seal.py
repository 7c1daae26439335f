"""What an environment's files were when it was installed, and the quick and the full look at whether they still are.

The full look reads every file (`hashes`). The quick one (`fingerprint`) reads none: size, ctime and inode of each
are enough to notice any write, since the kernel sets ctime itself and gives no user a way to set it back. A copy of an
environment, or one from a backup, has other inodes: it is looked at in full once. What rots on the disk without being
written is found by the full look only (`dativo sync --verify`). Somebody who may write as this user may also write
Dativo itself: against them nothing here helps (I7).
"""

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

LINK = "link:"
READABLE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
FOLDER = 0o555
_PIECE = 1 << 20


def fingerprint(root: Path, own: Collection[str]) -> str:
    """One hash over name, size, ctime and inode of all below `root` but its `own` files. Raises OSError.

    ctime moves with whatever is done to a file, its mode and its other times included. Entries are taken in the order
    of the directory, which stays while nothing comes or goes.
    """
    names: list[str] = []
    numbers: list[int] = []
    top = str(root)
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if folder is top and name in own:
                    continue
                names.append(name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                about = entry.stat(follow_symlinks=False)
                numbers += (about.st_size, about.st_ctime_ns, about.st_ino)
    total = hashlib.blake2b("/".join(names).encode("utf-8", "surrogateescape"), digest_size=16)
    total.update(array("Q", numbers).tobytes())
    return total.hexdigest()


def hashes(root: Path, own: Collection[str], *, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Path below `root` -> SHA-256 of the file, or where the link leads. `known` are not read again. Raises OSError."""
    found: dict[str, str] = {}
    top = str(root)
    for path in _files(top, own):
        name = path[len(top) + 1 :]
        digest = known.get(name) if known else None
        found[name] = digest or (LINK + str(Path(path).readlink()) if _is_link(path) else digest_of(path))
    return found


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


def _is_link(path: str) -> bool:
    return stat.S_ISLNK(os.lstat(path).st_mode)


def _files(top: str, own: Collection[str]) -> Iterator[str]:
    for parent, folders, names in os.walk(top):
        skipped = own if parent == top else ()
        folders[:] = [name for name in folders if name not in skipped]
        # a link to a folder is walked past by os.walk: it counts as a file
        links = [name for name in folders if _is_link(f"{parent}/{name}")]
        for name in (*names, *links):
            if name not in skipped:
                yield f"{parent}/{name}"


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
