"""One tap and one target, run twice by `dativo run` in sandbox `standard`, and looked at after each run.

After the first run the destination holds exactly what the source holds: per table the count and an order-free hash of
the values. After the second nothing is missing and nothing else has come; rows that were read again have been merged,
appended, or stand alone where the target writes its files anew.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.conformance import found
from tests.conformance.plugin import Destination, Mapper, Outcome, Plugin, Reading, Tap, Target
from tests.conformance.world import World
from tests.pipelines.rows import Table
from tests.workspace import Answer, Workspace

LONGEST = 160
FOLDERS = re.compile(r"(?<![:/\w])/(?:[^\s/]+/)+")


def tried(
    installed: Workspace, tap: Tap, target: Target, world: World, folder: Path, mapper: Mapper | None = None
) -> Outcome:
    """Both runs of a pair, in a project of its own below `folder`."""
    begun = time.monotonic()
    ready = _Pair(installed, tap, target, world, folder, mapper)
    outcome = ready.twice()
    outcome.seconds = round(time.monotonic() - begun, 1)
    return outcome


def without(installed: Workspace, tap: Tap, target: Target, world: World, folder: Path) -> str:
    """One run with nothing adapted: `ok` when every row has arrived, else why not."""
    ready = _Pair(installed, tap, target, world, folder, None)
    answer = ready.run("--no-adapt")
    return why(answer) or missing(ready.lying(), ready.wanted) or "ok"


class _Pair:
    def __init__(
        self, installed: Workspace, tap: Tap, target: Target, world: World, folder: Path, mapper: Mapper | None
    ) -> None:
        folder.mkdir(parents=True)
        self.pair = tap.name, target.name
        self.names = [tap.plugin.name, *([mapper.plugin.name] if mapper else []), target.plugin.name]
        self.mapper = mapper
        self.reading: Reading = tap.setup(world, folder / "source")
        self.destination: Destination = target.setup(world, folder / "rows")
        self.wanted = mapper.expected(self.reading.tables) if mapper else self.reading.tables
        self.workspace = installed.branch(folder / "project")
        sections = {tap.plugin.name: self.reading.section, target.plugin.name: self.destination.section}
        if mapper:
            sections[mapper.plugin.name] = {"config": mapper.config}
        self.workspace.configure(sections)
        self.job = f"{tap.plugin.name}-to-{target.plugin.name}"

    def run(self, *flags: str) -> Answer:
        words = [*self.names, "--sandbox", "standard", "--json", "--job", self.job]
        words += [*self.reading.flags, *self.destination.flags, *flags]
        return self.workspace.dativo("run", *words)

    def lying(self) -> dict[str, Table]:
        """What is at the destination now, by table."""
        return found.tables(self.wanted, self.destination.place, self.reading.called)

    def twice(self) -> Outcome:
        """Both runs."""
        mapper = self.mapper.plugin.name if self.mapper else None
        outcome = Outcome(*self.pair, mapper, self.reading.source)
        answer = self.run()
        there = self.lying()
        outcome.first = why(answer) or missing(there, self.wanted) or "ok"
        outcome.rows = {name: len(table) for name, table in there.items()}
        if answer.code != 0:
            return outcome
        outcome.adapted, outcome.notes = adapted(answer.json), list(answer.json["notes"])
        outcome.bookmark = self.workspace.bookmark(self.job) is not None
        time.sleep(1.1)  # files are named by the second
        changed = self.reading.change() if self.reading.change else None
        answer = self.run()
        outcome.second = why(answer)
        if answer.code == 0:
            outcome.again, after = int(answer.json["records"]), self.lying()
            outcome.kept = kept(after, self.wanted, outcome.again)
            outcome.second = "; ".join(foreign(after, self.wanted)) or "ok"
            if changed is not None:
                outcome.kept, outcome.second = "changes came", missing(after, changed) or "ok"
        return outcome


def why(answer: Answer) -> str:
    """Why a run failed: the code and what it says first; empty when it did not."""
    if answer.code == 0:
        return ""
    try:
        error = json.loads(answer.stdout)
    except ValueError:
        error = {"code": f"exit {answer.code}", "message": (answer.stderr.strip().splitlines() or [""])[-1]}
    error = error.get("error", error) if isinstance(error.get("error", error), dict) else error
    more = error.get("details") or () if error.get("code") == "plugin.install_failed" else ()
    return short(f"{error.get('code')}: {' · '.join([str(error.get('message', '')), *map(str, more)])}")


def short(text: str) -> str:
    """One line of it, files without their folders."""
    line = FOLDERS.sub("", " ".join(text.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def missing(there: Mapping[str, Table], wanted: Mapping[str, Table]) -> str:
    """How the destination differs from the source; empty when it does not."""
    return "; ".join(difference(one, wanted[name]) for name, one in there.items() if one.rows != wanted[name].rows)


def difference(there: Table, wanted: Table) -> str:
    """How two tables differ, in words."""
    lost, extra = wanted.rows - there.rows, there.rows - wanted.rows
    return f"{there.name}: {lost.total():,} of {len(wanted):,} rows missing, {extra.total():,} others"


def foreign(there: Mapping[str, Table], wanted: Mapping[str, Table]) -> Iterator[str]:
    """Rows that no source has."""
    for name, table in there.items():
        if strange := table.rows.keys() - wanted[name].rows.keys():
            yield f"{name}: {len(strange):,} rows that the source does not have"
        if not table.rows and wanted[name].rows:
            yield f"{name}: empty after the second run"


def kept(there: Mapping[str, Table], wanted: Mapping[str, Table], again: int) -> str:
    """What became of the rows that came again."""
    total, once = sum(map(len, there.values())), sum(map(len, wanted.values()))
    if again == 0:
        return "nothing came again"
    if total == once + again:
        return "appended"
    if total == once:
        return "merged"
    return "merged where there is a key" if total > once else "written anew"


def adapted(summary: Mapping[str, Any]) -> list[str]:
    """What Dativo changed for those that read, rule by rule: how often."""
    found = [f"{rule} ({one['changes']})" for rules in summary["adapted"].values() for rule, one in rules.items()]
    return [*sorted(found), *(["streams' names"] if summary["renamed"] else [])]


def install(workspace: Workspace, plugin: Plugin) -> str:
    """`dativo add`: empty when it worked, else why not."""
    if not (workspace.folder / "dativo.lock").exists():
        known = set()
    else:
        known = {one["name"] for one in workspace.dativo("list", "--json").expect().json}
    return "" if plugin.name in known else why(workspace.dativo("add", *plugin.words(), "--json"))


def installed(workspace: Workspace, plugin: Plugin) -> dict[str, Any]:
    """What `dativo list` says it can do."""
    one = next(one for one in workspace.dativo("list", "--json").expect().json if one["name"] == plugin.name)
    return {"capabilities": one["capabilities"]}
