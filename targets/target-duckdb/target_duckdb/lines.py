"""Reads the input in chunks of whole lines, with line numbers, a cap on their length, and wake-ups for signals."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass

from target_duckdb.errors import TargetError

CHUNK = 262_144
BOM = b"\xef\xbb\xbf"


@dataclass
class Chunk:
    """Some whole lines; `first` is the number of the first. Empty when only the clock or a signal woke the reader."""

    first: int
    lines: list[bytes]
    text: bytes
    bom: bool = False


class LineReader:
    """Lines from a file descriptor. `wake` is a descriptor that becomes readable when a signal came."""

    def __init__(self, fd: int, wake: int, max_line: int) -> None:
        self.fd = fd
        self.wake = wake
        self.max_line = max_line
        self.number = 1
        self.held: list[bytes] = []
        self.held_size = 0
        self.poller = select.poll()
        self.poller.register(fd, select.POLLIN)
        self.poller.register(wake, select.POLLIN)

    def chunks(self, tick: float = 1.0) -> Iterator[Chunk]:
        """Chunks until the end of the input; an empty one at least every `tick` seconds and at each signal."""
        while True:
            ready = self.poller.poll(tick * 1000)
            if any(fd == self.wake for fd, _ in ready):
                os.read(self.wake, 4096)
                yield Chunk(self.number, [], b"")
                continue
            if not ready:
                yield Chunk(self.number, [], b"")
                continue
            data = os.read(self.fd, CHUNK)
            if not data:
                break
            cut = data.rfind(b"\n")
            if cut < 0:
                self._hold(data)
                continue
            self.held.append(data[:cut])
            text = b"".join(self.held)
            self.held, self.held_size = [], 0
            yield from self._chunks(text)
            self._hold(data[cut + 1 :])
        if self.held_size:
            text = b"".join(self.held)
            self.held, self.held_size = [], 0
            yield from self._chunks(text)

    def _hold(self, data: bytes) -> None:
        if data:
            self.held.append(data)
            self.held_size += len(data)
            if self.held_size > self.max_line:  # I10: one line is bounded
                raise self._too_long(self.number)

    def _too_long(self, number: int) -> TargetError:
        return TargetError(
            "data.line_too_long", f"line {number} is longer than {self.max_line:,} bytes", "raise the setting max_line"
        )

    def _chunks(self, text: bytes) -> Iterator[Chunk]:
        first = self.number
        bom = first == 1 and text.startswith(BOM)
        if bom:
            text = text[len(BOM) :]
        lines = text.split(b"\n")
        self.number += len(lines)
        if len(text) > self.max_line:
            for offset, line in enumerate(lines):
                if len(line) > self.max_line:
                    good = lines[:offset]
                    yield Chunk(first, good, b"\n".join(good), bom)
                    raise self._too_long(first + offset)
        yield Chunk(first, lines, text, bom)
