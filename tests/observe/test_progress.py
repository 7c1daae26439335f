"""The displays with a clock of the test's own."""

from __future__ import annotations

import io
import os
import pty

import pytest

from dativo.observe import progress as shown
from dativo.observe.progress import LiveProgress, PlainProgress, Progress, progress


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(shown.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


STREAMS = {"flights": {"records": 336_776, "bytes": 1}, "weather": {"records": 26_115, "bytes": 1}}


def test_plain_lines_are_few(clock):
    out = io.StringIO()
    view = PlainProgress(out)
    view.counters(STREAMS, 50_000_000)
    assert out.getvalue() == ""  # short runs show nothing
    clock.now += shown.PLAIN_AFTER
    view.bookmark('{"bookmarks":{"flights":{"row":7}}}')
    view.tick()
    line = out.getvalue()
    assert line == "  2.0 s  flights 336,776 · weather 26,115 · 181 k rows/s · 25 MB/s · bookmark row:7\n"
    for _ in range(10):
        view.tick()
    assert out.getvalue() == line
    clock.now += shown.PLAIN_EVERY
    view.tick()
    assert out.getvalue().count("\n") == 2


def test_many_streams_are_cut(clock):
    out = io.StringIO()
    view = PlainProgress(out)
    clock.now += 10
    view.counters({f"s{n}": {"records": n} for n in range(10)}, 1)
    assert "s9 9 · s8 8 · s7 7 · s6 6 · 6 more" in out.getvalue()


def test_live_rows_come_late_and_go(clock):
    out = io.StringIO()
    view = LiveProgress(out)
    view.counters(STREAMS, 1)
    assert out.getvalue() == ""
    clock.now += shown.LIVE_AFTER
    view.counters({**STREAMS, "[bold]x[/]": {"records": 1}}, 1)
    view.close()
    view.close()
    text = out.getvalue()
    assert "flights" in text
    assert "336,776 rows" in text
    assert "[bold]x[/]" in text  # I12: a name is never markup


def test_the_display_fits_the_place(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert type(progress(quiet=True)) is Progress
    assert type(progress(quiet=False, out=io.StringIO())) is PlainProgress
    main, side = pty.openpty()
    with os.fdopen(side, "w") as terminal:
        assert type(progress(quiet=False, out=terminal)) is LiveProgress
        monkeypatch.setenv("TERM", "dumb")
        assert type(progress(quiet=False, out=terminal)) is PlainProgress
    assert type(progress(quiet=False, out=terminal)) is Progress  # closed
    os.close(main)
