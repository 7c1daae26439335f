"""The moment at which references become values: right before the first plugin of a run starts, for as long as it runs.

`disclosed` reads every secret:// reference of the steps, checks the settings once more, and locks the tokens that a
tap or an Airbyte destination may use up. One that rewrites its config gets a descriptor through which the data plane
hands the new content back; what was refreshed goes back to its backend (`secrets.writeback`) before the plugin is
started again, and at the latest when the run is over. I13: a value is in memory, in the plan (a sealed memfd) and in
the plugin's own file only.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dativo.config.paths import state_dir
from dativo.run import settings
from dativo.run.step import Step
from dativo.secrets.reference import Path as Place
from dativo.secrets.reference import Reference
from dativo.secrets.resolve import Resolver
from dativo.secrets.writeback import Locks, WriteBack


class Disclosure:
    """What one plugin was given, and the way back for what it changes. `config` is what it starts with, each time."""

    def __init__(
        self, resolver: Resolver, plugin: str, config: dict[str, Any], origins: dict[Place, Reference], locks: Locks
    ) -> None:
        self._way_back = WriteBack(resolver, plugin, locks)
        self._config, self._origins = config, origins
        self._back: int | None = None
        self._stays = False
        self._notes: list[str] = []

    @property
    def refreshes(self) -> bool:
        """Whether what the plugin changes is to be kept: its config holds references."""
        return bool(self._origins)

    def back_fd(self) -> int:
        """A fresh descriptor for the plugin's next start; what came back from the last one is settled first."""
        stays, self._stays = self._stays, False
        if stays and self._back is not None:
            self._take(self._back)
            return self._back
        self.settle()
        self._back = os.memfd_create("dativo-back", os.MFD_CLOEXEC)
        return self._back

    def stay(self) -> None:
        """The next start is one in place, where the data plane has kept the descriptor."""
        self._stays = True

    def settle(self) -> None:
        """Take what the plugin left behind, put it where it belongs, and use it for the next start."""
        if self._back is None:
            return
        back, self._back = self._back, None
        try:
            self._take(back)
        finally:
            os.close(back)

    def _take(self, back: int) -> None:
        left = os.pread(back, os.fstat(back).st_size, 0)
        os.ftruncate(back, 0)
        if left:
            kept = self._way_back.keep(self._config, self._origins, left)
            self._notes += kept.notes
            if kept.config is not None:
                self._config.clear()
                self._config.update(kept.config)

    def notes(self) -> list[str]:
        """What the user should know, told once."""
        found, self._notes = self._notes, []
        return found


@contextlib.contextmanager
def disclosed(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """The steps with their values, for the length of a run."""
    locks = Locks(state_dir())
    ready: list[Step] = []
    try:
        for step in steps:
            ready.append(_disclosed(step, locks))
        yield ready
    finally:
        try:
            for note in told(ready):  # a run that failed has nobody to tell it
                print(f"  {note}", file=sys.stderr)
        finally:
            locks.release()


def told(steps: Sequence[Step]) -> list[str]:
    """What became of the values that the plugins changed."""
    notes = []
    for step in steps:
        if step.disclosure is not None:
            step.disclosure.settle()
            notes += step.disclosure.notes()
    return notes


def _disclosed(step: Step, locks: Locks) -> Step:
    renews = step.role == "tap" or step.speaks_airbyte
    if renews:
        # Before they are read: the run that has one now may be about to change it.
        locks.take(step.resolver, step.resolver.check(step.config, step.name), step.name)
    resolved = step.resolver.resolve(step.config, step.name)
    schema = step.plugin.settings_schema
    if resolved.origins:
        settings.typed(schema, resolved.config, resolved.origins)
        settings.check(step.name, schema, resolved.config)
    opened = replace(step, config=resolved.config)
    if not renews:
        return opened
    return replace(opened, disclosure=Disclosure(step.resolver, step.name, resolved.config, resolved.origins, locks))
