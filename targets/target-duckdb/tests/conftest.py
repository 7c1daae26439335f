"""What the tests of target-duckdb share: the real console script, real files, and a look into the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

SCRIPT = Path(sys.executable).parent / "target-duckdb"


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def states(self) -> list[str]:
        return [line for line in self.out.splitlines() if '"BATCH"' not in line]

    @property
    def given_back(self) -> list[str]:
        return [line for line in self.out.splitlines() if '"BATCH"' in line]


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


class Spool:
    """A tap's folder of sealed Arrow files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.count = 0

    def seal(self, table: pa.Table) -> Path:
        self.count += 1
        path = self.folder / f"{self.count}.arrow"
        part = path.with_suffix(".arrow.part")
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        part.chmod(0o444)
        return part.rename(path)

    @staticmethod
    def line(*paths: Path, stream: str = "t", **more: object) -> str:
        files = [path.as_uri() for path in paths]
        message = {"type": "BATCH", "stream": stream, "encoding": {"format": "arrow"}, "manifest": files, **more}
        return json.dumps(message) + "\n"

    def batch(self, *tables: pa.Table, stream: str = "t", **more: object) -> str:
        return self.line(*(self.seal(table) for table in tables), stream=stream, **more)

    @staticmethod
    def json_field(name: str) -> pa.Field:
        return pa.field(name, pa.string(), metadata={"ARROW:extension:name": "arrow.json"})

    @classmethod
    def json_table(cls, **columns: list[str | None]) -> pa.Table:
        """A table of columns of JSON texts."""
        arrays = [pa.array(values, pa.string()) for values in columns.values()]
        return pa.table(arrays, schema=pa.schema([cls.json_field(name) for name in columns]))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def singer() -> type[Singer]:
    return Singer
