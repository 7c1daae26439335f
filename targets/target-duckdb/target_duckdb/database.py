"""The DuckDB file: opened once, one transaction at a time, with the bookmark beside the data (I1, I2)."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from target_duckdb.errors import TargetError, from_duckdb
from target_duckdb.names import BOOKMARKS, NAMES, quoted
from target_duckdb.settings import Settings

VALUES = "_dativo_values"


def connect(settings: Settings, *, read_only: bool) -> Any:
    """Open the file, or say in one line why not."""
    import duckdb

    path = settings.path
    config: dict[str, Any] = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    new = not read_only and not Path(path).exists()
    try:
        connection = duckdb.connect(path, read_only=read_only, config=config)
        connection.execute("SET TimeZone = 'UTC'")
    except duckdb.Error as error:
        problem = from_duckdb(error, path)
        if new and problem.code == "env.disk_full":  # half a file would be no database for every later run
            Path(path).unlink(missing_ok=True)
        raise problem from None
    return connection


def stored_bookmark(settings: Settings, job: str) -> str | None:
    """The STATE value stored for the job; None when there is none, or no file. Creates nothing."""
    import duckdb

    if settings.mode == "overwrite" or not Path(settings.path).exists():
        return None  # an overwritten table holds one whole run: there is no place in the middle to go on from
    connection = connect(settings, read_only=True)
    try:
        table = f"{quoted(settings.schema)}.{quoted(BOOKMARKS)}"
        found = connection.execute(f"SELECT state FROM {table} WHERE job = ?", [job]).fetchone()
    except duckdb.CatalogException:
        return None
    except duckdb.Error as error:
        raise from_duckdb(error, settings.path) from None
    finally:
        connection.close()
    return str(found[0]) if found and found[0] is not None else None


class Database:
    """The open file of one run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.schema = quoted(settings.schema)
        self._check_place(Path(settings.path))
        self.connection = connect(settings, read_only=False)
        self.in_transaction = False

    @staticmethod
    def _check_place(path: Path) -> None:
        folder = path.parent
        if not folder.is_dir():
            raise TargetError("env.read_only", f"{path} cannot be made: {folder} is not a folder", "create it first")
        writable = os.access(path if path.exists() else folder, os.W_OK)
        if not writable:
            reason = os.strerror(errno.EACCES)
            raise TargetError("env.read_only", f"{path} cannot be written: {reason}", "make it and its folder writable")

    def sql(self, statement: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement inside the run's transaction, which it begins where there is none; the rows."""
        import duckdb

        try:
            if not self.in_transaction:
                self.connection.execute("BEGIN")
                self.in_transaction = True
                self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
            found = self.connection.execute(statement, parameters) if parameters else self.connection.execute(statement)
            return list(found.fetchall())
        except duckdb.Error as error:
            raise from_duckdb(error, self.settings.path) from None

    def computed(self, array: Any, expression: str) -> Any:
        """What an expression on the values `v` of an Arrow array gives, as an array."""
        import duckdb
        import pyarrow as pa

        self.connection.register(VALUES, pa.table({"v": array}))
        try:
            found = self.connection.sql(f"SELECT {expression} AS v FROM {VALUES}").to_arrow_table()
        except duckdb.Error as error:
            raise from_duckdb(error, self.settings.path) from None
        finally:
            self.connection.unregister(VALUES)
        return found.column(0).combine_chunks()

    def save_bookmark(self, state: str, rows: int) -> None:
        """Put the bookmark into the transaction that holds the rows it covers."""
        table = f"{self.schema}.{quoted(BOOKMARKS)}"
        self.sql(
            f"CREATE TABLE IF NOT EXISTS {table}"
            " (job VARCHAR, state VARCHAR, run VARCHAR, committed_at TIMESTAMP WITH TIME ZONE, rows BIGINT)"
        )
        self.sql(f"DELETE FROM {table} WHERE job = ?", [self.settings.job])
        self.sql(f"INSERT INTO {table} VALUES (?, ?, ?, now(), ?)", [self.settings.job, state, self.settings.run, rows])

    def names(self, stream: str) -> dict[str | None, str]:
        """The names remembered for a stream: property (None: the stream itself) to column (table)."""
        if not self.exists(NAMES):
            return {}
        table = f"{self.schema}.{quoted(NAMES)}"
        return dict(self.sql(f"SELECT property, name FROM {table} WHERE stream = ?", [stream]))

    def remember(self, stream: str, given: str | None, name: str) -> None:
        """Remember which column (or table) a property (or stream) got when it is not the same name."""
        table = f"{self.schema}.{quoted(NAMES)}"
        self.sql(f"CREATE TABLE IF NOT EXISTS {table} (stream VARCHAR, property VARCHAR, name VARCHAR)")
        self.sql(f"DELETE FROM {table} WHERE stream = ? AND property IS NOT DISTINCT FROM ?", [stream, given])
        self.sql(f"INSERT INTO {table} VALUES (?, ?, ?)", [stream, given, name])

    def exists(self, table: str) -> bool:
        """Whether the table exists in the schema."""
        return bool(self.columns(table))

    def columns(self, table: str) -> list[tuple[str, str]]:
        """The table's columns with their types."""
        return [
            (str(name), str(kind))
            for name, kind in self.sql(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database()"
                " AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?) ORDER BY column_index",
                [self.settings.schema, table],
            )
        ]

    def tables(self) -> list[str]:
        """The tables and views of the schema."""
        where = "WHERE database_name = current_database() AND lower(schema_name) = lower(?)"
        found = self.sql(f"SELECT table_name FROM duckdb_tables() {where}", [self.settings.schema])
        found += self.sql(f"SELECT view_name FROM duckdb_views() {where}", [self.settings.schema])
        return [str(name) for (name,) in found]

    def commit(self) -> None:
        """Make the transaction durable."""
        import duckdb

        if not self.in_transaction:
            return
        try:
            self.connection.execute("COMMIT")
        except duckdb.Error as error:
            raise from_duckdb(error, self.settings.path) from None
        self.in_transaction = False

    def rollback(self) -> None:
        """Forget the transaction; a database that failed already has done so."""
        import duckdb

        if self.in_transaction:
            self.in_transaction = False
            try:
                self.connection.execute("ROLLBACK")
            except duckdb.Error:
                return

    def close(self) -> None:
        """Close the file; what was committed is durable whether or not this succeeds."""
        import duckdb

        try:
            self.connection.close()
        except duckdb.Error:
            return
