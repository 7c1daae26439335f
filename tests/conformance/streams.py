"""Streams that no tap should send and some do: byte for byte what comes out of a tap's stdout.

Each is a small stream `t` with columns id, text and number, with one thing wrong or unusual. `ours` gives them by name;
`of_the_sdk` are those that the singer-sdk wheel brings for its own targets' tests, read from where it is installed.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = {
    "id": {"type": ["null", "integer"]},
    "text": {"type": ["null", "string"]},
    "number": {"type": ["null", "number"]},
}


@dataclass(frozen=True)
class Stream:
    """The bytes, and in words what is odd about them."""

    name: str
    what: str
    content: bytes


def message(kind: str, **fields: Any) -> bytes:
    """A message on a line of its own."""
    return json.dumps({"type": kind, **fields}, separators=(",", ":")).encode() + b"\n"


def schema(stream: str = "t", columns: dict[str, Any] | None = None, **more: Any) -> bytes:
    """A SCHEMA whose key is id."""
    described = {"type": "object", "properties": COLUMNS if columns is None else columns}
    return message("SCHEMA", **{"stream": stream, "schema": described, "key_properties": ["id"], **more})


def record(number: object = 1, *, text: str = '"a"', value: str = "1.5") -> bytes:
    """A RECORD; the values are JSON as it is to be written."""
    inside = f'{{"id":{number},"text":{text},"number":{value}}}'
    return f'{{"type":"RECORD","stream":"t","record":{inside}}}\n'.encode()


def state(value: Any = None) -> bytes:
    """A STATE."""
    return message("STATE", value={"bookmarks": {"t": {"id": 2}}} if value is None else value)


ONE, TWO, STATE, SCHEMA = record(1), record(2), state(), schema()
KEYLESS = {name: value for name, value in json.loads(SCHEMA).items() if name != "key_properties"}
ORDINARY = SCHEMA + ONE + TWO + STATE
WIDER = {**COLUMNS, "more": {"type": ["null", "string"]}}
DRAFT_4 = {"type": ["null", "number"], "maximum": 10, "exclusiveMaximum": True, "multipleOf": 1e-38}
ODD_NAMES = {"id": {"type": "integer"}, "a.b": {"type": ["null", "string"]}, "A.B": {"type": ["null", "string"]}}


def ours(folder: Path) -> list[Stream]:
    """All of them; `folder` gets the file that a BATCH names."""
    batch = folder / "batch.jsonl.gz"
    batch.write_bytes(gzip.compress(b'{"id":1,"text":"a","number":1.5}\n{"id":2,"text":"b","number":2.5}\n'))
    encoding = {"format": "jsonl", "compression": "gzip"}
    versioned = b"".join(message("RECORD", stream="t", record={"id": n}, version=7) for n in (1, 2))
    found = {
        "ordinary": ("nothing", ORDINARY),
        "empty": ("not a byte", b""),
        "no-state": ("no STATE", SCHEMA + ONE),
        "blank-line": ("an empty line between two records", SCHEMA + ONE + b"\n" + TWO + STATE),
        "crlf": ("lines end in CR LF", ORDINARY.replace(b"\n", b"\r\n")),
        "bom": ("a byte order mark first", b"\xef\xbb\xbf" + ORDINARY),
        "log-line": ("a line of log text", SCHEMA + b"INFO starting\n" + ONE + TWO + STATE),
        "json-array": ("a line that is a JSON array", SCHEMA + b"[1,2]\n" + ONE + TWO + STATE),
        "spaces": ("spaces around a message", SCHEMA + b" \t" + ONE.strip() + b"  \n" + TWO + STATE),
        "no-last-newline": ("the last line has no end", ORDINARY.rstrip(b"\n")),
        "cut-off": ("the last line stops half way", SCHEMA + ONE + TWO[:30]),
        "type-last": ("`type` is the last key", b"".join(map(_type_last, ORDINARY.splitlines()))),
        "lower-case": ("types in lower case", ORDINARY.replace(b"SCHEMA", b"schema").replace(b"RECORD", b"record")),
        "unknown-type": ("a message LOG", SCHEMA + message("LOG", message="hello") + ONE + TWO + STATE),
        "record-first": ("a RECORD before its SCHEMA", ONE + SCHEMA + TWO + STATE),
        "new-schema": ("a second SCHEMA with a new column", SCHEMA + ONE + schema(columns=WIDER) + _wider() + STATE),
        "no-key": ("no key_properties", message(**_kind(KEYLESS)) + ONE + TWO + STATE),
        "null-key": ("key_properties is null", schema(key_properties=None) + ONE + TWO + STATE),
        "empty-key": ("key_properties is []", schema(key_properties=[]) + ONE + TWO + STATE),
        "empty-schema": ("the schema is {}", schema(schema={}, key_properties=[]) + ONE + STATE),
        "draft-4": (
            "draft-4 exclusiveMaximum, multipleOf 1e-38",
            schema(columns={**COLUMNS, "number": DRAFT_4}) + ONE + STATE,
        ),
        "dollar-schema": ("$schema of 2020-12", schema(schema=_dated()) + ONE + TWO + STATE),
        "lacks-key": ("a record without its key", SCHEMA + message("RECORD", stream="t", record={"text": "a"}) + STATE),
        "lacks-column": ("a record without a column", SCHEMA + message("RECORD", stream="t", record={"id": 1}) + STATE),
        "extra-column": (
            "a column that no schema has",
            SCHEMA + message("RECORD", stream="t", record={"id": 1, "more": [1]}) + STATE,
        ),
        "wrong-type": ("an object where text is declared", SCHEMA + record(1, text='{"x":1}') + STATE),
        "float-key": ("1.0 and 1e3 for integers", SCHEMA + record("1.0") + record("1e3") + STATE),
        "big-numbers": (
            "2^64 and thirty digits",
            SCHEMA + record(2**64) + record(2, value="123456789012345678901234567890.12345678901234567890") + STATE,
        ),
        "nan": ("NaN and Infinity", SCHEMA + record(1, value="NaN") + record(2, value="Infinity") + STATE),
        "twice-a-key": ("a key twice in an object", SCHEMA + _twice() + STATE),
        "not-utf-8": ("bytes that are not UTF-8", SCHEMA + record(1).replace(b'"a"', b'"\xff\xfe"') + STATE),
        "lone-surrogate": ("half a surrogate pair", SCHEMA + record(1, text='"\\ud800"') + STATE),
        "nul": ("a NUL character in a text", SCHEMA + record(1, text='"a\\u0000b"') + STATE),
        "line-separators": ("U+2028 and U+0085 in a text", SCHEMA + record(1, text='"a\u2028b\u0085c"') + STATE),
        "deep": ("3,000 arrays in each other", SCHEMA + record(1, text="[" * 3000 + "]" * 3000) + STATE),
        "long-line": ("a record of 20 MB", SCHEMA + record(1, text='"' + "x" * 20_000_000 + '"') + STATE),
        "odd-names": ("stream a.b-c/d, columns a.b and A.B", _odd_names() + STATE),
        "path-as-name": ("a stream that is called ../../t", ORDINARY.replace(b'"stream":"t"', b'"stream":"../../t"')),
        "state-list": ("a STATE that is a list", SCHEMA + ONE + state([1, 2])),
        "state-text": ("a STATE that is a text", SCHEMA + ONE + state("abc")),
        "state-null": ("a STATE that is null", SCHEMA + ONE + b'{"type":"STATE","value":null}\n'),
        "state-empty": ("a STATE that is {}", SCHEMA + ONE + state({})),
        "record-last": ("a RECORD after the last STATE", SCHEMA + ONE + STATE + TWO),
        "activate-version": (
            "versions, and ACTIVATE_VERSION",
            SCHEMA + versioned + message("ACTIVATE_VERSION", stream="t", version=7) + STATE,
        ),
        "batch-sdk": (
            "a BATCH as the SDK sends it",
            SCHEMA + message("BATCH", stream="t", encoding=encoding, manifest=[batch.as_uri()]) + STATE,
        ),
        "batch-pipelinewise": (
            "a BATCH as PipelineWise sends it",
            SCHEMA + message("BATCH", stream="t", filepath=str(batch), format="jsonl", batch_size=2) + STATE,
        ),
    }
    return [Stream(name, what, content) for name, (what, content) in found.items()]


def of_the_sdk(environment: Path) -> list[Stream]:
    """The streams in a plugin's environment that has singer-sdk."""
    (folder,) = environment.glob("lib/python3*/site-packages/singer_sdk/testing/target_test_streams")
    return [
        Stream(f"sdk: {file.stem}", "of singer-sdk's own tests", file.read_bytes())
        for file in sorted(folder.glob("*.singer"))
    ]


def _type_last(line: bytes) -> bytes:
    fields = json.loads(line)
    return (
        json.dumps({**{key: value for key, value in fields.items() if key != "type"}, "type": fields["type"]}).encode()
        + b"\n"
    )


def _kind(fields: dict[str, Any]) -> dict[str, Any]:
    return {"kind": fields["type"], **{key: value for key, value in fields.items() if key != "type"}}


def _wider() -> bytes:
    return message("RECORD", stream="t", record={"id": 2, "text": "b", "number": 1, "more": "c"})


def _dated() -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": COLUMNS}


def _twice() -> bytes:
    return b'{"type":"RECORD","stream":"t","record":{"id":1,"text":"a","text":"b","number":1}}\n'


def _odd_names() -> bytes:
    row = {"id": 1, "a.b": "x", "A.B": "y"}
    return schema("a.b-c/d", ODD_NAMES) + message("RECORD", stream="a.b-c/d", record=row)
