"""Our tap-postgres as a bare process against a real server: what it writes, message by message or from its spool."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.servers.postgres import Postgres

PLAIN = {"PATH": "/usr/bin:/bin"}
LETTERS = {"SCHEMA": "S", "RECORD": "R", "BATCH": "B", "STATE": "T", "ACTIVATE_VERSION": "A"}


def connection(server: Postgres, database: str, **more: Any) -> dict[str, Any]:
    """The tap's settings for a database."""
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "dbname": database,
        **more,
    }


def exact(text: str | bytes) -> Any:
    """JSON with all digits of its numbers."""
    return json.loads(text, parse_float=Decimal)


@dataclass
class Sent:
    """What one run of the tap wrote."""

    code: int
    stderr: str
    messages: list[dict[str, Any]]
    order: str = ""
    """The messages' types by their first letters, RECORDs of one run as one `R`."""
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    versions: dict[str, set[int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for message in self.messages:
            letter = {"SCHEMA": "S", "RECORD": "R", "BATCH": "B", "STATE": "T", "ACTIVATE_VERSION": "A"}[
                message["type"]
            ]
            self.order += "" if letter == "R" and self.order.endswith("R") else letter
            if letter == "R":
                self.records.setdefault(message["stream"], []).append(message["record"])
                self.versions.setdefault(message["stream"], set()).add(message.get("version"))

    @property
    def schemas(self) -> dict[str, Any]:
        return {one["stream"]: one for one in self.messages if one["type"] == "SCHEMA"}

    @property
    def states(self) -> list[Any]:
        return [one["value"] for one in self.messages if one["type"] == "STATE"]

    def expect(self, code: int = 0) -> Sent:
        assert self.code == code, self.stderr
        return self


@dataclass
class Tap:
    """The tap with its settings."""

    program: Path
    folder: Path
    config: dict[str, Any]

    def command(self, *words: str | Path, **settings: Any) -> list[str]:
        file = self.folder / "tap.json"
        file.write_text(json.dumps({**self.config, **settings}), "utf-8")
        return [str(self.program), "--config", str(file), *map(str, words)]

    def file(self, name: str, value: Any) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(value, default=str), "utf-8")
        return path

    def run(self, *, catalog: Any = None, state: Any = None, spool: Path | None = None, **settings: Any) -> Sent:
        words: list[str | Path] = []
        if catalog is not None:
            words += ["--catalog", self.file("catalog.json", catalog)]
        if state is not None:
            words += ["--state", self.file("state.json", state)]
        environment = dict(PLAIN)
        if spool is not None:
            spool.mkdir()
            environment |= {"DATIVO_SPOOL": str(spool), "DATIVO_SPOOL_BYTES": "1000000000"}
        done = subprocess.run(self.command(*words, **settings), env=environment, capture_output=True, check=False)
        return Sent(done.returncode, done.stderr.decode(), [exact(line) for line in done.stdout.splitlines()])

    def start(self, *words: str | Path, **settings: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*words, **settings), env=PLAIN, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def discover(self, **settings: Any) -> dict[str, dict[str, Any]]:
        done = subprocess.run(self.command("--discover", **settings), env=PLAIN, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return {one["tap_stream_id"]: one for one in exact(done.stdout)["streams"]}

    def catalog(self, *streams: str, **metadata: Any) -> dict[str, Any]:
        """The catalog with only these streams selected, and this in their metadata (`_` for `-`)."""
        offered = list(self.discover().values())
        for stream in offered:
            own = stream["metadata"][0]["metadata"]
            own["selected"] = stream["tap_stream_id"] in streams
            own.update({key.replace("_", "-"): value for key, value in metadata.items()})
        return {"streams": offered}


def spooled(sent: Sent) -> dict[str, pa.Table]:
    """The rows of each stream, read by pyarrow from the files that the BATCHes name."""
    tables: dict[str, list[pa.Table]] = {}
    for message in sent.messages:
        if message["type"] == "BATCH":
            assert message["encoding"] == {"format": "arrow"}
            for uri in message["manifest"]:
                path = Path(uri.removeprefix("file://"))
                assert os.stat(path).st_mode & 0o222 == 0
                with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                    table = pa.Table.from_pylist(reader.read_all().to_pylist(), reader.schema)
                tables.setdefault(message["stream"], []).append(table)
    return {stream: pa.concat_tables(parts) for stream, parts in tables.items()}
