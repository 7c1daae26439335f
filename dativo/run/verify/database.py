"""The DuckDB that compares: one file in the room, bounded in memory, with its errors said as ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dativo import errors

MEMORY = "512MB"
"""What does not fit spills into the room (I10)."""


def ready() -> Any:
    """The module, or how to get it."""
    try:
        import duckdb
    except ImportError:
        raise errors.ConfigError(
            "verify.unreadable",
            "DuckDB, which compares the rows, is not installed beside Dativo",
            hint="install it: pip install 'dativo[verify]'",
        ) from None
    return duckdb


class Database:
    """An open file. `run` and `rows` take one statement each."""

    def __init__(self, folder: Path) -> None:
        duckdb = ready()
        self._fault: type[Exception] = duckdb.Error
        config = {
            "memory_limit": MEMORY,
            "threads": 2,
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": False,  # nothing is fetched to compare rows
        }
        self._connection = duckdb.connect(str(folder / "compare.duckdb"), config=config)
        self.run("SET TimeZone = 'UTC'")
        self.run("SET enable_progress_bar = false")

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement."""
        try:
            return self._connection.execute(statement, list(parameters))
        except self._fault as problem:
            said = str(problem).split("\n", 1)[0]
            raise errors.ConfigError(
                "verify.unreadable",
                f"the rows could not be compared: {said}",
                hint="room is needed beside the state store; see docs/guides/verify.md for what can be compared",
            ) from problem

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A statement's rows."""
        return list(self.run(statement, parameters).fetchall())

    def stop(self) -> None:
        """End the statement that runs in another thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
