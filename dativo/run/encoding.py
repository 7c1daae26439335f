"""How rows go from the tap to the target: as RECORD lines, or as Arrow columns in the run's spool.

`auto` takes columns where the target speaks Arrow and nothing needs the lines themselves. A tap that does not speak
Arrow sends records as ever: the data plane makes them into columns for the target (SPEC.md, section 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.bus.plan import Spool
from dativo.run import rundirs
from dativo.run.step import Step

if TYPE_CHECKING:
    from dativo.config.specs import JobSpec
    from dativo.run.options import RunOptions

ROOM = 64 * 1024 * 1024
"""Bytes that may lie in the spool."""


def chosen(spec: JobSpec, options: RunOptions, steps: Sequence[Step], *, quarantines: bool) -> Spool | None:
    """The spool of a run whose rows go as columns; None where they go as lines."""
    wanted = options.encoding or spec.encoding
    if wanted == "records":
        return None
    why = _why_not(steps, taped=options.record is not None, verified=(options.verify or spec.verify) == "after")
    if wanted == "arrow":
        if why is not None:
            raise errors.ConfigError("job.invalid", f"encoding: arrow cannot be: {why}", hint="leave --encoding out")
    elif why is not None or quarantines:
        # A row that the target itself refuses is looked for line by line.
        return None
    return _spool(spec.spool or ROOM)


def of_a_side(step: Step, options: RunOptions) -> Spool | None:
    """The same for one side of a shell pipe: lines come through the pipe, and a target may get columns."""
    alone = step.role == "target" and _why_not([step], taped=options.record is not None, verified=False) is None
    return _spool(ROOM) if alone and options.on_bad_record in (None, "fail") else None


def _spool(room: int) -> Spool:
    return Spool(rundirs.spool_dir(room), room)


def _why_not(steps: Sequence[Step], *, taped: bool, verified: bool) -> str | None:
    if not steps[-1].can("arrow"):
        return f"{steps[-1].name} does not speak Arrow"
    if len(steps) > 2:
        return f"{steps[1].name} stands between and reads lines"
    if taped:
        return "a tape records lines"
    return "verify: after compares lines" if verified else None


def dressed(child: dict[str, Any], step: Step, spool: Spool | None) -> dict[str, Any]:
    """The child of a plan, told of the spool: a target reads all of it, a tap that speaks Arrow writes its own part."""
    if spool is None:
        return child
    sandbox = child.get("sandbox", {})
    if step.role == "target":
        return {**child, "arrow": True, "sandbox": {**sandbox, "read": [*sandbox.get("read", []), spool.dir]}}
    if not step.can("arrow"):
        return child
    own = f"{spool.dir}/tap"
    told = {"DATIVO_SPOOL": own, "DATIVO_SPOOL_BYTES": str(spool.bytes)}
    written = [*sandbox.get("write", []), own]
    return {**child, "env": {**child["env"], **told}, "sandbox": {**sandbox, "write": written}}
