"""What the data plane says, one typed class per event of `protocol/schemas/event.schema.json`.

`parse` returns None for an event that this version does not know: a newer bus may say more.
"""

from __future__ import annotations

import json
import re
from dataclasses import field, fields
from typing import Any

from dativo.dataclass import dataclass


@dataclass(frozen=True)
class Event:
    """What every event carries: when it happened, RFC 3339 in UTC."""

    at: str = ""


@dataclass(frozen=True)
class Started(Event):
    """The bus has read its plan."""

    run: str = ""
    bus_version: str = ""


@dataclass(frozen=True)
class Spawned(Event):
    """A plugin was started."""

    child: str = ""
    role: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Confined(Event):
    """What the sandbox promises for a plugin, told before its program runs."""

    child: str = ""
    profile: str = ""
    layout: str = ""
    guarantees: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Connection(Event):
    """A plugin reached for a host through the broker, or asked for its name (then `port` is None)."""

    child: str = ""
    host: str = ""
    port: int | None = None
    address: str | None = None
    outcome: str = ""
    """open, closed, denied or failed."""
    reason: str | None = None
    sent: int = 0
    received: int = 0


@dataclass(frozen=True)
class Access(Event):
    """Something that an observed plugin tried, whether or not it may."""

    child: str = ""
    kind: str = ""
    """look, read, write, run or connect."""
    what: str = ""
    """An absolute path, or HOST:PORT."""
    exists: bool | None = None
    """Whether the path is there on this machine."""


@dataclass(frozen=True)
class Schema(Event):
    """A SCHEMA was forwarded."""

    stream: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    key_properties: list[str] | None = None
    changed: bool = False


@dataclass(frozen=True)
class Adapted(Event):
    """What was changed in a stream for the plugin that reads it."""

    child: str = ""
    stream: str = ""
    alias: str | None = None
    """The name that it knows the stream by, where that is another."""
    changes: dict[str, int] = field(default_factory=dict)
    """How often, by rule."""


@dataclass(frozen=True)
class Counters(Event):
    """Totals at the target's edge."""

    streams: dict[str, dict[str, int]] = field(default_factory=dict)
    junk: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    states: int = 0
    records: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Bookmark(Event):
    """The target confirmed a STATE: `records` of the `of` forwarded records came before it."""

    text: str = ""
    """The value's exact JSON text, as the tap wrote it: a bookmark's numbers may hold more digits than a float."""
    records: int = 0
    of: int = 0
    seq: int = 0
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The books of the streams that had records since the last one: `records` and `hash`, since the run began."""


@dataclass(frozen=True)
class Lost(Event):
    """A tap or target ended as it should not have; the bus waits for `restart` or `give_up`."""

    child: str = ""
    role: str = ""
    code: str = ""
    message: str = ""
    exit: int | None = None
    signal: int | None = None
    tail: int = 0
    """Of a tap: records that were forwarded behind its last STATE."""
    text: str | None = None
    """Of a tap: the exact text of that STATE, None if there was none."""


@dataclass(frozen=True)
class Resumed(Event):
    """A child was started again; a target is given so many records again."""

    child: str = ""
    records: int = 0


@dataclass(frozen=True)
class StateIgnored(Event):
    """The target printed a STATE that does not count."""

    why: str = ""
    text: str = ""


@dataclass(frozen=True)
class Log(Event):
    """A line of a plugin that is no message."""

    child: str = ""
    source: str = "stderr"
    text: str = ""
    dropped: int = 0


@dataclass(frozen=True)
class Junk(Event):
    """A line between the messages that was dropped; only the first few of each kind are told."""

    child: str = ""
    kind: str = ""
    line: int = 0
    offset: int = 0
    text: str = ""


@dataclass(frozen=True)
class Reject(Event):
    """A line that is not delivered; only the first few of each stream are told."""

    child: str = ""
    stream: str | None = None
    rule: str = ""
    reason: str = ""
    path: str = ""
    """Where in the record, as a JSON Pointer."""
    line: int = 0
    offset: int = 0


@dataclass(frozen=True)
class StreamStatus(Event):
    """How far a stream of an Airbyte source is: STARTED, RUNNING, COMPLETE, INCOMPLETE."""

    child: str = ""
    stream: str = ""
    status: str = ""


@dataclass(frozen=True)
class Estimate(Event):
    """What an Airbyte source expects to send, of one stream or (None) of all."""

    child: str = ""
    stream: str | None = None
    records: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Trouble(Event):
    """An error that an Airbyte source told of."""

    child: str = ""
    kind: str = "system_error"
    """config_error, transient_error or system_error."""
    message: str = ""
    detail: str | None = None
    """What it says to its developers, where that is more."""
    stream: str | None = None


@dataclass(frozen=True)
class SourceEof(Event):
    """The shell pipe ended; the bus waits to be told whether its writer ended or died."""


@dataclass(frozen=True)
class Exited(Event):
    """A plugin ended, with what it used."""

    child: str = ""
    code: int | None = None
    signal: int | None = None
    user_s: float = 0.0
    sys_s: float = 0.0
    max_rss_kb: int = 0
    wall_s: float = 0.0
    peak_kb: int = 0
    """Memory of all its processes together at its highest, as seen."""
    peak_processes: int = 0


@dataclass(frozen=True)
class Notice(Event):
    """Something worth saying that is no failure."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True)
class End(Event):
    """The verdict. Nothing follows it."""

    verdict: str = "interrupted"
    reason: str | None = None
    child: str | None = None
    message: str = ""
    stream: str | None = None
    line: int | None = None
    offset: int | None = None
    setting: str | None = None
    streams: dict[str, dict[str, int]] = field(default_factory=dict)
    junk: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    """Lines that were not delivered, by stream; under the empty name those of no known stream."""
    states: dict[str, int] = field(default_factory=dict)
    covered: dict[str, int] = field(default_factory=dict)
    last_bookmark_is_last_state: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    wall_s: float = 0.0
    bus: dict[str, float] = field(default_factory=dict)


TYPES: dict[str, type[Event]] = {
    "started": Started,
    "spawned": Spawned,
    "confined": Confined,
    "connection": Connection,
    "access": Access,
    "schema": Schema,
    "adapted": Adapted,
    "counters": Counters,
    "bookmark": Bookmark,
    "lost": Lost,
    "resumed": Resumed,
    "state_ignored": StateIgnored,
    "log": Log,
    "junk": Junk,
    "reject": Reject,
    "stream_status": StreamStatus,
    "estimate": Estimate,
    "trouble": Trouble,
    "source_eof": SourceEof,
    "exited": Exited,
    "notice": Notice,
    "end": End,
}
_EXACT = {Bookmark: "value", Lost: "state"}
"""The member whose exact text is kept."""
_FIELDS = {kind: {one.name for one in fields(kind)} for kind in TYPES.values()}
_SPACE = re.compile(r"[ \t\r\n]*")
_INT_DIGITS = 4000  # Python converts no longer digit strings to int

_DECODER = json.JSONDecoder(parse_int=lambda digits: int(digits) if len(digits) < _INT_DIGITS else float(digits))


def parse(line: bytes | str) -> Event | None:
    """One line of the events pipe; None for an unknown event. Fields that are not known are left out."""
    text = line if isinstance(line, str) else line.decode()
    data = _DECODER.decode(text)
    if not isinstance(data, dict):
        raise ValueError("an event is an object")  # noqa: TRY004 - what a bad line is, whatever is wrong with it
    kind = TYPES.get(str(data.get("event")))
    if kind is None:
        return None
    exact = _EXACT.get(kind)
    if exact is not None and exact in data:
        data["text"] = _member_text(text, exact)
    if kind is Adapted:
        data["alias"] = data.pop("as", None)
    known = _FIELDS[kind]
    return kind(**{name: value for name, value in data.items() if name in known and value is not None})


def _member_text(text: str, wanted: str) -> str:
    """The exact text of one member of the object that `text` is known to be."""
    found, at = "", _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, after = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, after) + 1)  # past the colon
        at = _DECODER.raw_decode(text, start)[1]
        if key == wanted:
            found = text[start:at]
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    blank = _SPACE.match(text, at)
    return blank.end() if blank else at
