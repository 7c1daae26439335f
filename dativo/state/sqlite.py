"""The state store that is there by default: one SQLite file.

Every change is one `BEGIN IMMEDIATE` transaction that is on disk (fsync) when the method returns (I2), and every write
of a run checks the fencing token in that same transaction (I5).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dativo.state import schema
from dativo.state.faults import translated
from dativo.state.location import Location
from dativo.state.sql import SqlStore

BUSY_TIMEOUT = 10.0


class SqliteStore(SqlStore):
    """An open SQLite file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.place = str(path)
        self._db = connection

    @classmethod
    def opened(cls, at: Location, *, to_read: bool = False) -> SqliteStore:
        """Open for writing; makes the file (mode 0600) where there is none, unless it is only to be read."""
        assert at.path is not None
        return cls._to_read(at.path) if to_read else cls._to_write(at.path)

    @classmethod
    def _to_write(cls, path: Path) -> SqliteStore:
        with translated(path):
            _make(path)
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                schema.check_owner(connection)  # before anything is written into a file that may not be ours
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = FULL")  # I2: fsync at each commit, not at checkpoints only
                connection.execute("PRAGMA foreign_keys = ON")
                schema.migrate(connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def _to_read(cls, path: Path) -> SqliteStore:
        if not path.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            schema.migrate(connection)
            return cls(path, connection)
        with translated(path):
            # A read-only directory cannot hold the -shm file that WAL needs; where there is no log, the file says all.
            still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
            uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                schema.check_owner(connection)
                if schema.version(connection) < len(schema.MIGRATIONS):
                    connection.close()
                    return cls._to_write(path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def close(self) -> None:
        """Close the file. A lease that was not released stays until its holder is gone."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is durable when this returns, or none of it happened."""
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with translated(self.path):
            return self._db.execute(statement, values).fetchall()

    def check(self) -> list[str]:
        """What SQLite finds wrong in the file; nothing is an empty list."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check(5)")]
        return [] if found == ["ok"] else found

    def journal_mode(self) -> str:
        """`wal` where the file system can; anything else is slower but as safe."""
        return str(self._rows("PRAGMA journal_mode")[0][0])

    def describe(self) -> str:
        """Its mode and size."""
        size = sum(one.stat().st_size for one in self.path.parent.glob(self.path.name + "*"))
        return f"{self.journal_mode().upper()}, {size / (1 << 20):.1f} MiB  {self.path}"


def _make(path: Path) -> None:
    """Make the file, private to its owner, and its name durable."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for locks here, so two processes that open a new file would collide."""
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return
