"""Ask a target's own Python, in the target's own sandbox, for the rows of some streams."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.engines import singer
from dativo.observe.log import PluginLog
from dativo.run import probe
from dativo.run.interrupts import Interrupts
from dativo.run.step import Step
from dativo.run.verify.landing import Landing

MARK = 0x1E
UNBOUNDED = 1 << 60
"""The answer goes to a file, not into memory."""


@dataclass(frozen=True)
class Read:
    """What the destination holds of one stream."""

    found: bool
    rows: Path
    """JSON lines."""
    columns: dict[str, str] | None = None
    """The columns with their types; None where any property can be one."""
    names: dict[str, str] = field(default_factory=dict)
    """Properties that the target itself remembers under other names."""


def read_back(
    target: Step,
    landing: Landing,
    streams: Sequence[str],
    folder: Path,
    *,
    interrupts: Interrupts | None = None,
    beat: Callable[[], None] | None = None,
) -> dict[str, Read]:
    """The rows of the streams as files in the folder."""
    from importlib import resources

    program = resources.files("dativo.run.verify.scripts").joinpath(f"{landing.program}.py").read_text("utf-8")
    asked = [{"stream": stream, **landing.place(stream)} for stream in streams]
    question = json.dumps({**landing.about, "streams": asked})
    child = singer.program(target.plugin, program, question, **target.surroundings())
    log, path = PluginLog(shown=False), folder / "read-back"
    out = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        answer = probe.ask(child, interrupts=interrupts, log=log, patience=None, capture=UNBOUNDED, beat=beat, into=out)
    finally:
        os.close(out)
    if not answer.ok or answer.end.verdict != "done":
        said = next((line for line in reversed(answer.lines) if line.strip()), answer.end.message or "")
        raise errors.ConfigError(
            "verify.unreadable",
            f"what {target.name} wrote could not be read back: {said.strip() or 'its Python ended without a word'}",
            hint="what it may reach is what the target itself may reach; see `dativo inspect`",
            context={"plugin": target.name},
        )
    found = _apart(path, streams, folder)
    path.unlink()
    return found


def _apart(path: Path, streams: Sequence[str], folder: Path) -> dict[str, Read]:
    """The answer, one file for each stream."""
    found: dict[str, Read] = {}
    out = None
    try:
        with path.open("rb") as lines:
            for line in lines:
                if line[0] != MARK:
                    assert out is not None
                    out.write(line)
                    continue
                head: dict[str, Any] = json.loads(line[1:])
                rows = folder / f"rows-{head['stream']}"
                if out is not None:
                    out.close()
                out = rows.open("wb")
                found[streams[head["stream"]]] = Read(head["found"], rows, head["columns"], head["names"])
    finally:
        if out is not None:
            out.close()
    return found
