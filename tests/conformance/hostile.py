"""What becomes of a stream that no tap should send: how the run ends and how many rows lie at the destination."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.conformance import found
from tests.conformance.plugin import Target
from tests.conformance.streams import Stream
from tests.conformance.world import World
from tests.workspace import ROOT, Workspace

TAP = ROOT / "tests" / "fixtures" / "tap-raw"
AT_ONCE = 2


@dataclass(frozen=True)
class Verdict:
    """How a run ended."""

    exit: int
    code: str | None
    """The error's code; None when it was done."""
    rows: int
    """What lies at the destination, in all tables."""

    def as_dict(self) -> dict[str, Any]:
        """For plugins.json."""
        return asdict(self)

    def __str__(self) -> str:
        lying = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return lying if self.code is None else f"`{self.code}`, {lying}"


def verdict(installed: Workspace, target: Target, stream: Stream, world: World, folder: Path, *flags: str) -> Verdict:
    """One stream into one target, in a project and a place of their own."""
    folder.mkdir(parents=True)
    file = folder / "stream"
    file.write_bytes(stream.content)
    destination = target.setup(world, folder / "rows")
    workspace = installed.branch(folder / "project")
    sections = {"tap-raw": {"config": {"file": str(file)}}, target.plugin.name: destination.section}
    sections["tap-raw"]["sandbox"] = {"read": [str(folder)]}
    workspace.configure(sections)
    answer = workspace.dativo("run", "tap-raw", target.plugin.name, "--json", *destination.flags, *flags)
    said = json.loads(answer.stdout) if answer.stdout.strip() else {}
    return Verdict(answer.code, said.get("code") if answer.code else None, found.total(destination.place))


def verdicts(
    installed: Workspace, target: Target, streams: Iterable[Stream], world: World, folder: Path
) -> Iterator[tuple[str, Verdict]]:
    """Each stream's, two at once."""

    def one(stream: Stream) -> tuple[str, Verdict]:
        place = folder / "".join(c if c.isalnum() else "-" for c in stream.name)
        return stream.name, verdict(installed, target, stream, world, place)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(one, streams)
