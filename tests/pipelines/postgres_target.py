"""target-postgres in a bare shell with a database of its own: what it is fed, and what its tables hold."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.postgres import Postgres

TEXT, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
TIME = {"type": "string", "format": "date-time"}


def schema(stream: str, properties: dict[str, Any], *keys: str) -> str:
    """A SCHEMA."""
    declared = {"type": "object", "properties": properties}
    return json.dumps({"type": "SCHEMA", "stream": stream, "schema": declared, "key_properties": keys})


def record(stream: str, version: int | None = None, **values: Any) -> str:
    """A RECORD."""
    versioned = {} if version is None else {"version": version}
    return json.dumps({"type": "RECORD", "stream": stream, "record": values, **versioned})


def state(value: Any) -> str:
    """A STATE."""
    return json.dumps({"type": "STATE", "value": value})


def activate(stream: str, version: int) -> str:
    """An ACTIVATE_VERSION."""
    return json.dumps({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    code: int
    states: list[Any]
    errors: str


class Target:
    """The program, and one database."""

    def __init__(self, program: Path, server: Postgres, database: str, folder: Path) -> None:
        self.program, self.server, self.database, self.folder = program, server, database, folder

    def config(self, **settings: Any) -> Path:
        """A file with how to connect, and other settings."""
        file = self.folder / "target.json"
        reach = {"host": self.server.host, "port": self.server.port, "user": self.server.user}
        known = {**reach, "password": self.server.password, "dbname": self.database, "sslmode": "disable"}
        file.write_text(json.dumps({**known, **settings}), "utf-8")
        return file

    def start(self, job: str = "default", **settings: Any) -> subprocess.Popen[str]:
        """Start it; its input is the caller's to write."""
        return subprocess.Popen(
            [self.program, "--config", self.config(**settings)],
            env={"PATH": os.environ["PATH"], "DATIVO_JOB": job},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, messages: Iterable[str], job: str = "default", **settings: Any) -> Done:
        """Feed it, to the end."""
        process = self.start(job, **settings)
        stdout, stderr = process.communicate("".join(f"{message}\n" for message in messages))
        return Done(process.returncode, [json.loads(line) for line in stdout.splitlines()], stderr)

    def load(self, *messages: str, job: str = "default", **settings: Any) -> Done:
        """The same, and it must end well."""
        done = self.run(messages, job, **settings)
        assert done.code == 0, done.errors
        return done

    def refuse(self, *messages: str, code: int, **settings: Any) -> str:
        """The same, and it must end with that exit code and print no STATE; its errors."""
        done = self.run(messages, **settings)
        assert (done.code, done.states) == (code, []), done.errors
        return done.errors

    def bookmark(self, job: str = "default", **settings: Any) -> Any:
        """What `--bookmark` prints."""
        command = [self.program, "--config", self.config(**settings), "--bookmark", job]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return json.loads(printed) if printed else None

    def sql(self, statement: str) -> str:
        """Ask the server."""
        return self.server.sql(statement, database=self.database).strip()

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of the database."""
        return self.server.rows(query, database=self.database)

    def types(self, table: str) -> dict[str, str]:
        """A table's columns."""
        query = (
            "select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute"
            f" where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped order by attnum"
        )
        return {row["name"]: row["type"] for row in self.rows(query)}
