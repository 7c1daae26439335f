"""What a killed data plane leaves behind: found as our own children, and killed (I8).

Python makes itself child subreaper before it starts the bus. When the bus is killed, its direct children die with it
(parent-death signal); what those had started themselves is handed to us by the kernel, and `kill_orphans` ends it.
The only user of ctypes in the control plane. Several data planes may run at once, each in a thread of its own: what one
leaves behind is never taken for another.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from dativo.children import CLAIMED, LOCK

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Let orphaned descendants become our children. False where the kernel cannot."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return bool(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def children() -> set[int]:
    """The pids of our direct children. A shell that was replaced by us may have left some of its own."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update(int(pid) for pid in (task / "children").read_bytes().split())
        except FileNotFoundError:
            if task.exists():  # this kernel was built without those files
                return _children_by_parent()
    return found


def _children_by_parent() -> set[int]:
    me, found = str(os.getpid()), set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:  # it ended meanwhile
            continue
        # pid (name) state ppid …; the name may hold anything, brackets too
        if stat[stat.rindex(")") + 2 :].split()[1] == me:
            found.add(int(entry.name))
    return found


def kill_orphans(spared: set[int], *, patience: float = 5.0) -> int:
    """SIGKILL and reap every child of ours that is not in `spared`, until none is left. Returns how many."""
    killed: set[int] = set()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with LOCK:
            orphans = children() - spared - CLAIMED
            if not orphans:
                break
            for pid in orphans:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                except (ProcessLookupError, ChildProcessError, PermissionError):
                    continue
                killed.add(pid)
        # What the killed ones had started is ours only now: look again.
    return len(killed)
