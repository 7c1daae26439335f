"""The Singer plugins of the package index, in a bare pipe as their documentation starts them, and under Meltano."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.arena import Arena
from tests.bench.contest import Absent, Contender
from tests.bench.ours import End, project, reach
from tests.bench.peers import (
    MELTANO,
    PIPELINEWISE_TAP,
    PIPELINEWISE_TARGET,
    TAP_CSV,
    TAP_POSTGRES,
    TARGET_JSONL,
    TARGET_POSTGRES,
    Peer,
)


@dataclass(frozen=True)
class Plugin:
    """A program and its settings."""

    peer: Peer
    config: dict[str, Any]
    stream: str = ""
    """The one stream that a tap syncs."""
    executable: Path | None = None
    """Of a plugin that is no peer's."""
    selected: dict[str, Any] = field(default_factory=dict)
    """What the tap's catalog says of a stream that is selected."""
    catalog: bool = True
    """Whether it can be given one."""

    def write(self, folder: Path) -> Path:
        """Its config file."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.peer.folder}.json"
        file.write_text(json.dumps(self.config), "utf-8")
        return file

    def select(self, program: Path, config: Path, env: dict[str, str]) -> Path:
        """A catalog with the one stream, from the tap's own discovery."""
        done = subprocess.run([program, "--config", config, "--discover"], env=env, capture_output=True, check=True)
        streams = [one for one in json.loads(done.stdout)["streams"] if one["tap_stream_id"] == self.stream]
        for stream in streams:
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"] |= {"selected": True, **self.selected}
        file = config.with_suffix(".catalog.json")
        file.write_text(json.dumps({"streams": streams}), "utf-8")
        return file


def tap_postgres(arena: Arena, table: str) -> Plugin:
    """meltanolabs-tap-postgres."""
    return Plugin(TAP_POSTGRES, {**reach(arena, "database"), "filter_schemas": ["public"]}, f"public-{table}")


def pipelinewise_tap(arena: Arena, table: str) -> Plugin:
    """pipelinewise-tap-postgres."""
    config = {**reach(arena), "filter_schemas": "public"}
    return Plugin(PIPELINEWISE_TAP, config, f"public-{table}", selected={"replication-method": "FULL_TABLE"})


def tap_csv(file: Path) -> Plugin:
    """The one CSV tap on the Meltano SDK that is in the package index; it fails on any catalog, its own included."""
    config = {"filesystem": "local", "path": str(file.parent), "read_mode": "one_stream_per_file"}
    return Plugin(TAP_CSV, config, file.stem, catalog=False)


def target_postgres(arena: Arena, schema: str) -> Plugin:
    """meltanolabs-target-postgres."""
    return Plugin(TARGET_POSTGRES, {**reach(arena, "database"), "default_target_schema": schema})


def pipelinewise_target(arena: Arena, schema: str) -> Plugin:
    """pipelinewise-target-postgres."""
    return Plugin(PIPELINEWISE_TARGET, {**reach(arena), "default_target_schema": schema})


def target_jsonl(folder: Path) -> Plugin:
    """target-jsonl."""
    return Plugin(TARGET_JSONL, {"destination_path": str(folder)})


def ours(arena: Arena, end: End) -> Plugin | None:
    """A target of ours as Meltano starts it: a Singer target like any other; None when it cannot be installed."""
    try:
        program = project(arena, end).executable(end.plugin)
    except AssertionError:
        return None
    return Plugin(Peer(end.plugin, (f"our {end.plugin}",), ""), end.config, executable=program)


def pair(arena: Arena, rows: int, tap: Plugin, target: Plugin | None, **more: Any) -> Contender | Absent:
    """`tap | target` in a shell; without a target, the tap into /dev/null."""
    folder = arena.scratch / "singer" / f"{tap.peer.name}-{tap.stream}-{target.peer.name if target else 'null'}"
    needs = [tap.peer, *([target.peer] if target else [])]
    lines: list[str] = []

    def command(*programs: Path) -> Sequence[str | Path]:
        if not lines:
            config = tap.write(folder)
            line = f"{programs[0]} --config {config}"
            line += f" --catalog {tap.select(programs[0], config, arena.env())}" if tap.catalog else ""
            lines.append(line + (f" | {programs[1]} --config {target.write(folder)}" if target else ""))
        return ["/bin/bash", "-o", "pipefail", "-c", f"{lines[0]} >/dev/null"]

    name = " | ".join(one.version for one in needs) + ("" if target else " alone")
    return arena.peer(name, needs, rows, command, **more)


def target_alone(arena: Arena, rows: int, target: Plugin, file: Path, **more: Any) -> Contender | Absent:
    """A target fed from a file."""
    config = target.write(arena.scratch / "singer" / f"{target.peer.name}-alone")

    def command(program: Path) -> Sequence[str | Path]:
        return ["/bin/sh", "-c", f"{program} --config {config} < {file} >/dev/null"]

    return arena.peer(f"{target.peer.version} alone", [target.peer], rows, command, **more)


def meltano(arena: Arena, rows: int, tap: Plugin, target: Plugin | None, **more: Any) -> Contender | Absent:
    """`meltano run tap target` in a project of its own, with the plugins' programs as they are."""
    if target is None:
        return Absent(MELTANO.version, "its target is ours, and that is not there")
    folder = arena.scratch / "meltano" / f"{tap.stream}-{target.peer.name}"
    needs = [MELTANO, tap.peer, *([] if target.executable else [target.peer])]

    def command(program: Path, *plugins: Path) -> Sequence[str | Path]:
        if not (folder / "meltano.yml").exists():
            _write_project(folder, tap, plugins[0], target, target.executable or plugins[1])
        return [program, "run", "--full-refresh", tap.peer.name, target.peer.name]

    folder.mkdir(parents=True, exist_ok=True)
    name = f"{MELTANO.version}: {tap.peer.version}, {target.peer.version}"
    return arena.peer(name, needs, rows, command, cwd=folder, **more)


def _write_project(folder: Path, tap: Plugin, tap_program: Path, target: Plugin, target_program: Path) -> None:
    extractor = {
        "name": tap.peer.name,
        "namespace": tap.peer.name.replace("-", "_"),
        "executable": str(tap_program),
        "capabilities": ["catalog", "discover", "state"] if tap.catalog else ["state"],
        "settings": [{"name": name} for name in tap.config],
        "config": tap.config,
        "select": [f"{tap.stream}.*"],
    }
    loader = {
        "name": target.peer.name,
        "namespace": target.peer.name.replace("-", "_"),
        "executable": str(target_program),
        "settings": [{"name": name} for name in target.config],
        "config": target.config,
    }
    project = {
        "version": 1,
        "default_environment": "dev",
        "environments": [{"name": "dev"}],
        "send_anonymous_usage_stats": False,
        "plugins": {"extractors": [extractor], "loaders": [loader]},
    }
    (folder / "meltano.yml").write_text(json.dumps(project), "utf-8")  # JSON is YAML
