"""One run: messages in, commits at STATE boundaries, the STATE echoed after its commit and never before (I1, I2).

Rows past the last STATE are never committed before the clean end of the input, so that a run which is killed, or told
to stop, leaves the file exactly at a bookmark: running again from there repeats no row, keys or not. When the buffer is
full and no STATE has come since the last commit, rows go into the open transaction, which a rollback forgets.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from dativo_protocol.codec import is_altered
from dativo_protocol.messages import ActivateVersion, Batch, FileBatch, Record, Schema, State
from target_duckdb import decode
from target_duckdb.arrival import Arrival
from target_duckdb.batch import Piece, pieces
from target_duckdb.database import Database
from target_duckdb.errors import TargetError
from target_duckdb.lines import Chunk
from target_duckdb.load import VERSION, Loader
from target_duckdb.names import folded
from target_duckdb.settings import Settings
from target_duckdb.stream import Stream
from target_duckdb.table import Table

LOOSE_ROWS = 2048  # rows held as Python objects before they become columns
LOOSE_BYTES = 8 << 20


class Session:
    """The state of a run."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.streams: dict[str, Stream] = {}
        self.quick: dict[str, Stream] = {}  # those whose records need nothing but their key
        self.state: str | None = None  # the last STATE, not committed yet
        self.junk: dict[str, int] = {}
        self.writing = False  # a write is under way, or failed
        self.nonstandard = 0  # records with NaN or Infinity
        self.held = 0  # rows since the last write into the transaction
        self.held_bytes = 0
        self.loose = 0
        self.loose_bytes = 0
        self.since: float | None = None  # when the oldest uncommitted row came
        self.committed = 0
        self.new = 0  # rows of the chunk in work
        self.tail_bytes = 0  # bytes since the last STATE

    # -- input ---------------------------------------------------------------------------------------------------------

    def feed(self, chunk: Chunk) -> None:
        """Take some lines."""
        if chunk.bom:
            self._junk("bom", chunk.first)
        quick = self.quick
        for at, value in enumerate(decode.values(chunk.lines, decode.risky(chunk.text))):
            try:  # nearly every line goes this way: a RECORD of a known stream that needs no second look
                stream, record = quick[value["stream"]], value["record"]
                version = value.get("version")
                if value["type"] == "RECORD" and type(record) is dict and (version is None or type(version) is int):
                    for key in stream.keys:
                        if record.get(key) is None:
                            break
                    else:
                        if not (stream.exact and is_altered(record, chunk.lines[at])):
                            if version is not None:
                                record[VERSION] = version
                            stream.rows.append(record)
                            self.new += 1
                            continue
            except (KeyError, TypeError):
                pass
            self._carefully(chunk.lines[at], chunk.first + at, value)
        self._count(len(chunk.text))

    def _count(self, size: int) -> None:
        rows, self.new = self.new, 0
        if rows and self.since is None:
            self.since = time.monotonic()
        self.held += rows
        self.loose += rows
        self.held_bytes += size
        self.tail_bytes += size
        self.loose_bytes += size
        if self.loose >= LOOSE_ROWS or self.loose_bytes >= LOOSE_BYTES:
            for stream in self.streams.values():
                if stream.rows:
                    stream.convert()
            self.loose = self.loose_bytes = 0
        self.relieve()

    def relieve(self) -> None:
        """I10: when the buffer is full, or old, write: up to the last STATE, else into the open transaction."""
        full = self.held >= self.settings.batch_rows or self.held_bytes >= self.settings.batch_bytes
        if self._waits() and (full or self.aged()):
            self.commit(marked=True)
        elif full:
            self._flush(marked=False)
            self.held = self.held_bytes = 0

    def aged(self) -> bool:
        """Whether the oldest uncommitted row waits too long."""
        return self.since is not None and time.monotonic() - self.since >= self.settings.max_batch_age

    def _carefully(self, line: bytes, number: int, value: Any) -> None:
        """Any line but the common RECORD."""
        message, nonstandard = decode.careful(line, number, exactly=type(value) is bytes)
        self.nonstandard += nonstandard
        match message:
            case str():
                self._junk(message, number)
            case Record():
                self._record(message, number)
            case State():
                self._state(message, line)
            case Schema():
                self._schema(message)
            case ActivateVersion():
                self._stream(message, number).activate(message.version)
            case Batch() | FileBatch():
                self._batch(message, line, number)

    def _record(self, message: Record, number: int) -> None:
        stream, record = self._stream(message, number), message.record
        for key in stream.keys:
            if record.get(key) is None:
                self._check_key(stream, record, number)
        if self.settings.extra == "fail" and not record.keys() <= stream.properties:
            extra = next(name for name in record if name not in stream.properties)
            raise TargetError(
                "data.rejected",
                f"line {number}: a record of {json.dumps(stream.name)} has {json.dumps(extra)}, which its SCHEMA does"
                " not declare",
                "set extra to evolve or ignore",
            )
        if message.version is not None:
            record[VERSION] = message.version
        if self.settings.add_record_metadata:
            now = time.time()
            record["_sdc_extracted_at"] = message.time_extracted
            record["_sdc_received_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
            record["_sdc_sequence"] = int(now * 1000)
        stream.rows.append(record)
        self.new += 1

    @staticmethod
    def _check_key(stream: Stream, record: dict[str, Any], line: int) -> None:
        """I9: a row without its key cannot be kept apart from others, so the run stops there."""
        lacking = [key for key in stream.keys if key not in record]
        if lacking or all(record[key] is None for key in stream.keys):
            key = (*lacking, *stream.keys)[0]
            raise TargetError(
                "data.rejected",
                f"line {line}: a record of {json.dumps(stream.name)} lacks its key {json.dumps(key)}",
                "report it to the tap's author, or set key_properties to [] in the tap's catalog to append",
            )

    def _junk(self, kind: str, number: int) -> None:
        if self.settings.junk == "fail":
            raise TargetError(
                "data.junk", f"line {number} is no message ({kind})", "set junk to drop to skip such lines"
            )
        self.junk[kind] = self.junk.get(kind, 0) + 1

    def _stream(self, message: Record | ActivateVersion | Batch | FileBatch, number: int) -> Stream:
        stream = self.streams.get(message.stream)
        if stream is None:
            kind = {Record: "a RECORD", ActivateVersion: "an ACTIVATE_VERSION"}.get(type(message), "a BATCH")
            raise TargetError(
                "data.record_before_schema",
                f"line {number}: {kind} of {json.dumps(message.stream)} came before its SCHEMA",
                "report it to the tap's author",
            )
        return stream

    def _schema(self, message: Schema) -> None:
        name, keys = message.stream, tuple(dict.fromkeys(message.key_properties or ()))
        stream = self.streams.get(name)
        if stream is None:
            others = {folded(each.table.name) for each in self.streams.values()}
            table = Table(self.database, name, others, fresh=self.settings.mode == "overwrite")
            stream = self.streams[name] = Stream(name, table)
        mode = self.settings.mode or "upsert"
        mode = mode if keys or mode == "overwrite" else "append"
        loader = Loader(
            stream.table,
            mode,
            evolve=self.settings.extra == "evolve",
            hard_delete=self.settings.hard_delete,
            max_delete_share=self.settings.max_delete_share,
        )
        stream.declare(message.schema, keys if mode != "append" else (), loader)
        self.quick.pop(name, None)
        if self.settings.extra != "fail" and not self.settings.add_record_metadata:
            self.quick[name] = stream

    def _batch(self, message: Batch | FileBatch, line: bytes, number: int) -> None:
        self._files(message, line, number)
        sys.stdout.buffer.write(line + b"\n")  # its files are not opened again: whoever made them may have the room
        sys.stdout.flush()

    def _files(self, message: Batch | FileBatch, line: bytes, number: int) -> None:
        stream = self._stream(message, number)
        version = message.version if isinstance(message, Batch) else None
        arrival = Arrival(stream, version, self.settings, partial=decode.partial(line))
        for piece in pieces(message, number, self.settings):
            if isinstance(piece, Piece):
                self._columns(stream, arrival, piece)
                self._count(piece.table.nbytes)
                continue
            for record, _ in piece:
                self._record(Record(stream.name, record, version), number)
            self._count(sum(size for _, size in piece))

    def _columns(self, stream: Stream, arrival: Arrival, piece: Piece) -> None:
        """Rows that no STATE covers go into the transaction at once, unless a STATE waits in it: then they wait too.

        One piece waits at most (I10), as a copy: when the next comes and no STATE covers the first yet, what the STATE
        that waits covers is committed, and the transaction is free again.
        """
        if self._waits() and any(each.tail() for each in self.streams.values()):
            self.commit(marked=True)
        waits = self._waits()
        self._flush(marked=waits)
        for chunk in arrival.chunks(piece):
            stream.add(chunk.copied() if waits else chunk)
        if not waits:
            self._flush(marked=False)
        self.new += piece.table.num_rows

    def _waits(self) -> bool:
        """Whether the last STATE can still be committed without what comes after it."""
        return self.state is not None and self.settings.mode != "overwrite"

    def _state(self, message: State, line: bytes) -> None:
        if message.value is None or message.value == {}:
            return  # an empty STATE is no place to go on from: it covers nothing
        self.state = decode.state_text(line, message.value)
        self.tail_bytes = 0
        for stream in self.streams.values():
            stream.mark()

    # -- commits -------------------------------------------------------------------------------------------------------

    def commit(self, *, marked: bool) -> None:
        """Commit all, or what the last STATE covers, together with the bookmark; then echo the STATE."""
        self._write(marked=marked)
        rows = sum(stream.written for stream in self.streams.values())
        state, self.state = self.state, None
        if state is not None:
            self.database.save_bookmark(state, rows)
        self.database.commit()
        self.writing = False
        self.committed = rows
        self.held = sum(stream.waiting() for stream in self.streams.values())
        self.held_bytes = self.tail_bytes if self.held else 0
        self.since = time.monotonic() if self.held else None
        if state is not None:
            sys.stdout.write(state + "\n")
            sys.stdout.flush()

    def _write(self, *, marked: bool) -> None:
        self.writing = True
        for stream in self.streams.values():
            stream.write(marked=marked)

    def _flush(self, *, marked: bool) -> None:
        """Write into the open transaction, without a commit."""
        self._write(marked=marked)
        self.writing = False

    def finish(self) -> None:
        """The clean end of the input: everything is committed, records after the last STATE too."""
        self.commit(marked=False)

    def stop(self) -> None:
        """Stopped half way: only what the last STATE covers is committed, the rest is forgotten."""
        if self._waits() and not self.writing:
            self.commit(marked=True)
        else:  # I1: a write that failed half way leaves nothing that a STATE could cover
            self.database.rollback()
