"""Whether dativo.lock holds what the project declares.

Every run in a Meltano project asks: nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Sequence

from dativo.config.project import Project
from dativo.plugins import environment
from dativo.plugins.lockfile import Lock, LockedPlugin
from dativo.plugins.requirement import from_declaration, understand


def lacking(project: Project, lock: Lock, names: Sequence[str]) -> list[str]:
    """Those of `names` that the lock does not hold as they are declared, or that are not installed here."""
    found = []
    for name in names:
        locked = lock.plugins.get(name)
        there = locked is not None and (locked.source == "script" or environment.ready(locked))
        if locked is None or not there or not answers(locked, project.declared(name), project):
            found.append(name)
    return found


def between(project: Project, lock: Lock) -> tuple[list[str], list[str]]:
    """Plugins whose declaration the lock does not answer, and locked ones that nothing declares.

    Outside a project the lock itself is the list: only what the user's own dativo.yml pins is compared.
    """
    declared = project.plugins()
    stale = []
    for name in declared:
        section = project.declared(name)
        if not project.file and not section.keys() & {"source", "variant", "engine"}:
            continue
        locked = lock.plugins.get(name)
        if locked is None or not answers(locked, section, project):
            stale.append(name)
    extra = [name for name in lock.plugins if name not in declared] if project.file else []
    return stale, extra


def answers(locked: LockedPlugin, section: dict[str, object], project: Project) -> bool:
    """Whether a lock entry is what a plugin's section asks for."""
    request = from_declaration(locked.name, section, project)
    wanted = understand(request, project)
    same = (locked.source, locked.requirement) == (wanted.source, wanted.requirement)
    same = same and set(locked.with_) == set(request.with_)
    same = same and set(locked.constraints) == set(request.constraints)
    same = same and request.kind in (None, locked.kind) and request.executable in (None, locked.executable)
    return same and request.python in (None, locked.python) and request.engine in (None, locked.engine)
