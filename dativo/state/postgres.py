"""The state store in a PostgreSQL database: for many machines that share their jobs.

Its tables live in a schema of their own, `dativo`. A transaction locks the job's row before it looks at the fencing
token (I5) and is durable when it returns, whatever the server's default says of synchronous_commit (I2). Leases are
measured with the server's clock, so the machines' clocks need not agree. What can be repeated without harm (renewing,
committing, ending a run, reading) is repeated over a new connection when the old one broke.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from dativo import errors
from dativo.state import tables
from dativo.state.lease import Lease
from dativo.state.location import Location
from dativo.state.sql import Rows, SqlStore, Transaction

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
PATIENCE = 15.0
"""Seconds that a server may be away, as while it restarts, before a run gives up."""
CONNECT_TIMEOUT = 10
_MISSING = "3F000", "42P01"
"""There is no such schema, or no such table."""


class _Statements:
    """A connection that takes `?` for each value."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Rows:
        """Run one statement; ours hold no percent sign."""
        text = statement.replace("?", "%s") if values else statement
        return self._connection.execute(text.encode(), values or None)


class PostgresStore(SqlStore):
    """An open connection, made again when it breaks."""

    LOCK = " FOR UPDATE"

    def __init__(self, at: Location, *, to_read: bool) -> None:
        self._at, self._to_read = at, to_read
        self.place = at.shown
        self._db: psycopg.Connection[Any] | None = None
        self._empty = False

    @classmethod
    def opened(cls, at: Location, *, to_read: bool = False) -> PostgresStore:
        """Connect; makes the schema and its tables where there are none, unless they are only to be read."""
        store = cls(at, to_read=to_read)
        try:
            with store._translated():
                store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    def _prepare(self) -> None:
        with self._transaction() as db:
            applied = tables.version(db)
        if applied is None and self._to_read:
            self._empty = True  # reads as an empty one; nothing is made
        elif applied != len(tables.MIGRATIONS):
            with self._transaction(to_write=True) as db:
                tables.migrate(db)

    def close(self) -> None:
        """Close the connection. A lease that was not released stays until its holder is gone."""
        if self._db is not None:
            with suppress(Exception):  # a broken connection has nothing left to say
                self._db.close()
            self._db = None

    # -- transactions

    def _connected(self) -> psycopg.Connection[Any]:
        if self._db is None or self._db.closed:
            psycopg = _driver()
            known: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "dativo", "keepalives": 1}
            # Poolers hand out another connection for each transaction: nothing may be left behind in one.
            self._db = psycopg.connect(
                self._at.url, autocommit=True, prepare_threshold=None, **{**known, **self._at.options}
            )
        return self._db

    @contextmanager
    def _transaction(self, *, to_write: bool = False) -> Iterator[Transaction]:
        connection = self._connected()
        with connection.transaction():
            db = _Statements(connection)
            db.execute(f"SET LOCAL search_path TO {tables.SCHEMA}")
            if to_write:
                db.execute("SELECT set_config('synchronous_commit', 'on', true) "
                           "WHERE current_setting('synchronous_commit') IN ('off', 'local')")  # fmt: skip
            else:
                db.execute("SET TRANSACTION READ ONLY")
            yield db

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """One transaction: all of it is durable when this returns, or none of it happened."""
        if self._to_read:
            raise errors.EnvironmentFault("env.read_only", f"the state store {self.place} was opened to be read")
        with self._translated(), self._transaction(to_write=True) as db:
            yield db

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        def read() -> list[Any]:
            with self._translated(), self._transaction() as db:
                return db.execute(statement, values).fetchall()

        return [] if self._empty else self._again(read)

    def _now(self, db: Transaction) -> float:
        """The server's time."""
        return float(db.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()[0])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        psycopg = _driver()
        try:
            yield
        except tables.NotOurs as problem:
            raise errors.EnvironmentFault(
                "state.store",
                f"the schema {tables.SCHEMA} of {self.place} is not Dativo's: {problem}",
                hint="give Dativo a database in which no other program has that schema",
            ) from problem
        except psycopg.Error as problem:
            raise _fault(problem, self.place, broken=self._db is None or self._db.closed) from problem

    def _again(self, work: Callable[[], T]) -> T:
        """Do what may be done twice until the server is back, or PATIENCE is up."""
        give_up, pause = time.monotonic() + PATIENCE, 0.1
        while True:
            try:
                return work()
            except Unreachable:
                if time.monotonic() + pause > give_up:
                    raise
            self.close()
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    # -- what is repeated when the connection broke: each leaves the same behind however often it is done

    def renew(self, lease: Lease) -> None:
        """Push the lease's end out by its ttl. Raises BusyError job.lease_lost if it is no longer ours."""
        self._again(lambda: SqlStore.renew(self, lease))

    def release(self, lease: Lease) -> None:
        """Give the lease back. Nothing happens if another run took it."""
        self._again(lambda: SqlStore.release(self, lease))

    def end_run(
        self, run: str, verdict: str, reason: str | None, stats: Mapping[str, Any], message: str | None = None
    ) -> None:
        """Record how a run ended, and put its last bookmark into the history."""
        self._again(lambda: SqlStore.end_run(self, run, verdict, reason, stats, message))

    def commit(
        self,
        lease: Lease,
        value: str | Mapping[str, Any],
        records: int | None = None,
        of: int | None = None,
        *,
        origin: str = "run",
    ) -> None:
        """Persist a bookmark that the target confirmed (I1). Durable when this returns (I2)."""
        if origin == "run":
            self._again(lambda: SqlStore.commit(self, lease, value, records, of))
        else:  # it goes into the history at once: a second time would be a second line
            SqlStore.commit(self, lease, value, records, of, origin=origin)

    # -- reading

    def check(self) -> list[str]:
        """Whether every table can be read."""
        found = []
        for name in tables.NAMES:
            try:
                self._rows(f"SELECT count(*) FROM {name}")  # noqa: S608 - our own names
            except errors.DativoError as problem:
                found.append(problem.message)
        return found

    def describe(self) -> str:
        """The server's version and the size of its history."""
        number = self._rows("SHOW server_version")
        lines = self._rows("SELECT count(*) FROM history")
        return f"PostgreSQL {number[0][0].split()[0]}, {lines[0][0]:,} entries  {self.place}" if lines else self.place


class Unreachable(errors.EnvironmentFault):
    """The server is not there, or went away half way."""


def _fault(problem: psycopg.Error, place: str, *, broken: bool) -> errors.DativoError:
    psycopg = _driver()
    said = " ".join(str(problem).split()) or type(problem).__name__
    state = problem.sqlstate or ""
    if (state.startswith("53") and "disk" in said.lower()) or state == "53100":
        return errors.EnvironmentFault("env.disk_full", f"the disk of the state store {place} is full")
    if state == "25006":
        return errors.EnvironmentFault("env.read_only", f"the state store {place} takes no writes: {said}")
    if state == "42501":
        return errors.EnvironmentFault(
            "env.permission",
            f"the state store {place} refuses: {said}",
            hint=f"let its user create the schema {tables.SCHEMA}, or create it and grant USAGE and CREATE on it",
        )
    if state in _MISSING:
        return errors.EnvironmentFault("state.store", f"the state store {place} has lost a table: {said}")
    if isinstance(problem, psycopg.OperationalError) and (broken or state.startswith(("57P", "08")) or not state):
        return Unreachable(
            "state.store",
            f"the state store {place} cannot be reached: {said}",
            hint="check state.url and state.options, and that the server is up",
        )
    return errors.EnvironmentFault("state.store", f"the state store {place} cannot be used: {said}")


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        raise errors.EnvironmentFault(
            "state.store",
            "a state store in PostgreSQL needs the package psycopg",
            hint="install it beside dativo: pip install 'dativo[postgres]'",
        ) from None
    return psycopg
