"""Where contests take place: the rows, the database, the folders, and the environment that every contender gets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.contest import Absent, Contender
from tests.bench.databases import FEW, Database
from tests.bench.peers import NotInstalled, Peer, installed
from tests.bench.tables import ORDERS, Files, Table, made

SILENT = {
    "DO_NOT_TRACK": "1",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "INGESTR_DISABLE_TELEMETRY": "true",
    "SLING_DISABLE_TELEMETRY": "true",
}
"""No contender waits for a server of its maker's."""


@dataclass
class Arena:
    """Made once for all contests."""

    rows: int
    few: int
    """Rows for those that are slow."""
    scratch: Path
    cache: Path
    database: Database
    loaded: set[str] = field(default_factory=set)

    def files(self, table: Table = ORDERS, *, few: bool = False) -> Files:
        """The table as files."""
        wanted = self.few if few else self.rows
        return made(table, max(1, int(wanted * table.share)), self.cache / "workloads")

    def table(self, table: Table = ORDERS, *, few: bool = False) -> tuple[str, int]:
        """The table in the database and how many rows it has."""
        files = self.files(table)
        less = min(files.rows, max(1, int(self.few * table.share)))
        if table.name not in self.loaded:
            self.database.load(files, less)
            self.loaded.add(table.name)
        return (table.name + FEW, less) if few else (table.name, files.rows)

    def out(self, name: str) -> Path:
        """A folder for one contender's files."""
        folder = self.scratch / "out" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def emptied(self, folder: Path) -> Callable[[], None]:
        """Empties a folder when called."""

        def empty() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

        return empty

    def env(self, **more: str) -> dict[str, str]:
        """A shell's environment with a home of its own, so that nothing is left in the user's."""
        home = self.scratch / "peers-home"
        home.mkdir(exist_ok=True)
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", **SILENT, **more}

    def peer(
        self, name: str, needs: Sequence[Peer], rows: int, command: Callable[..., Sequence[str | Path]], **more: Any
    ) -> Contender | Absent:
        """A peer's contender; `command` gets the paths of its programs."""
        try:
            programs = [installed(one, self.cache / "peers") for one in needs]
        except NotInstalled as why:
            return Absent(name, f"not installed: {why}")
        env = self.env(**more.pop("env", {}))
        cwd = more.pop("cwd", self.scratch)
        return Contender(name, "peer", rows, lambda: command(*programs), env, cwd, few=rows < self.rows, **more)

    def limit(self, name: str, rows: int, line: str, **more: Any) -> Contender:
        """A line of shell that does no more than what must be done."""
        env = self.env(**self.database.server.environment())
        command = ["/bin/bash", "-o", "pipefail", "-c", line]
        return Contender(name, "limit", rows, lambda: command, env, self.scratch, **more)
