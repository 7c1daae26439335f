"""Who holds the other end of a pipe: found through /proc, by the inode that both ends share."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from dativo.dataclass import dataclass
from dativo.state.lease import starttime

SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "ash", "busybox"}
WRAPPERS = {
    "env",
    "nice",
    "ionice",
    "timeout",
    "time",
    "nohup",
    "setsid",
    "stdbuf",
    "sudo",
    "doas",
    "uv",
    "uvx",
    "chrt",
}
OURS = {"dativo", "dativo-bus", "dativo.cli.main"}
_WRITING = (os.O_WRONLY, os.O_RDWR)
_READING = (os.O_RDONLY, os.O_RDWR)


class Kind(Enum):
    """What a holder looks like from outside."""

    DATIVO = "dativo"
    """Ours, or a program that is about to become ours: its advert will come."""
    SHELL = "shell"
    """A shell, perhaps a fork that has not yet become the program it will be."""
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Process:
    """A process at one moment; its start time tells it from a later one with the same pid."""

    pid: int
    starttime: int

    @classmethod
    def this(cls) -> Process:
        """The current process."""
        return cls(os.getpid(), starttime(os.getpid()) or 0)

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return starttime(self.pid) == self.starttime


@dataclass(frozen=True)
class Holder:
    """A process that has the other end of our pipe open."""

    pid: int
    kind: Kind
    name: str
    """The program's name as its user knows it: a script's rather than its interpreter's."""


def pipe_key(fd: int) -> str | None:
    """What both ends of a pipe agree on, `dev-inode`; None if the descriptor is no pipe."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return f"{found.st_dev}-{found.st_ino}" if stat.S_ISFIFO(found.st_mode) else None


def is_anonymous(fd: int) -> bool:
    """Whether a descriptor is a pipe without a name, as a shell's `|` makes it."""
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("pipe:")
    except OSError:
        return False


def holders(fd: int, *, writing: bool) -> list[Holder]:
    """The other processes that have this pipe open for writing, or for reading. Those of other users are not seen."""
    here = os.fstat(fd)
    link = Path(f"/proc/self/fd/{fd}").readlink()
    named = not is_anonymous(fd)
    found = []
    for pid in _pids():
        if pid != os.getpid() and _has_open(pid, str(link), here if named else None, _WRITING if writing else _READING):
            kind, name = _looks_like(pid)
            found.append(Holder(pid, kind, name))
    return found


def _pids() -> Iterator[int]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name)


def _has_open(pid: int, link: str, named: os.stat_result | None, modes: tuple[int, ...]) -> bool:
    """Whether a process holds the pipe in one of the modes. A named pipe's links show a path: inodes are compared."""
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                try:
                    if named is None:
                        same = os.readlink(entry.path) == link  # noqa: PTH115 - thousands of these in a scan
                    else:
                        other = entry.stat()
                        same = (other.st_dev, other.st_ino) == (named.st_dev, named.st_ino)
                    if same and _mode(pid, entry.name) in modes:
                        return True
                except OSError:
                    continue
    except OSError:  # another user's, or it ended
        return False
    return False


def _mode(pid: int, fd: str) -> int:
    for line in Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="ascii").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE
    return -1


def _looks_like(pid: int) -> tuple[Kind, str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return Kind.SHELL, ""  # it is just changing: look again
    argv = [part.decode(errors="replace") for part in raw.rstrip(b"\0").split(b"\0")]
    kind, name = classify(argv)
    if kind is Kind.SHELL and _settled(pid):
        kind = Kind.FOREIGN
    return kind, name


def _settled(pid: int) -> bool:
    """Whether a shell reads or writes the pipe itself, or waits for what it started: it will not become a program."""
    try:
        sleeps_in = Path(f"/proc/{pid}/wchan").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any(word in sleeps_in for word in ("pipe_read", "pipe_write", "do_wait"))


def classify(argv: list[str]) -> tuple[Kind, str]:
    """What a command line is: ours, a shell, or something foreign, with its name."""
    words = [os.path.basename(word) for word in argv]  # noqa: PTH119 - words, not paths
    if not words or not words[0]:
        return Kind.SHELL, ""
    program = words[0].lstrip("-")  # a login shell
    if program.startswith("python") and len(words) > 1:
        program = _script(argv[1:]) or program
    elif (program in WRAPPERS and "dativo" in words[1:]) or (program in SHELLS and words[1:2] == ["dativo"]):
        program = "dativo"
    elif program in WRAPPERS:
        program = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), program)
    if program in OURS:
        return Kind.DATIVO, "dativo"
    return (Kind.SHELL if program in SHELLS else Kind.FOREIGN), program


def _script(words: list[str]) -> str:
    """What an interpreter runs: the script's name or the module's."""
    for at, word in enumerate(words):
        if word == "-m":
            return words[at + 1] if at + 1 < len(words) else ""
        if word == "-c":
            return ""
        if not word.startswith("-"):
            return os.path.basename(word)  # noqa: PTH119
    return ""
