"""The project's state store for a command: opened, one job's bookmark found in it, times as people read them."""

from __future__ import annotations

import difflib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dativo import errors
from dativo.cli.complete import job_names

if TYPE_CHECKING:
    from dativo.state.location import Location
    from dativo.state.record import Entry
    from dativo.state.store import Store


def place(env: str | None) -> Path | Location:
    """Where the project's store is."""
    from dativo.config.project import Project
    from dativo.state import location

    return location.of(Project.find(env=env))


def open_to_read(env: str | None) -> Store:
    """The project's store, without making one."""
    from dativo.state.store import Store

    return Store.open_to_read(place(env))


def open_to_write(env: str | None) -> Store:
    """The project's store."""
    from dativo.state.store import Store

    return Store.open(place(env))


def job_argument(command: Any) -> Any:
    """The argument JOB, completed by the jobs that there are."""
    return click.argument("job", shell_complete=job_names)(command)


def whole_log(store: Store, job: str) -> list[Entry]:
    """A job's history with its backfills' runs, newest first."""
    from dativo.state.record import with_backfills
    from dativo.state.store import BACKFILL

    start = job + BACKFILL
    names = [one.name for one in store.jobs() if one.name.startswith(start)]
    return with_backfills(store.log(job), {name.removeprefix(start): store.log(name) for name in names})


def unknown(store: Store, job: str) -> NoReturn:
    """Raise state.unknown with the nearest name."""
    names = [one.name for one in store.jobs() if one.name != job]
    near = difflib.get_close_matches(job, names, n=1)
    raise errors.ConfigError(
        "state.unknown",
        f"{job} has no bookmark",
        hint=f"did you mean {near[0]}?" if near else "see `dativo state list`",
    )


def local(stamp: str) -> str:
    """A stored time for people: local, with the zone; the date only if it is not today's."""
    moment = datetime.fromisoformat(stamp).astimezone()
    today = moment.date() == datetime.now(moment.tzinfo).date()
    return moment.strftime("%H:%M:%S %Z" if today else "%Y-%m-%d %H:%M %Z")
