"""Asks a freshly installed plugin what it is, and builds packages: joins `dativo.plugins` with `dativo.run`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors

if TYPE_CHECKING:
    from dativo.plugins.build import Outcome, Task
    from dativo.run.interrupts import Interrupts


class Prober:
    """What an install needs of the data plane. Used from several threads: an interrupt of the command ends all."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def _beat(self) -> None:
        if self._interrupts.count:
            raise self._interrupts.cancelled()

    def __call__(self, executable: Path, home: Path | None, engine: str) -> dict[str, Any]:
        """The manifest of an executable: `--about`, else `--help`; `plugin.start_failed` if it cannot start."""
        from dativo.plugins import manifest
        from dativo.run import probe

        if engine == "airbyte":
            from dativo.run import connector

            return connector.manifest(executable, home, beat=self._beat)
        about = probe.ask(probe.question(executable, ["--about", "--format=json"]), beat=self._beat)
        found = manifest.from_about(about.stdout.decode(errors="replace")) if about.ok else None
        if found is not None:
            return {**found, "capabilities": sorted({*found["capabilities"], "about"})}
        told = probe.ask(probe.question(executable, ["--help"]), beat=self._beat)
        # A script of the user's may know no options at all: it started, and that is all there is to know.
        if told.ok or (home is None and told.code is not None):
            return manifest.from_help(told.stdout.decode(errors="replace"))
        how = (
            f"signal {told.signal}" if told.signal else f"exit {told.code}" if told.code is not None else "not started"
        )
        raise errors.EnvironmentFault(
            "plugin.start_failed",
            f"{executable.name} cannot even print its --help ({how})",
            details=tuple(told.lines[-6:]) or ((told.end.message,) if told.end.message else ()),
            hint="see its last lines above; another version (NAME==…) or --python may start",
            context={"stderr": "\n".join([*about.lines, *told.lines])},
        )

    def image(self, digest: str) -> dict[str, Any]:
        """The manifest of a connector that is a container image."""
        from dativo.run import connector

        return connector.manifest_of_image(digest, beat=self._beat)

    def confine(self, task: Task) -> Outcome:
        """Run a build in the sandbox."""
        from dativo.run.building import confined

        return confined(task, self._beat)


@contextmanager
def prober() -> Iterator[Prober]:
    """For the length of a command; from here on a signal ends it in an orderly way."""
    from dativo.run.interrupts import Interrupts

    with Interrupts() as interrupts:
        yield Prober(interrupts)
