"""A run while it goes on: live rows on a terminal, one plain line every few seconds elsewhere, nothing with -q.

Short runs show nothing: the summary is enough. rich is imported when a run on a terminal has lasted long enough to
deserve it, never before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from dativo.observe import figures

LIVE_AFTER = 0.7
PLAIN_AFTER = 2.0
PLAIN_EVERY = 5.0
ROWS = 20


class Progress:
    """Takes totals as they come and shows them at its own pace. This one shows nothing."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._streams: dict[str, int] = {}
        self._bytes = 0
        self._bookmark: str | None = None
        self._expected: dict[str, int] = {}

    def estimate(self, stream: str | None, records: int | None) -> None:
        """How many records a source expects to send of a stream."""
        if stream is not None and records:
            self._expected[stream] = records

    def counters(self, streams: Mapping[str, Mapping[str, int]], total_bytes: int) -> None:
        """The totals so far."""
        self._streams = {name: totals.get("records", 0) for name, totals in streams.items()}
        self._bytes = total_bytes
        self.tick()

    def bookmark(self, text: str) -> None:
        """The bookmark that was just made durable."""
        self._bookmark = text

    def tick(self) -> None:
        """Time has passed: show what is due."""

    def close(self) -> None:
        """The run has ended: leave a clean screen."""

    def _of(self, stream: str, rows: int) -> str:
        """How much of what is expected that is, while it is less."""
        expected = self._expected.get(stream, 0)
        return f" of about {figures.count(expected)}" if expected > rows else ""

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _speed(self) -> str:
        rows = figures.rate(sum(self._streams.values()), self._elapsed()).replace("/s", " rows/s")
        return " · ".join(part for part in (rows, figures.rate(self._bytes, self._elapsed(), "B")) if part)


class PlainProgress(Progress):
    """One line every few seconds, for logs and CI."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._next = PLAIN_AFTER

    def tick(self) -> None:
        """Print a line when it is due."""
        if self._elapsed() < self._next or not self._streams:
            return
        self._next = self._elapsed() + PLAIN_EVERY
        busiest = sorted(self._streams.items(), key=lambda one: -one[1])
        parts = [
            f"{figures.short(name)} {figures.count(rows)}{self._of(name, rows)}" for name, rows in busiest[:4] if rows
        ]
        if len(busiest) > 4:
            parts.append(f"{len(busiest) - 4} more")
        where = next((mark for name, _ in busiest if (mark := figures.bookmark(self._bookmark, name))), "")
        parts += [part for part in (self._speed(), f"bookmark {where}" if where else "") if part]
        print(f"  {figures.seconds(self._elapsed())}  {' · '.join(parts)}", file=self._out, flush=True)


class LiveProgress(Progress):
    """A small table that is redrawn in place and gone at the end."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._live: Any = None

    def tick(self) -> None:
        """Redraw; the first time, start the display."""
        if self._elapsed() < LIVE_AFTER:
            return
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._out, highlight=False, force_terminal=True)  # `progress` looked
            self._live = Live(
                console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=True
            )
            self._live.start()
        self._live.update(self._table(), refresh=True)

    def close(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=True)
        for justify in ("left", "right", "right", "left"):
            table.add_column(justify=justify, no_wrap=True)
        rows = sorted(self._streams.items(), key=lambda one: -one[1])
        for name, records in rows[:ROWS]:
            mark = figures.bookmark(self._bookmark, name)
            cells = (
                figures.short(name),
                figures.count(records, "row") + self._of(name, records),
                figures.rate(records, self._elapsed()),
                f"bookmark {mark}" if mark else "",
            )
            table.add_row(*(Text(cell) for cell in cells))  # Text: a stream's name is data, never markup (I12)
        if len(rows) > ROWS:
            table.add_row(Text(f"… {len(rows) - ROWS} more"))
        table.add_row(Text(figures.seconds(self._elapsed())), Text(self._speed()))
        return table


def progress(*, quiet: bool, out: TextIO | None = None) -> Progress:
    """The display that fits where stderr goes."""
    stream = out if out is not None else sys.stderr
    if quiet:
        return Progress()
    try:
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
    except ValueError:  # closed
        return Progress()
    return LiveProgress(stream) if terminal else PlainProgress(stream)
