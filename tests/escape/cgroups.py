"""Control groups for the columns that have one: a group below our own, given to the user, that the bus may divide."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

CONTROLLERS = ("memory", "pids")


def places() -> list[Path]:
    """The folders of our own group, one for each hierarchy with a controller that matters. An error says why not."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mounted = {}
    for one in mounts:
        kind, options = one[one.index("-") + 1], one[-1].split(",")
        if kind == "cgroup2":
            mounted[""] = Path(one[4])
        elif kind == "cgroup":
            mounted |= {name: Path(one[4]) for name in CONTROLLERS if name in options}
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    found = []
    for name in CONTROLLERS:
        key = next((key for key in own if name in key.split(",")), "")
        if key and name in mounted:
            found.append(mounted[name] / own[key].lstrip("/"))
        elif "" in mounted and "" in own:
            folder = mounted[""] / own[""].lstrip("/")
            if name not in (folder / "cgroup.controllers").read_text().split():
                raise OSError(f"no {name} controller, in version 1 or 2")
            found.append(folder)
        else:
            raise OSError(f"no {name} controller, in version 1 or 2")
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def granted(user: int) -> Iterator[str]:
    """A new group that `user` may divide: its name, for `join`. Removed at the end."""
    name = f"dativo-escape-{os.getpid()}-{user}"
    made: list[Path] = []
    try:
        for place in places():
            control = place / "cgroup.subtree_control"
            if control.exists():
                control.write_text(" ".join(f"+{one}" for one in CONTROLLERS))
            (place / name).mkdir()
            made.append(place / name)
            for file in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "tasks"):
                if (made[-1] / file).exists():
                    os.chown(made[-1] / file, user, user)
        yield ":".join(map(str, made))
    finally:
        for group in made:
            remove(group)


def join(groups: str) -> None:
    """Move this process into the groups."""
    for group in groups.split(":"):
        Path(group, "cgroup.procs").write_text(str(os.getpid()))


def remove(group: Path) -> None:
    """A group and those below it; their processes are gone, or nearly."""
    for _ in range(50):
        for folder in sorted((one for one in group.rglob("*") if one.is_dir()), key=lambda p: -len(p.parts)):
            with contextlib.suppress(OSError):
                folder.rmdir()
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
