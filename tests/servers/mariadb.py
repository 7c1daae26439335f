"""A throw-away MariaDB on a free loopback port, as `tests.servers.postgres` gives a PostgreSQL.

    with mariadb.server() as database:
        database.load({"airlines": [{"carrier": "9E", …}]}, SCHEMA)

As root it runs as an ordinary user. The binary log is on, by rows, for LOG_BASED taps; nothing is synced to the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.servers.postgres import as_user, free_port, ordinary_user

SETTINGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-error",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--server-id=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
)
PATIENCE = 60.0
"""Seconds that a server has to accept connections."""
AT_ONCE = 2_000
"""Rows in one INSERT."""


def program(name: str) -> str:
    """A program of MariaDB's (its daemon is in Debian's sbin, off an ordinary user's PATH)."""
    found = shutil.which(name, path=f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: run .ci/packages")
    return found


@dataclass(frozen=True)
class MariaDB:
    """How to reach a running server, and the few things that tests ask of it."""

    host: str
    port: int
    user: str
    password: str
    database: str = "nyc"

    def sql(self, statements: str, *, database: str | None = None) -> str:
        """Run statements; their output without headings, columns divided by tabs."""
        options = ["--skip-column-names", "--batch", "--raw", "--default-character-set=utf8mb4"]
        where = [f"--host={self.host}", f"--port={self.port}", "--protocol=TCP", f"--user={self.user}"]
        done = subprocess.run(
            [
                program("mariadb"),
                "--no-defaults",
                *where,
                *options,
                *([] if database == "" else [database or self.database]),
            ],
            input=statements,
            env={"PATH": "/usr/bin:/bin", "MYSQL_PWD": self.password, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"mariadb: {done.stderr.strip()}\n{statements[:500]}")
        return done.stdout

    def create_database(self, name: str) -> str:
        """An empty database."""
        self.sql(f"create database `{name}`", database="")
        return name

    def columns(self, table: str, *, database: str | None = None) -> list[str]:
        """The names of a table's columns, in order."""
        found = self.sql(
            "select column_name from information_schema.columns "
            f"where table_schema = '{database or self.database}' and table_name = '{table}' order by ordinal_position"
        )
        return found.split()

    def tables(self, *, database: str | None = None) -> list[str]:
        """The names of a database's tables."""
        schema = database or self.database
        return self.sql(f"select table_name from information_schema.tables where table_schema = '{schema}'").split()

    def rows(self, table: str, *, database: str | None = None) -> list[dict[str, Any]]:
        """A table's rows, numbers with all their digits."""
        pairs = ", ".join(f"'{name}', `{name}`" for name in self.columns(table, database=database))
        listing = self.sql(f"select json_object({pairs}) from `{table}`", database=database)
        return [json.loads(line, parse_float=Decimal) for line in listing.split("\n") if line]

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; None is NULL, all else is given as text."""
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            names = ", ".join(f"`{name}`" for name in some[0])
            values = ",\n".join(f"({', '.join(_literal(value) for value in row.values())})" for row in some)
            self.sql(f"insert into `{table}` ({names}) values {values}")


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _run(command: Iterable[str | Path], folder: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(folder)}  # two servers made at once would share tables' names in /tmp
    done = subprocess.run(list(command), env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{done.args[0]}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def server() -> Iterator[MariaDB]:
    """A running server with an empty database `nyc`, for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="dativo-mariadb-"))
    folder.chmod(0o755)
    user, password, process = ordinary_user(), secrets.token_hex(12), None
    data, first = folder / "data", folder / "first.sql"
    first.write_text(
        f"create database nyc;\ncreate user 'dativo'@'127.0.0.1' identified by '{password}';\n"
        "grant all on *.* to 'dativo'@'127.0.0.1' with grant option;\n",
        "utf-8",
    )
    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        quick = ["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]
        _run(as_user(user, program("mariadb-install-db"), *quick, f"--datadir={data}"), folder)
        port = free_port()
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                as_user(
                    user,
                    program("mariadbd"),
                    "--no-defaults",
                    f"--datadir={data}",
                    f"--socket={folder}/socket",
                    f"--pid-file={folder}/pid",
                    f"--tmpdir={folder}",
                    f"--port={port}",
                    f"--init-file={first}",
                    *SETTINGS,
                ),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        found = MariaDB("127.0.0.1", port, "dativo", password)
        _wait(found, process, folder / "log")
        yield found
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(found: MariaDB, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(RuntimeError):
            found.sql("select 1")
            return
        time.sleep(0.2)
    raise RuntimeError(f"MariaDB does not start: {log.read_text('utf-8')[-2000:]}")
