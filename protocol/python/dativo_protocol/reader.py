"""A target's input loop: bytes in, messages and junk out, by the rules of SPEC.md sections 3 and 4.

    for item in Reader(0):
        match item:
            case Record(stream, record): ...
            case Junk(): ...

It is also the reference that the vectors are run against. I9: each line comes out as a message, as counted junk, or as
a WireError that names line and byte. I10: at most one block and one line of `max_line` bytes are held.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal, NamedTuple

import orjson

from dativo_protocol.codec import has_delicate_number, is_altered
from dativo_protocol.fault import WireError
from dativo_protocol.messages import ActivateVersion, Batch, FileBatch, Message, Record, Schema, State, read

MAX_LINE = 67_108_864
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"

JunkKind = Literal["blank", "text", "array", "bom", "unknown_type"]


class Junk(NamedTuple):
    """A line that is no message: counted, never forwarded."""

    kind: JunkKind
    line: int
    offset: int
    text: bytes


class Reader:
    """Iterates over the messages of a stream; `line`, `raw`, `junk` and `offset()` say where it is meanwhile."""

    def __init__(
        self,
        source: int | BinaryIO,
        *,
        max_line: int = MAX_LINE,
        junk: Literal["drop", "fail"] = "drop",
        batch: Literal["refuse", "forward"] = "refuse",
        drop_torn: bool = False,
    ) -> None:
        """`source` is a descriptor or a binary file. `drop_torn`: the writer died, a torn last line is no error."""
        self.junk: dict[JunkKind, int] = {}
        self.nonstandard = 0  # records with NaN or Infinity
        self._source = source
        self._max_line = max_line
        self._fail_on_junk = junk == "fail"
        self._refuse_batch = batch == "refuse"
        self._drop_torn = drop_torn
        self._at_end = False  # the line at hand has no newline
        self._open: set[str] = set()  # streams whose SCHEMA was seen
        self._lines: list[bytes] = [b""]  # the lines that the last read brought
        self._at = 0  # which of them is at hand
        self._before = 0  # how many lines came before them
        self._base = 0  # and how many bytes

    @property
    def line(self) -> int:
        """The number of the line at hand, from 1."""
        return self._before + self._at + 1

    @property
    def raw(self) -> bytes:
        """Its bytes, without the newline."""
        return self._lines[self._at]

    def offset(self) -> int:
        """The offset of its first byte in the stream."""
        earlier = self._lines[: self._at]
        return self._base + sum(map(len, earlier)) + len(earlier)

    def __iter__(self) -> Iterator[Message | Junk]:
        fetch = _fetcher(self._source)
        start = b""
        while len(start) < len(_BOM) and (block := fetch()):
            start += block
        if start.startswith(_BOM):
            yield self._junk("bom", _BOM)
            start = start[len(_BOM) :]
            self._base = len(_BOM)
        loads, opened, make = orjson.loads, self._open, tuple.__new__
        for lines in self._blocks(start, fetch):
            self._lines = lines
            size = sum(map(len, lines)) + len(lines)
            oversize = size > self._max_line and max(map(len, lines)) > self._max_line
            for self._at, line in enumerate(lines):
                if oversize and len(line) > self._max_line:
                    message = f"the line is longer than max_line ({self._max_line:,} bytes)"
                    raise self._placed(WireError("data.line_too_long", message))
                altered = False
                try:
                    value = loads(line)
                    stream, record = value["stream"], value["record"]
                    if value["type"] == "RECORD" and type(record) is dict and stream in opened:
                        kinds = set(map(type, record.values()))
                        if dict in kinds or list in kinds:
                            altered = is_altered(record, line)
                        elif float in kinds:
                            altered = has_delicate_number(line, lists=False)
                        version, when = value.get("version"), value.get("time_extracted")
                        usual = (version is None or type(version) is int) and (when is None or type(when) is str)
                        if usual and not altered:
                            yield make(Record, (stream, record, version, when))
                            continue
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    pass  # whatever it is, the careful way finds it
                yield from self._carefully(line, altered)
            self._base += size
            self._before += len(lines)

    def _blocks(self, block: bytes, fetch: Callable[[], bytes]) -> Iterator[list[bytes]]:
        """Whole lines, as many as a read brought."""
        pending: list[bytes] = []
        held = 0
        block = block or fetch()
        while block:
            pending.append(block)
            held += len(block)
            if b"\n" in block:
                lines = b"".join(pending).split(b"\n")
                pending = [lines.pop()]
                held = len(pending[0])
                yield lines
            if held > self._max_line:  # I10: refused now, not when its end comes
                break
            block = fetch()
        if held:
            self._at_end = True
            yield [b"".join(pending)]

    def _carefully(self, line: bytes, altered: bool) -> Iterator[Message | Junk]:
        """Any line but the common RECORD."""
        body = line.lstrip(_BLANK)
        if not body.startswith(b"{"):
            yield self._junk("blank" if not body else "array" if body.startswith(b"[") else "text", line)
            return
        try:
            message, nonstandard = read(line, exactly=altered)
            if message is not None:
                self._admit(message)
        except WireError as error:
            if self._at_end and self._drop_torn and error.code in ("data.invalid_json", "data.invalid_utf8"):
                return
            raise self._placed(error) from None
        self.nonstandard += nonstandard
        yield self._junk("unknown_type", line) if message is None else message

    def _admit(self, message: Message) -> None:
        """SCHEMA comes first; BATCH comes where it is welcome."""
        if isinstance(message, State):
            return
        if isinstance(message, Schema):
            self._open.add(message.stream)
        elif message.stream not in self._open:
            kind = _NAMES[type(message)]
            raise WireError("data.record_before_schema", f"{kind} before the stream's SCHEMA", stream=message.stream)
        elif self._refuse_batch and isinstance(message, Batch | FileBatch):
            raise WireError("data.batch_refused", "BATCH messages are not taken here", stream=message.stream)

    def _junk(self, kind: JunkKind, text: bytes) -> Junk:
        if self._fail_on_junk:
            raise self._placed(WireError("data.junk", f"the line is not a message ({kind})"))
        self.junk[kind] = self.junk.get(kind, 0) + 1
        return Junk(kind, self.line, self.offset(), text)

    def _placed(self, error: WireError) -> WireError:
        return error.at(self.line, self.offset())


_NAMES = {Record: "RECORD", ActivateVersion: "ACTIVATE_VERSION", Batch: "BATCH", FileBatch: "BATCH"}


def _fetcher(source: int | BinaryIO) -> Callable[[], bytes]:
    """How to get the next bytes, as soon as there are some; b"" at the end."""
    if isinstance(source, int):
        return lambda: os.read(source, _BLOCK)
    read1 = getattr(source, "read1", None) or source.read
    return lambda: bytes(read1(_BLOCK))
