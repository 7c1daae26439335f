"""Who holds a job, whether that process still lives, and how a holder keeps its lease fresh.

A holder on this machine is judged by /proc, not by the clock: a clock that jumps loses no live holder, and a dead one
is taken over at once. A holder elsewhere is believed until its lease expires. Either way the fencing token has the
last word (I5).
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.state.store import Store


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease. A pid alone proves nothing: pids are reused, and namespaces have their own."""

    pid: int
    starttime: int
    boot_id: str
    pid_space: str
    host: str
    user: str
    since: str

    @classmethod
    def this_process(cls, since: str) -> Holder:
        """The holder that the current process would be."""
        return cls(
            os.getpid(), starttime(os.getpid()) or 0, _boot_id(), _pid_space(), socket.gethostname(), _user(), since
        )

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Holder:
        """As it was stored."""
        return cls(**json.loads(text))

    def alive(self) -> bool | None:
        """Whether the process lives; None if that cannot be seen from here (another machine or container)."""
        if self.host != socket.gethostname():
            return None
        if self.boot_id != _boot_id():
            # Same name, another boot: this machine restarted, unless two machines share the name. If the clock says
            # so too, the lease expires; until then nobody is sure.
            return None
        if self.pid_space != _pid_space():
            return None
        return starttime(self.pid) == self.starttime


@dataclass
class Lease:
    """The right to write a job's bookmark, proved by `token`."""

    job: str
    token: int
    holder: Holder
    ttl: float
    expires: float
    run: str | None = None


class Heartbeat:
    """Renews a lease from an event loop: call `beat()` often, or sleep `due_in()` seconds between calls."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._last = time.monotonic()

    def due_in(self) -> float:
        """Seconds until the lease should be renewed, 0 if it is time."""
        return max(0.0, self._last + self._lease.ttl / 3 - time.monotonic())

    def beat(self) -> bool:
        """Renew if a third of the lease has passed. Raises BusyError job.lease_lost if another run took it."""
        if self.due_in() > 0:
            return False
        self._store.renew(self._lease)
        self._last = time.monotonic()
        return True


def starttime(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = line[line.rindex(")") + 2 :].split()  # the name before it may hold anything
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _pid_space() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        return str(os.getuid())
