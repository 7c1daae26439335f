"""Runs the build of a package as a child of a plan: confined like a plugin, and observed, so that it can be said why.

DESIGN.md: building a source distribution counts as running it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from dativo import errors
from dativo.config import limits, paths
from dativo.config import policy as policies
from dativo.config.policy import inside
from dativo.engines import singer
from dativo.plugins.build import Outcome, Task
from dativo.run import places, probe, readable
from dativo.run.attempt import Seen
from dativo.run.bounds import Bounds
from dativo.run.denials import port_said
from dativo.run.grants import Confining, Grants
from dativo.run.learn import Watching

WALL = 1800.0
ROOM = {
    "memory": 4 * limits.GIB,
    "processes": 256,
    "files": 4096,
    "scratch": limits.GIB,
    "wall": int(WALL),
}
"""What a build may use: compilers are larger than plugins."""


def confined(task: Task, beat: Callable[[], None] | None = None) -> Outcome:
    """Run it to its end. Raises what the sandbox raises when it cannot be kept (`sandbox.unavailable`)."""
    grants = _grants(task)
    try:
        return _outcome(task, grants, Watching(grants, planned=False), beat)
    except errors.DativoError as problem:
        if problem.code != "sandbox.unavailable":
            raise
    return _outcome(task, grants, grants.confining(planned=False), beat)  # the floor cannot observe


def _grants(task: Task) -> Grants:
    found = policies.outside_projects()
    held = Bounds.defaults().over(ROOM, "a build")
    for one in found:
        held = held.within(one.limits, one.origin)
    start = (*readable.to_start(Path(task.argv[0]), None), *readable.of_python(task.python))
    return Grants(
        task.name,
        policies.base(found),
        held,
        tuple(dict.fromkeys(start)),
        read=tuple(name for path in task.read for name in places.names_of(str(path))),
        write=tuple(places.names_of(str(task.folder))),
        network=task.network or "none",
    )


def _outcome(task: Task, grants: Grants, confine: Confining, beat: Callable[[], None] | None) -> Outcome:
    child = singer.probe(Path(task.argv[0]), task.argv[1:], env=dict(task.env), confine=confine, cwd=str(task.folder))
    answer = probe.ask({**child, "name": task.name}, patience=WALL + 60, beat=beat)
    if answer.end.reason and answer.end.reason.startswith("sandbox."):
        raise errors.from_code(answer.end.reason, answer.end.message or "the build was not started")
    how = f"signal {answer.signal}" if answer.signal else answer.end.message or ""
    lines = tuple(answer.lines)
    return Outcome(
        answer.ok,
        answer.stdout.decode(errors="replace"),
        lines,
        "" if answer.ok else how,
        tuple(dict.fromkeys(_tried(task, grants, answer.seen, lines))),
    )


def _tried(task: Task, grants: Grants, seen: Seen, lines: tuple[str, ...]) -> Iterator[str]:
    """What it tried and may not: hosts, files of the user's that are there, writes outside its folder."""
    for host, port, _ in seen.denied(task.name):
        yield f"reach {host}:{port or port_said(lines, grants)}"
    held = (*grants.start, *grants.read, *grants.write, str(paths.runtime_dir()))
    for one in seen.accesses:
        if one.child != task.name or any(inside(one.what, path) for path in held):
            continue
        if one.kind == "connect" and not one.what.startswith("/") and not _granted(one.what, task):
            yield f"reach {one.what}"
        elif one.kind == "read" and one.exists and _private(one.what):
            yield f"read {one.what}"
        elif one.kind == "write" and not inside(one.what, "/dev") and not inside(one.what, "/proc"):
            yield f"write {one.what}"


def _granted(address: str, task: Task) -> bool:
    """Whether an address is the index's window: loopback is seen under either of its names."""
    return address in task.network or address.replace("localhost:", "127.0.0.1:", 1) in task.network


def _private(path: str) -> bool:
    """Of a user's, rather than of the system's."""
    homes = (os.path.realpath(Path.home()), str(Path.home()), "/root", "/home")
    return any(inside(path, home) and path != home for home in homes) or path in places.SYSTEM_KEYS
