"""Ctrl-C and friends: once drains, twice stops at once, and the user is told which."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol, Self

from dativo import errors

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptible(Protocol):
    """What can be asked to drain and, asked again, to stop: a running data plane."""

    def interrupt(self) -> None:
        """Drain; the second time, stop."""


class Interrupts:
    """Installed for the length of a command. Before anything runs, a signal ends the command; after that it drains."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.count = 0
        self._told = 0
        self._target: Interruptible | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                    self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def reaching(self, target: Interruptible) -> Iterator[None]:
        """While this lasts, signals go to `target` instead of ending the command; then to whom they went before."""
        before, count = self._target, self.count
        self._target = target
        try:
            if count:
                target.interrupt()
            yield
        finally:
            self._target = before
            if before is not None and self.count > count:
                before.interrupt()

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self.arrived(number)
        if self._target is None:
            raise self.cancelled()

    def arrived(self, number: int) -> None:
        """A signal came, or is passed on: what runs is drained, the second time stopped."""
        self.count += 1
        self.signal = self.signal or number
        if self._target is not None:
            self._target.interrupt()

    def drain(self) -> None:
        """Drain what runs, without anybody having asked for it by a signal: it has come as far as it was to come."""
        if self._target is not None and not self.count:
            self._target.interrupt()

    def news(self) -> str | None:
        """What to tell the user since the last time, if anything."""
        if self._told == self.count:
            return None
        self._told = self.count
        if self.count == 1:
            return "stopping: what was read is still written (again to stop at once)"
        return "stopped at once" if self.count == 2 else None

    def cancelled(self) -> errors.Cancelled:
        """The error for a command that a signal ended."""
        number = self.signal or signal.SIGINT
        message = f"cancelled by {signal.Signals(number).name}"
        return errors.Cancelled("run.cancelled", message, context={"exit": 128 + number})
