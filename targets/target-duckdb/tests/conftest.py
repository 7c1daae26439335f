"""What the tests of target-duckdb share: the real console script, real files, and a look into the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

SCRIPT = Path(sys.executable).parent / "target-duckdb"


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def states(self) -> list[str]:
        return self.out.splitlines()


class Target:
    """One DuckDB file and the script that writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "t.duckdb"
        self.job = "j"

    def command(self, *arguments: str, **settings: object) -> list[str]:
        config = self.folder / "config.json"
        config.write_text(json.dumps({"path": str(self.path), **settings}))
        return [str(SCRIPT), "--config", str(config), *arguments]

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "DATIVO_JOB": self.job, "DATIVO_RUN": "r-1"}

    def load(self, data: bytes | str, **settings: object) -> Result:
        data = data.encode() if isinstance(data, str) else data
        done = subprocess.run(self.command(**settings), input=data, capture_output=True, env=self.env, check=False)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, **settings: object) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(**settings), stdin=pipe, stdout=pipe, stderr=pipe, env=self.env)

    def bookmark(self, job: str | None = None, **settings: object) -> Result:
        command = self.command("--bookmark", job or self.job, **settings)
        done = subprocess.run(command, capture_output=True, env=self.env, check=False)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(statement).fetchall()

    def columns(self, table: str) -> dict[str, str]:
        return {str(row[0]): str(row[1]) for row in self.sql(f'DESCRIBE "{table}"')}


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def schema(properties: dict[str, object] | None = None, keys: list[str] | None = None, stream: str = "t") -> str:
    if properties is None:
        properties = {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}
    message = {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}, "key_properties": keys or []}
    return json.dumps(message) + "\n"


def record(text: str, stream: str = "t", **more: object) -> str:
    extra = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in more.items())
    return f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{text}{extra}}}\n'


def state(value: object) -> str:
    return json.dumps({"type": "STATE", "value": value}) + "\n"


class Singer:
    """The makers of messages, for tests to take as a fixture."""

    schema = staticmethod(schema)
    record = staticmethod(record)
    state = staticmethod(state)


@pytest.fixture
def singer() -> type[Singer]:
    return Singer
