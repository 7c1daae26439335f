"""One run: messages in, commits at STATE boundaries, the STATE echoed after its commit and never before (I1, I2).

Rows past the last STATE are never committed before the clean end of the input, so that a run which is killed, or told to
stop, leaves the file exactly at a bookmark: running again from there repeats no row, keys or not. When the buffer is full
and no STATE has come since the last commit, rows go into the open transaction, which a rollback forgets.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from target_duckdb import decode
from target_duckdb.batch import batch_rows
from target_duckdb.database import Database
from target_duckdb.errors import TargetError
from target_duckdb.lines import Chunk
from target_duckdb.load import VERSION, Loader
from target_duckdb.names import folded
from target_duckdb.settings import Settings
from target_duckdb.stream import Stream
from target_duckdb.table import Table

LOOSE_ROWS = 8192  # rows held as Python objects before they become columns
LOOSE_BYTES = 8 << 20
SPELLED = re.compile(rb"[0-9]\.[0-9]*0[,}\]\s]|[0-9][eE][+-]?[0-9]")


class Session:
    """The state of a run."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.streams: dict[str, Stream] = {}
        self.state: str | None = None  # the last STATE, not committed yet
        self.junk: dict[str, int] = {}
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
        messages = decode.messages(chunk.lines, decode.risky(chunk.text))
        for at, message in enumerate(messages):
            if type(message) is dict and message.get("type") == "RECORD":
                self._record(message, chunk.first + at, chunk.lines[at])
            else:
                self._other(message, chunk.first + at, chunk.lines[at])
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
        if self.state is not None and self.settings.mode != "overwrite" and (full or self.aged()):
            self.commit(marked=True)
        elif full:
            for stream in self.streams.values():
                stream.write(marked=False)
            self.held = self.held_bytes = 0

    def aged(self) -> bool:
        """Whether the oldest uncommitted row waits too long."""
        return self.since is not None and time.monotonic() - self.since >= self.settings.max_batch_age

    def _record(self, message: dict[str, Any], number: int, line: bytes) -> None:
        try:
            stream = self.streams[message["stream"]]
            record = message["record"]
        except (KeyError, TypeError):
            raise self._bad_envelope(message, number) from None
        if type(record) is not dict:
            raise bad(number, "a RECORD whose record is no object")
        if stream.exact and SPELLED.search(line):
            message = decode.careful(line, number)
            record = message["record"]
        for key in stream.keys:
            if record.get(key) is None:
                self._check_key(stream, record, number)
        if self.settings.extra == "fail" and not record.keys() <= stream.properties:
            extra = next(name for name in record if name not in stream.properties)
            raise TargetError(
                "data.rejected",
                f"line {number}: a record of {json.dumps(stream.name)} has {json.dumps(extra)}, which its"
                " SCHEMA does not declare",
                "set extra to evolve or ignore",
            )
        if "version" in message and type(message["version"]) is int:
            record[VERSION] = message["version"]
        if self.settings.add_record_metadata:
            now = time.time()
            record["_sdc_extracted_at"] = message.get("time_extracted")
            record["_sdc_received_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
            record["_sdc_sequence"] = int(now * 1000)
        stream.rows.append(record)
        self.new += 1

    @staticmethod
    def _check_key(stream: Stream, record: dict[str, Any], line: int) -> None:
        """I9: a row without its key cannot be kept apart from others, so the run stops there."""
        lacking = [key for key in stream.keys if key not in record]
        if lacking or all(record[key] is None for key in stream.keys):
            raise TargetError(
                "data.rejected",
                f"line {line}: a record of {json.dumps(stream.name)} lacks its key {json.dumps((lacking or stream.keys)[0])}",
                "report it to the tap's author, or set key_properties to [] in the tap's catalog to append",
            )

    def _bad_envelope(self, message: dict[str, Any], line: int) -> TargetError:
        stream = message.get("stream")
        kind = message.get("type")
        if not isinstance(stream, str) or any("\ud800" <= char <= "\udfff" for char in stream):
            return bad(line, f"a {kind} without a stream")
        if stream in self.streams or (kind == "RECORD" and "record" not in message):
            return bad(line, f"a {kind} without its {'record' if kind == 'RECORD' else 'fields'}")
        return TargetError(
            "data.record_before_schema", f"line {line}: a {kind} of {json.dumps(stream)} came before its SCHEMA"
        )

    def _other(self, message: Any, number: int, line: bytes) -> None:
        if type(message) is bytes:
            message = decode.careful(line, number)
            if type(message) is dict and message.get("type") == "RECORD":
                self._record(message, number, line)
                return
            if type(message) is dict:
                message = plain(line, number)
        if type(message) is not dict:
            self._junk(message if type(message) is str and line.lstrip()[:1] != b'"' else "text", number, line)
            return
        kind = message.get("type")
        if not isinstance(kind, str) or any("\ud800" <= char <= "\udfff" for char in kind):
            raise bad(number, "a message without a type")
        if kind == "STATE":
            self._state(message, line, number)
        elif kind == "SCHEMA":
            self._schema(message, number)
        elif kind == "ACTIVATE_VERSION":
            self._stream(message, number).activate(self._version(message, number))
        elif kind == "BATCH":
            self._batch(message, number)
        elif kind.upper() in decode.MESSAGES:
            raise bad(number, f"the type {json.dumps(kind)} (types are upper case)")
        else:
            self._junk("unknown_type", number, line)

    def _junk(self, kind: str, number: int, line: bytes = b"") -> None:
        if line.lstrip(decode.BLANK)[:1] == b"[":
            kind = "array"
        if self.settings.junk == "fail":
            raise TargetError(
                "data.junk", f"line {number} is no message ({kind})", "set junk to drop to skip such lines"
            )
        self.junk[kind] = self.junk.get(kind, 0) + 1

    def _stream(self, message: dict[str, Any], number: int) -> Stream:
        name = message.get("stream")
        stream = self.streams.get(name) if isinstance(name, str) else None
        if stream is None:
            raise self._bad_envelope(message, number)
        return stream

    @staticmethod
    def _version(message: dict[str, Any], number: int) -> int:
        version = message.get("version")
        if type(version) is not int:
            raise bad(number, "an ACTIVATE_VERSION without a whole number as version")
        return version

    def _schema(self, message: dict[str, Any], number: int) -> None:
        name, schema, keys = message.get("stream"), message.get("schema"), message.get("key_properties")
        if not isinstance(name, str) or any("\ud800" <= char <= "\udfff" for char in name):
            raise bad(number, "a SCHEMA without a stream")
        if not isinstance(schema, dict):
            raise bad(number, "a SCHEMA without a schema")
        keys = [keys] if isinstance(keys, str) else keys or []
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise bad(number, "a SCHEMA whose key_properties are no list of names")
        stream = self.streams.get(name)
        if stream is None:
            others = {folded(each.table.name) for each in self.streams.values()}
            table = Table(self.database, name, others, fresh=self.settings.mode == "overwrite")
            stream = self.streams[name] = Stream(name, table)
        mode = self.settings.mode or ("upsert" if keys else "append")
        if mode == "upsert" and not keys:
            mode = "append"
        loader = Loader(
            stream.table, mode, evolve=self.settings.extra == "evolve", hard_delete=self.settings.hard_delete
        )
        stream.declare(schema, tuple(dict.fromkeys(keys)) if mode != "append" else (), loader)

    def _batch(self, message: dict[str, Any], number: int) -> None:
        stream = self._stream(message, number)
        for rows in batch_rows(message, number):
            for record, _ in rows:
                found = {"stream": stream.name, "record": record}
                if "version" in message:
                    found["version"] = message["version"]
                self._record(found, number, b"")
            self._count(sum(size for _, size in rows))

    def _state(self, message: dict[str, Any], line: bytes, number: int) -> None:
        if "value" not in message:
            raise bad(number, "a STATE without a value")
        if message["value"] is None or message["value"] == {}:
            return  # an empty STATE is no place to go on from: it covers nothing
        self.state = decode.state_text(line)
        self.tail_bytes = 0
        for stream in self.streams.values():
            stream.mark()

    # -- commits -------------------------------------------------------------------------------------------------------

    def commit(self, *, marked: bool) -> None:
        """Commit all, or what the last STATE covers, together with the bookmark; then echo the STATE."""
        for stream in self.streams.values():
            stream.write(marked=marked)
        rows = sum(stream.written for stream in self.streams.values())
        state, self.state = self.state, None
        if state is not None:
            self.database.save_bookmark(state, rows)
        self.database.commit()
        self.committed = rows
        self.held = sum(stream.waiting() for stream in self.streams.values())
        self.held_bytes = self.tail_bytes if self.held else 0
        self.since = time.monotonic() if self.held else None
        if state is not None:
            sys.stdout.write(state + "\n")
            sys.stdout.flush()

    def finish(self) -> None:
        """The clean end of the input: everything is committed, records after the last STATE too."""
        self.commit(marked=False)

    def stop(self) -> None:
        """Stopped half way: only what the last STATE covers is committed, the rest is forgotten."""
        if self.state is not None and self.settings.mode != "overwrite":
            self.commit(marked=True)
        else:
            self.database.rollback()


def bad(number: int, what: str) -> TargetError:
    """A message that is none."""
    return TargetError("data.bad_message", f"line {number} is {what}", "report it to the tap's author")


def plain(line: bytes, number: int) -> Any:
    """A message that is no RECORD, decoded with the standard library's exact integers."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise bad(number, "a message nested too deeply") from None
