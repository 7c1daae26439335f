"""Files of the user: read, looked at, changed, taken, and left where they will be run."""

from __future__ import annotations

import ctypes
import hashlib
import os
import select
import stat
import struct
from pathlib import Path

from tests.escape.attacks.attack import ROOT, Scene, attack
from tests.escape.attacks.calls import call

AT_FDCWD = -100
CANARY = b"CANARY"
own = {"secret": "file", "wants": ("file",)}
changes = {"wants": ("file",)}


def scratch(name: str) -> str:
    """A path in the place that is the plugin's own."""
    return str(Path(os.environ["TMPDIR"]) / name)


@attack("files", "read-secret", "reads a 0600 file in the user's home", **own)
def _(scene: Scene) -> str:
    return Path(scene.file).read_text()


@attack("files", "read-other-config", "reads the config of another plugin in the project folder", secret="config")
def _(scene: Scene) -> str:
    return Path(scene["config"]).read_text()


@attack("files", "read-shadow", "reads the machine's password hashes", users=ROOT, needs="shadow")
def _(scene: Scene) -> str:
    return hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest()


@attack("files", "list-home", "lists the user's home", secret="listed")
def _(scene: Scene) -> str:
    return " ".join(os.listdir(scene["home"]))


@attack("files", "stat-secret", "learns that a file exists, and its size, without opening it", wants=("file",))
def _(scene: Scene) -> int:
    return os.stat(scene.file).st_size


@attack("files", "write-state", "overwrites the bookmark of another job", **changes)
def _(scene: Scene) -> None:
    with open(scene.file, "r+") as file:
        file.write(scene.token)


@attack("files", "truncate", "empties a file by its path", **changes)
def _(scene: Scene) -> None:
    os.truncate(scene.file, 0)


@attack("files", "rename", "renames a file away", **changes)
def _(scene: Scene) -> None:
    os.rename(scene.file, scene.file + ".gone")


@attack("files", "unlink", "deletes a file", **changes)
def _(scene: Scene) -> None:
    os.unlink(scene.file)


@attack("files", "exchange", "swaps a file for its own with RENAME_EXCHANGE", **changes)
def _(scene: Scene) -> None:
    mine = scratch("exchange")
    Path(mine).write_text(scene.token)
    call("renameat2", AT_FDCWD, mine.encode(), AT_FDCWD, scene.file.encode(), 2)


@attack("files", "rename-over", "puts a file of its own in another's place", **changes)
def _(scene: Scene) -> None:
    mine = scratch("over")
    Path(mine).write_text(scene.token)
    os.rename(mine, scene.file)


@attack("files", "rename-in", "moves a secret into its own place and reads it there", **own)
def _(scene: Scene) -> str:
    mine = scratch("in")
    os.rename(scene.file, mine)
    return Path(mine).read_text()


@attack("files", "chmod", "makes a 0600 file readable for everyone", **changes)
def _(scene: Scene) -> None:
    os.chmod(scene.file, 0o644)


@attack("files", "fchmod", "makes its own environment writable for everyone through a descriptor", wants=("env-file",))
def _(scene: Scene) -> None:
    fd = os.open(scene.file, os.O_RDONLY)
    os.fchmod(fd, 0o666)


@attack("files", "chown", "gives a user's file to somebody else", users=ROOT, **changes)
def _(scene: Scene) -> None:
    os.chown(scene.file, 65534, 65534)


@attack("files", "utime", "sets a file's time back", **changes)
def _(scene: Scene) -> None:
    os.utime(scene.file, (1, 1))


@attack("files", "setxattr", "writes an extended attribute", needs="xattr", **changes)
def _(scene: Scene) -> None:
    os.setxattr(scene.file, "user.mark", scene.token.encode())


@attack("files", "append-bashrc", "appends a line to the user's .bashrc")
def _(scene: Scene) -> None:
    with open(Path(scene["home"], ".bashrc"), "a") as file:
        file.write(f"# {scene.token}\n")


@attack("files", "plant-pth", "drops a .pth file into an environment that it may read, to be run at its next start")
def _(scene: Scene) -> None:
    Path(scene["site"], f"{scene.token}.pth").write_text("import os\n")


@attack("files", "overwrite-program", "changes the program that will be started the next time", wants=("env-file",))
def _(scene: Scene) -> None:
    with open(scene.file, "a") as file:
        file.write(scene.token)


@attack("files", "plant-tmp", "leaves a file in the machine's /tmp")
def _(scene: Scene) -> None:
    Path("/tmp", scene.token).write_text("planted")


@attack("files", "plant-shm", "leaves a file in the machine's /dev/shm")
def _(scene: Scene) -> None:
    Path("/dev/shm", scene.token).write_text("planted")


@attack("files", "plant-setuid", "leaves a program in the machine's /tmp that runs as whoever it was")
def _(scene: Scene) -> None:
    planted = Path("/tmp", scene.token)
    planted.write_text("#!/bin/sh\n")
    os.chmod(planted, 0o4755)


@attack("files", "symlink", "reads a secret through a symbolic link of its own", **own)
def _(scene: Scene) -> str:
    link = scratch("symlink")
    os.symlink(scene.file, link)
    return Path(link).read_text()


@attack("files", "hardlink", "links a secret into its own place and reads it there", **own)
def _(scene: Scene) -> str:
    link = scratch("hardlink")
    os.link(scene.file, link)
    return Path(link).read_text()


@attack("files", "dotdot", "climbs out of its own place with ..", **own)
def _(scene: Scene) -> str:
    os.chdir(os.environ["TMPDIR"])
    return Path("../" * 40 + scene.file.lstrip("/")).read_text()


@attack("files", "proc-self-root", "reads a secret below /proc/self/root", **own)
def _(scene: Scene) -> str:
    return Path(f"/proc/self/root{scene.file}").read_text()


@attack("files", "proc-other-root", "reads a secret below the root of another process", **own)
def _(scene: Scene) -> str:
    return Path(f"/proc/{scene['keeper']}/root{scene.file}").read_text()


@attack("files", "proc-parent-root", "reads a secret below the root of its parents", **own)
def _(scene: Scene) -> str:
    problem: OSError | None = None
    for pid in (scene["bus"], os.getppid()):
        try:
            return Path(f"/proc/{pid}/root{scene.file}").read_text()
        except OSError as refused:
            problem = refused
    raise problem or AssertionError


@attack("files", "proc-other-cwd", "reads a secret below another process's working directory", secret="cwd-file")
def _(scene: Scene) -> str:
    return Path(f"/proc/{scene['keeper']}/cwd/note").read_text()


@attack("files", "inotify", "watches what happens in the user's home", secret="touched", needs="inotify")
def _(scene: Scene) -> str:
    fd = call("inotify_init1", os.O_NONBLOCK)
    call("inotify_add_watch", fd, scene["home"].encode(), 0x100 | 0x2)
    return events(fd)


@attack("files", "fanotify", "watches the user's home with the newer interface", secret="touched", needs="fanotify")
def _(scene: Scene) -> str:
    fd = call("fanotify_init", 0x800 | 0x400 | 0x2, os.O_RDONLY)
    call("fanotify_mark", fd, 0x1, ctypes.c_uint64(0x100 | 0x40000000), AT_FDCWD, scene["home"].encode())
    return events(fd)


def events(fd: int) -> str:
    """What a watching descriptor tells within two seconds, as text."""
    heard = b""
    while CANARY not in heard:
        if not select.select([fd], [], [], 2)[0]:
            raise TimeoutError("nothing was told")
        heard += os.read(fd, 65536)
    return heard.decode("latin-1")


@attack("files", "by-handle", "opens a secret by its inode's handle, whatever is mounted where", users=ROOT, **own)
def _(scene: Scene) -> str:
    kind, handle = scene["handles"][os.path.basename(scene.file)]
    raw = bytes.fromhex(handle)
    packed = struct.pack("=Ii", len(raw), kind) + raw
    mount = os.open(scene["env"], os.O_RDONLY)
    fd = call("open_by_handle_at", mount, ctypes.c_char_p(packed), os.O_RDONLY)
    return os.read(fd, 4096).decode()


@attack("files", "mknod", "makes a device of its own for the machine's memory", users=ROOT, needs="mknod")
def _(scene: Scene) -> None:
    os.mknod(Path("/tmp", scene.token), stat.S_IFCHR | 0o600, os.makedev(1, 1))


@attack("files", "fifo", "writes into a named pipe that a program of the user reads")
def _(scene: Scene) -> None:
    fd = os.open(scene["fifo"], os.O_WRONLY | os.O_NONBLOCK)
    os.write(fd, scene.token.encode())
