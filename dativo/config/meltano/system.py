"""Meltano's system database, read only: settings that were put into it, and states. SQLite, or PostgreSQL.

Layout of Meltano 4.4.1: `plugin_settings(name, namespace, value, enabled)`, its values pickled, and `state(state_id,
partial_state, completed_state)` with JSON texts, `{"singer_state": …}` each.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dativo import errors


def settings(uri: str, namespace: str) -> dict[str, Any]:
    """The settings of one plugin; {} when the database is not there."""
    rows = _rows(
        uri, "SELECT name, value FROM plugin_settings WHERE namespace = {} AND enabled", (namespace,), "plugin_settings"
    )
    found = {str(name): _unpickled(value, str(name)) for name, value in rows if value is not None}
    return {name: value for name, value in found.items() if value is not None}


def states(uri: str) -> dict[str, tuple[str | None, str | None]]:
    """State id -> (completed, partial), as JSON texts."""
    rows = _rows(uri, "SELECT state_id, completed_state, partial_state FROM state", (), "state")
    return {str(name): (_text(completed), _text(partial)) for name, completed, partial in rows}


def _unpickled(value: Any, name: str) -> Any:
    import pickle

    class Plain(pickle.Unpickler):
        """Reads texts, numbers, lists and mappings, and nothing that would run code."""

        def find_class(self, module: str, name: str, /) -> Any:
            """Refuse every class and function."""
            raise pickle.UnpicklingError(f"{module}.{name}")

    try:
        return Plain(io.BytesIO(value)).load() if isinstance(value, bytes | memoryview) else value
    except Exception as problem:
        raise errors.ConfigError(
            "meltano.invalid", f"the setting {name} in Meltano's system database holds no plain value"
        ) from problem


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    import json

    return json.dumps(value)


def _rows(uri: str, query: str, values: Sequence[Any], table: str) -> list[tuple[Any, ...]]:
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        return _sqlite(uri, query.format("?"), values, table)
    if scheme in ("postgresql", "postgres"):
        return _postgres(uri, query.format("%s"), values)
    raise errors.ConfigError(
        "meltano.unsupported",
        f"the system database of the Meltano project is of a kind that is not read: {scheme}",
        hint="SQLite and PostgreSQL are. For another: meltano state get ID > state.json for each state, then "
        "export MELTANO_DATABASE_URI=sqlite:///none.db, and dativo state import state.json --job ID",
    )


def _sqlite(uri: str, query: str, values: Sequence[Any], table: str) -> list[tuple[Any, ...]]:
    """Three slashes lead to a relative path, four to an absolute one (SQLAlchemy)."""
    import sqlite3

    path = Path(unquote(uri.partition("://")[2].removeprefix("/").partition("?")[0]))
    if not path.is_file():
        return []
    try:
        with _Closing(sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=10)) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            return connection.execute(query, values).fetchall() if known else []
    except sqlite3.Error as problem:
        raise errors.EnvironmentFault(
            "state.store",
            f"Meltano's system database {path.name} cannot be read: {problem}",
            hint="see `meltano state`",
        ) from problem


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


class _Closing:
    """Closes a connection; its own `with` ends a transaction only."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __enter__(self) -> Any:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _postgres(uri: str, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    try:
        import psycopg
    except ImportError:
        raise errors.EnvironmentFault(
            "state.store", "Meltano's system database is PostgreSQL", hint="pip install 'dativo[postgres]'"
        ) from None
    rest = uri.partition("://")[2]
    try:
        with psycopg.connect(f"postgresql://{rest}", connect_timeout=10) as connection:
            found: list[tuple[Any, ...]] = connection.execute(query, values).fetchall()
            return found
    except psycopg.Error as problem:
        host = urlsplit(f"postgresql://{rest}").hostname
        raise errors.EnvironmentFault(
            "state.store", f"Meltano's system database on {host} cannot be read ({type(problem).__name__})",
            hint="see `meltano state`",
        ) from problem  # fmt: skip
