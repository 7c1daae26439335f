"""`dativo doctor`: try everything that a run needs on this machine, and say what is missing (I7)."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.version import uv_version
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.bus.kernel import Kernel
    from dativo.cli.kernel import Told
    from dativo.state.location import Location

LOW_SPACE = 256 << 20
CLOCK_SLACK = 60.0


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table."""

    name: str
    ok: bool
    needed: bool
    """Whether a run fails without it."""
    detail: str
    hint: str | None = None
    more: tuple[str, ...] = ()
    known: bool = True
    """Whether it could be found out."""

    @property
    def verdict(self) -> str:
        """ok, off (a run does without), missing (it does not), or unknown."""
        if not self.known:
            return "unknown"
        return "ok" if self.ok else "missing" if self.needed else "off"


@click.command(
    name="doctor",
    help="""\b
  dativo doctor
  dativo doctor --json
  dativo doctor --apparmor | sudo tee /etc/apparmor.d/dativo-bus

Try what a run needs on this machine: the layers of the sandbox and its profiles, data
plane, uv, state store, directories, installed plugins, clock and disk. Exit 3 if something
needed is missing. docs/guides/sandbox-setup.md says what to do about each.
""",
)
@click.option("--apparmor", is_flag=True, help="Print the AppArmor profile that Ubuntu needs for strict.")
@options.env_option
@options.json_option
def command(env: str | None, apparmor: bool) -> int:
    """Check this machine."""
    if apparmor:
        return _apparmor()
    found, head = diagnosis(env)
    missing = [one for one in found if one.verdict == "missing"]
    report.result(
        {"ok": not missing, "checks": [{**asdict(one), "verdict": one.verdict} for one in found]},
        lambda: _lines(found, head),
    )
    if missing:
        report.note(f"{len(missing)} missing: " + ", ".join(one.name for one in missing))
    return 3 if missing else 0


def _apparmor() -> int:
    from dativo.bus.kernel import apparmor

    text = apparmor()
    report.result({"profile": text}, text.splitlines)
    return 0


def _lines(found: list[Finding], head: list[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in head)
    yield from report.columns([(one.verdict, one.name, one.detail) for one in found])
    for one in found:
        if not one.ok and (one.hint or one.more):
            yield f"  {one.name}: {report.clean(one.hint or one.detail)}"
            yield from (f"    {report.clean(line)}" for line in one.more)


def diagnosis(env: str | None) -> tuple[list[Finding], list[str]]:
    """Every finding, and the two lines that say the most of it."""
    from dativo.cli import kernel

    bus = _guarded("dativo-bus", _bus)
    machine, silent = _asked() if bus.ok else (None, None)
    found = [Finding("kernel", platform.system() == "Linux", True, f"{platform.system()} {platform.release()}")]
    found += [_layer(one) for one in kernel.told(machine)]
    found += [bus, *([silent] if silent else []), *checks(env)]
    if machine is None:
        return found, []
    shown = {one.name: one for one in found}
    store, plugins, clock = shown["state store"], shown["plugins"], shown["clock"]
    second = [
        kernel.available(machine),
        f"state store {store.detail.partition('  ')[0]}" if store.ok else "state store: see below",
        f"plugins: {plugins.detail}" if plugins.ok else "plugins: see below",
        "clock ok" if clock.ok else "clock: see below",
    ]
    return found, [kernel.first_line(machine), " · ".join(second)]


def checks(env: str | None) -> Iterator[Finding]:
    """Every check beside the kernel, each guarded: one that fails is a finding, not the end."""
    yield _guarded("uv", _uv)
    yield _guarded("project", lambda: _project(env))
    yield _guarded("run directory", _run_directory)
    yield _guarded("state store", lambda: _store(env))
    yield _guarded("clock", lambda: _clock(env))
    yield _guarded("disk space", lambda: _space(env))
    yield _guarded("plugins", lambda: _plugins(env))


def _project(env: str | None) -> Finding:
    """Which file is the project's, and what is in it."""
    from dativo.config.project import Project

    project = Project.find(env=env)
    if project.file is None:
        return Finding("project", True, True, "none: the user's own plugins")
    found = [f"{len(project.plugins())} plugins", f"{len(project.jobs())} jobs"]
    active = project.active
    return Finding("project", True, True, " · ".join([str(project.file), *found, f"environment {active or 'none'}"]))


def _asked() -> tuple[Kernel | None, Finding | None]:
    """What the data plane found by trying, or that it gave no answer."""
    from dativo.bus.kernel import probe

    try:
        return probe(), None
    except errors.DativoError as error:
        return None, Finding("sandbox", False, True, error.message, error.remedy)


def _layer(one: Told) -> Finding:
    hint = one.remedy.text if one.remedy else None
    more = one.remedy.commands if one.remedy else ()
    return Finding(one.name, one.works, one.needed, one.detail, hint, more, known=one.known)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except errors.DativoError as error:
        return Finding(name, ok=False, needed=True, detail=error.message, hint=error.remedy, more=error.details)
    except OSError as problem:
        return Finding(name, ok=False, needed=True, detail=f"{problem.strerror}: {problem.filename}")


def _bus() -> Finding:
    from dativo import __version__
    from dativo.bus.about import bus_version
    from dativo.native import find_bus

    path = find_bus()
    version = bus_version(path)
    same = version == __version__
    hint = None if same else f"dativo is {__version__}: install the dativo-native of the same version"
    return Finding("dativo-bus", same, True, f"{version}  {path}", hint)


def _uv() -> Finding:
    from dativo.plugins import uv

    return Finding("uv", True, True, f"{uv_version()}  {uv.find()}")


def _run_directory() -> Finding:
    from dativo.config.paths import runtime_dir
    from dativo.run.rundirs import sweep

    path = runtime_dir()  # refuses a directory that others may enter
    before = _count(path / "runs")
    sweep()
    swept = before - _count(path / "runs")
    what = f", {swept} stale removed" if swept > 0 else ""
    return Finding("run directory", os.access(path, os.W_OK), True, f"{path} (private{what})")


def _count(folder: Path) -> int:
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _store_path(env: str | None) -> Path:
    from dativo.config.project import Project

    return Project.find(env=env).state_path


def _store_place(env: str | None) -> Path | Location:
    from dativo.config.project import Project
    from dativo.state import location

    return location.of(Project.find(env=env))


def _store(env: str | None) -> Finding:
    from dativo.state.store import Store

    place = _store_place(env)
    if isinstance(place, Path) and not place.exists():
        folder = next(parent for parent in place.parents if parent.exists())
        fine = os.access(folder, os.W_OK)
        return Finding("state store", fine, True, f"none yet; {folder} is {'' if fine else 'not '}writable")
    with Store.open(place) as store:
        wrong = store.check()
        found = store.describe()
    detail = "; ".join(wrong) or found
    return Finding(
        "state store",
        not wrong,
        True,
        detail,
        hint=_restore(place) if wrong else None,
    )


def _restore(place: Path | Location) -> str:
    if isinstance(place, Path):
        return "move the file and its -wal and -shm away and restore a backup"
    return "restore what is named above from a backup"


def _clock(env: str | None) -> Finding:
    """The clock must not be behind what the store has seen: leases and history are in its time."""
    from dativo.state.store import Store

    now = time.time()
    seen = 0.0
    with Store.open_to_read(_store_place(env)) as store:
        for job in store.jobs():
            stamps = [job.last_ended, job.bookmark.at if job.bookmark else None]
            seen = max([seen, *(datetime.fromisoformat(stamp).timestamp() for stamp in stamps if stamp)])
    behind = seen - now
    if behind > CLOCK_SLACK:
        return Finding(
            "clock", False, True, f"{behind:,.0f} s behind the newest bookmark", hint="set this machine's clock"
        )
    return Finding("clock", True, True, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))


def _space(env: str | None) -> Finding:
    from dativo.config.paths import cache_dir, data_dir, runtime_dir

    free: dict[int, tuple[int, Path]] = {}
    for path in (data_dir(), cache_dir(), runtime_dir(), _store_path(env).parent):
        there = next(place for place in (path, *path.parents) if place.exists())
        free[there.stat().st_dev] = (shutil.disk_usage(there).free, there)
    least, where = min(free.values())
    enough = least >= LOW_SPACE
    return Finding(
        "disk space",
        enough,
        True,
        f"{least / (1 << 30):,.1f} GiB free at {where}",
        hint=None if enough else f"free some space: less than {LOW_SPACE >> 20} MiB is left",
    )


def _plugins(env: str | None) -> Finding:
    from dativo.config.project import Project
    from dativo.plugins import lockfile
    from dativo.plugins.installed import installed

    project = Project.find(env=env)
    names = sorted(lockfile.headers(project.lock_file).plugins)
    wrong: list[str] = []
    for name in names:
        try:
            installed(project, name)
        except errors.DativoError as error:
            wrong.append(error.message)
    if wrong:
        hint = "install what dativo.lock says: `dativo sync`"
        return Finding("plugins", False, True, f"{len(wrong)} of {len(names)} not ready", hint, tuple(wrong))
    return Finding("plugins", True, True, f"{len(names)} match dativo.lock" if names else "none in dativo.lock")
