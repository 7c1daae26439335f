"""Connects a run's parts: the input, the signals, the session; and turns what happened into an exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any

import duckdb

from target_duckdb.database import Database
from target_duckdb.errors import TargetError, from_duckdb
from target_duckdb.lines import LineReader
from target_duckdb.session import Session
from target_duckdb.settings import Settings

STOPPING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The first SIGTERM or SIGINT, and a descriptor that wakes the reader when it comes."""

    def __init__(self) -> None:
        self.caught = 0
        self.wake, self._write = os.pipe()
        os.set_blocking(self._write, False)
        for number in STOPPING:
            signal.signal(number, self._catch)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def _catch(self, number: int, _frame: Any) -> None:
        self.caught = self.caught or number


def run(settings: Settings, fd: int) -> int:
    """Load everything from the descriptor; the exit code."""
    signals = Signals()
    database = Database(settings)
    gc.disable()  # rows are trees of plain values: nothing to collect, and collecting costs a third of the time
    session = Session(settings, database)
    reader = LineReader(fd, signals.wake, settings.max_line)
    try:
        try:
            for chunk in reader.chunks():
                if chunk.lines:
                    session.feed(chunk)
                else:
                    session.relieve()
                if signals.caught:
                    break
            if signals.caught:
                session.stop()
            else:
                session.finish()
        except TargetError as error:
            if error.code.startswith("data."):
                session.stop()  # what the last STATE covers is whole: keep it, and say where the data broke
            raise
        except duckdb.Error as error:
            raise from_duckdb(error, settings.path) from None
    finally:
        database.rollback()
        database.close()
        report(session)
    return 128 + signals.caught if signals.caught else 0


def report(session: Session) -> None:
    """What was committed and what was dropped, on stderr."""
    if session.junk:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(session.junk.items()))
        sys.stderr.write(f"notice: dropped {sum(session.junk.values()):,} lines that were no messages ({kinds})\n")
    if session.nonstandard:
        sys.stderr.write(f"notice: {session.nonstandard:,} records hold NaN or Infinity, which JSON lacks\n")
    sys.stderr.write(f"committed {session.committed:,} rows of {len(session.streams):,} streams\n")
