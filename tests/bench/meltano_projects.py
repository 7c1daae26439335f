"""The same Meltano project under `dativo run` and under `meltano run`: what a start costs, and what a line costs.

Its plugins are programs of the system: the tap prints a file of Singer messages, the target reads them all and prints
the value of the last one, which is a STATE. What is left is what the two runners take. The limit is no runner at all:
the two with the `cat` between them that whoever looks at what passes is at least.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.arena import Arena
from tests.bench.contest import Absent, Contender, Contest, Wanted
from tests.bench.peers import MELTANO
from tests.bench.workload import write_singer_file
from tests.workspace import PROGRAMS, Workspace

START, RELAY = 5, 15
"""How many times faster than Meltano."""
LAST = """exec tail -n 1 | sed 's/^{"type": *"STATE", *"value": *//; s/}$//'"""
"""A target prints a STATE's value."""
BYTES_A_ROW = 674
"""Of the 1,000,000 rows in 674 MB that PEERS.md's figures were measured with."""


def contests(arena: Arena) -> list[Contest]:
    """A project with a file of five lines, and one with a million."""
    return [
        _contest(arena, "start", 0, START),
        _contest(arena, "relay", arena.rows * BYTES_A_ROW // 1_000_000, RELAY),
    ]


def _contest(arena: Arena, name: str, megabytes: int, wanted: float) -> Contest:
    folder = arena.scratch / "meltano-projects" / name
    folder.mkdir(parents=True, exist_ok=True)
    rows = _messages(folder / "messages.jsonl", megabytes)
    _write_project(folder)
    title = f"A Meltano project: {rows:,} record{'' if rows == 1 else 's'} from tap to target"
    others = [_bare(arena, folder, rows), _theirs(arena, folder, rows)]
    return Contest(title, _ours(arena, folder, rows), others, (Wanted("meltano", wanted),))


def _bare(arena: Arena, folder: Path, rows: int) -> Contender:
    command = ["/bin/sh", "-c", "./tap-file | cat | ./target-last"]
    return Contender("tap | cat | target", "limit", rows, lambda: command, arena.env(), folder)


def _messages(file: Path, megabytes: int) -> int:
    if megabytes:
        return write_singer_file(file, megabytes)
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    messages = [
        {"type": "SCHEMA", "stream": "orders", "schema": schema, "key_properties": ["id"]},
        {"type": "RECORD", "stream": "orders", "record": {"id": 1}},
        {"type": "STATE", "value": {"bookmarks": {"orders": {"id": 1}}}},
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in messages), "utf-8")
    return 1


def _write_project(folder: Path) -> None:
    programs = {"tap-file": f"exec cat {folder / 'messages.jsonl'}", "target-last": LAST}
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        (folder / name).chmod(0o755)
    reading = {"dativo": {"sandbox": {"read": ["messages.jsonl"]}}}
    tap = {"name": "tap-file", "namespace": "tap_file", "executable": str(folder / "tap-file")}
    target = {"name": "target-last", "namespace": "target_last", "executable": str(folder / "target-last")}
    project = {
        "version": 1,
        "default_environment": "dev",
        "environments": [{"name": "dev"}],
        "send_anonymous_usage_stats": False,
        "plugins": {"extractors": [{**tap, "annotations": reading}], "loaders": [target]},
    }
    (folder / "meltano.yml").write_text(json.dumps(project), "utf-8")  # JSON is YAML


def _ours(arena: Arena, folder: Path, rows: int) -> Contender:
    made = Workspace(folder, arena.scratch / "home")
    (folder / "dativo.yml").unlink()  # the project is Meltano's
    command = [str(PROGRAMS / "dativo"), "run", "--full-refresh", "tap-file", "target-last"]
    return Contender("dativo run", "dativo", rows, lambda: command, made.environment(), folder)


def _theirs(arena: Arena, folder: Path, rows: int) -> Contender | Absent:
    def command(program: Path) -> list[str | Path]:
        return [program, "run", "--full-refresh", "tap-file", "target-last"]

    return arena.peer(MELTANO.version, [MELTANO], rows, command, cwd=folder)
