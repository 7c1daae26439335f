"""Asks a freshly installed plugin what it is: `--about`, else `--help`. Joins `dativo.plugins` with `dativo.run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dativo import errors


def prober(executable: Path, home: Path | None) -> dict[str, Any]:
    """The manifest of an executable, by a question through the data plane; `plugin.start_failed` if it cannot start."""
    from dativo.plugins import manifest
    from dativo.run import probe

    about = probe.ask(probe.question(executable, ["--about", "--format=json"]))
    found = manifest.from_about(about.stdout.decode(errors="replace")) if about.ok else None
    if found is not None:
        return {**found, "capabilities": sorted({*found["capabilities"], "about"})}
    told = probe.ask(probe.question(executable, ["--help"]))
    # A script of the user's may know no options at all: it started, and that is all there is to know.
    if told.ok or (home is None and told.code is not None):
        return manifest.from_help(told.stdout.decode(errors="replace"))
    how = f"signal {told.signal}" if told.signal else f"exit {told.code}" if told.code is not None else "not started"
    raise errors.EnvironmentFault(
        "plugin.start_failed",
        f"{executable.name} cannot even print its --help ({how})",
        details=tuple(told.lines[-6:]) or ((told.end.message,) if told.end.message else ()),
        hint="see its last lines above; another version (NAME==…) or --python may start",
        context={"stderr": "\n".join([*about.lines, *told.lines])},
    )
