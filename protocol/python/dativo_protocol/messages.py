"""The messages of SPEC.md section 2 as immutable, typed tuples, and how a line becomes one.

`build` is the one place that says what each message must have; the reader calls it, and so does `parse`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import orjson

from dativo_protocol import exact
from dativo_protocol.codec import is_altered
from dativo_protocol.fault import WireError

TYPES = frozenset(("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH"))


class Schema(NamedTuple):
    """SCHEMA: what a stream's records look like from here on. `key_properties` is None where the tap said nothing."""

    stream: str
    schema: dict[str, Any]
    key_properties: tuple[str, ...] | None = None
    bookmark_properties: tuple[str, ...] = ()


class Record(NamedTuple):
    """RECORD: one row."""

    stream: str
    record: dict[str, Any]
    version: int | None = None
    time_extracted: str | None = None


class State(NamedTuple):
    """STATE: the tap's bookmark, opaque."""

    value: Any


class ActivateVersion(NamedTuple):
    """ACTIVATE_VERSION: rows of this stream with another version are gone."""

    stream: str
    version: int


class Batch(NamedTuple):
    """BATCH as the Meltano SDK writes it: files of raw records."""

    stream: str
    format: str
    compression: str | None
    manifest: tuple[str, ...]
    encoding: dict[str, Any]
    version: int | None = None


class FileBatch(NamedTuple):
    """BATCH as PipelineWise writes it: one file."""

    stream: str
    filepath: str
    format: str
    compression: str | None = None
    batch_size: int | None = None
    time_extracted: str | None = None


Message: TypeAlias = Schema | Record | State | ActivateVersion | Batch | FileBatch


def parse(line: bytes) -> Message:
    """The message on a line. Raises WireError; a line of junk or of an unknown type is `data.junk`."""
    if not line.lstrip(b" \t\r\n").startswith(b"{"):
        raise WireError("data.junk", "the line is not a message")
    message, _ = read(line)
    if message is None:
        raise WireError("data.junk", "the message's type is unknown")
    return message


def read(line: bytes, *, exactly: bool = False) -> tuple[Message | None, bool]:
    """The message on a line that begins with a brace (None: unknown type), and whether it holds NaN or Infinity.

    `exactly`: the caller knows already that orjson would lose digits.
    """
    nonstandard = False
    try:
        value: Any = None if exactly else orjson.loads(line)
        exactly = exactly or is_altered(value, line)
    except orjson.JSONDecodeError:
        exactly = True
    if exactly:
        value, nonstandard = exact.decode(line)
    message = build(value)
    if nonstandard and not isinstance(message, Record):
        raise WireError("data.invalid_json", "NaN and Infinity are not JSON, and are accepted in records only")
    return message, nonstandard


def build(value: dict[str, Any]) -> Message | None:
    """The message in an object; None where its type is unknown. Raises WireError data.bad_message."""
    kind = value.get("type")
    if not isinstance(kind, str):
        raise _bad("the message has no type" if kind is None else "the message's type is not a string", value)
    _unicode(kind, "type", value)
    if kind not in TYPES:
        if kind.isascii() and kind.upper() in TYPES:
            raise _bad(f"the message's type is {kind!r}, which must be written {kind.upper()!r}", value)
        return None
    if kind == "STATE":
        if "value" not in value:
            raise _bad("STATE has no value", value)
        return State(value["value"])
    stream = _string(value, kind, "stream")
    _unicode(stream, "stream", value)
    if kind == "RECORD":
        record = _object(value, kind, "record")
        return Record(stream, record, _whole(value.get("version")), _text(value, "time_extracted"))
    if kind == "SCHEMA":
        return Schema(
            stream,
            _object(value, kind, "schema"),
            _names(value, "key_properties"),
            _names(value, "bookmark_properties") or (),
        )
    if kind == "ACTIVATE_VERSION":
        version = _whole(value.get("version"))
        if version is None:
            raise _bad("ACTIVATE_VERSION has no version that is an integer", value)
        return ActivateVersion(stream, version)
    return _batch(value, stream)


def _batch(value: dict[str, Any], stream: str) -> Message:
    if "filepath" in value:
        return FileBatch(
            stream,
            _string(value, "BATCH", "filepath"),
            _string(value, "BATCH", "format"),
            _text(value, "compression"),
            _whole(value.get("batch_size")),
            _text(value, "time_extracted"),
        )
    encoding = _object(value, "BATCH", "encoding")
    manifest = value.get("manifest")
    if not isinstance(manifest, list) or not all(isinstance(uri, str) for uri in manifest):
        raise _bad("BATCH has neither a filepath nor a manifest of URIs", value)
    return Batch(
        stream,
        _string(encoding, "BATCH", "format"),
        _text(encoding, "compression"),
        tuple(manifest),
        encoding,
        _whole(value.get("version")),
    )


def _bad(message: str, value: dict[str, Any]) -> WireError:
    stream = value.get("stream")
    return WireError("data.bad_message", message, stream=stream if isinstance(stream, str) else None)


def _string(value: dict[str, Any], kind: str, key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise _bad(f"{kind} has no {key}" if text is None else f"the {key} of {kind} is not a string", value)
    return text


def _object(value: dict[str, Any], kind: str, key: str) -> dict[str, Any]:
    inner = value.get(key)
    if not isinstance(inner, dict):
        raise _bad(f"{kind} has no {key}" if key not in value else f"the {key} of {kind} is not an object", value)
    return inner


def _names(value: dict[str, Any], key: str) -> tuple[str, ...] | None:
    names = value.get(key)
    if names is None:
        return None
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _bad(f"the {key} of SCHEMA are not a list of names", value)
    return tuple(names)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: dict[str, Any], key: str) -> str | None:
    text = value.get(key)
    return text if isinstance(text, str) else None


def _unicode(text: str, key: str, value: dict[str, Any]) -> None:
    """A lone surrogate is no character, so it names nothing."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise WireError("data.bad_message", f"the {key} is not Unicode text") from None
