"""The plugins' own log lines: values hidden, prefixed with the plugin's name, made harmless, the last few kept."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import TextIO

from dativo.observe.figures import clean
from dativo.secrets.redact import REDACTOR

KEPT = 10


class PluginLog:
    """Keeps the last lines of each plugin, and prints all of them when asked to (-v)."""

    def __init__(self, *, shown: bool, out: TextIO | None = None, defer: bool = False) -> None:
        """`defer`: what `show_last` would print waits for `release`, for a failure that may be made good."""
        self._shown = shown
        self._out = out
        self._defer = defer
        self._waiting: list[tuple[str, str]] = []
        self._last: dict[str, deque[str]] = {}

    def line(self, plugin: str, text: str, dropped: int = 0) -> None:
        """One line of a plugin; `dropped` lines before it were lost because there were too many."""
        lines = self._last.setdefault(plugin, deque(maxlen=KEPT))
        if dropped:
            self._take(lines, plugin, f"… {dropped:,} lines left out")
        # I13: hidden before anything cuts it, while a value can still be recognised.
        self._take(lines, plugin, REDACTOR.text(text).rstrip())

    def _take(self, lines: deque[str], plugin: str, text: str) -> None:
        lines.append(text)
        if self._shown:
            self._print(plugin, text)

    def _print(self, plugin: str, text: str) -> None:
        # sys.stderr is looked up each time: a live display puts itself in its place.
        print(f"  {clean(plugin)} | {clean(text)}", file=self._out or sys.stderr)

    def last(self, plugin: str) -> list[str]:
        """The last lines of a plugin, as it wrote them, values hidden."""
        return list(self._last.get(plugin, ()))

    def adopt(self, other: PluginLog, plugin: str) -> None:
        """Take over another log's last lines of a plugin: of several that ran at once, this one matters."""
        self._last[plugin] = deque(other.last(plugin), maxlen=KEPT)

    def forget(self, plugin: str) -> None:
        """The plugin starts again: what it said before is no part of what it may die of."""
        self._last.pop(plugin, None)

    def show_last(self, plugin: str, but: Callable[[str], bool] = lambda _: False) -> None:
        """Print the last lines of the plugin that failed, `but` those, unless all lines were printed already."""
        if not self._shown:
            for text in self.last(plugin):
                if not but(text) and self._defer:
                    self._waiting.append((plugin, text))
                elif not but(text):
                    self._print(plugin, text)

    def release(self) -> None:
        """Print what waited."""
        for plugin, text in self._waiting:
            self._print(plugin, text)
        self._waiting.clear()
