"""The tap that is part of Dativo: it plays a tape, or dead letters, as a Singer stream.

To a run it is a plugin like any other: a child of the plan, in the sandbox, that may read the files that it plays and
nothing else (I6). Its program is the data plane's own, `dativo-bus --play`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from dativo import __version__
from dativo.config import policy as policies
from dativo.config.project import Project
from dativo.config.specs import PluginSpec
from dativo.dataclass import dataclass
from dativo.engines import singer
from dativo.engines.airbyte_generations import Loads
from dativo.native import find_bus
from dativo.plugins.installed import Installed
from dativo.run import places, readable
from dativo.run.bounds import Bounds
from dativo.run.grants import Grants
from dativo.run.step import Step


@dataclass(frozen=True)
class Player(Step):
    """The built-in tap as a step."""

    files: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()
    """What else is said to the player."""
    replayed: Mapping[str, Any] | None = field(default=None, repr=False)
    """Of letters: up to which line of which run's file those of a stream were replayed before."""

    @cached_property
    def grants(self) -> Grants:
        """Its files to read, no network; what policies bound is bounded here too."""
        found = self.project.policies()
        held = Bounds.defaults()
        for one in found:
            held = held.within(one.limits, one.origin)
        read = [name for path in self.files for name in places.names_of(str(path))]
        profile = self.profile or policies.strictest(policies.base(found), *(one.profile for one in found))
        start = tuple(readable.to_start(self.plugin.executable, None))
        return Grants(
            self.name, profile or policies.DEFAULT, held, start, read=tuple(dict.fromkeys(read)), network="none"
        )

    def child(
        self,
        *,
        job: str,
        run: str,
        catalog: str | None = None,
        state: str | None = None,
        begun: bool = False,
        loads: Loads | None = None,
    ) -> dict[str, Any]:
        """The player as a child of a plan. The bookmark of the run is none of its business."""
        words = [word for path in self.files for word in ("--play", str(path))] + list(self.words)
        files = {}
        if self.replayed is not None:
            words += ["--state", "{file:state}"]
            files["state"] = {"content": json.dumps({"bookmarks": self.replayed}), "mode": "memfd"}
        confine = self.grants.confining(planned=True)
        probe = singer.probe(self.plugin.executable, words, job=job, run=run, confine=confine)
        return {**probe, "name": self.name, "role": self.role, "files": files}


def player(
    project: Project,
    name: str,
    files: Sequence[Path],
    *,
    words: Sequence[str] = (),
    replayed: Mapping[str, Any] | None = None,
    streams: dict[str, Any] | None = None,
    profile: str | None = None,
) -> Player:
    """The tap for these files. `name` is what it is called in messages and job names, `streams` their catalog."""
    plugin = Installed(
        name=name,
        kind="tap",
        version=__version__,
        executable=find_bus(),
        env_dir=None,
        digest="",
        manifest={"name": name, "kind": "tap", "capabilities": ["exit-codes"], "settings": {}},
        source="dativo",
    )
    return Player(
        plugin,
        "tap",
        PluginSpec(name),
        {},
        project,
        profile=profile,
        files=tuple(path.absolute() for path in files),
        words=tuple(words),
        replayed=replayed,
        streams=streams,
    )
