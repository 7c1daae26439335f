"""The reader beyond the vectors: places, pipes and memory."""

import io
import os
import tracemalloc

import pytest

from dativo_protocol import Junk, Reader, Record, WireError
from dativo_protocol.messages import ActivateVersion, Batch, FileBatch, Schema, State, parse

SCHEMA = b'{"type":"SCHEMA","stream":"t","schema":{},"key_properties":"id"}\n'


def test_the_place_of_junk_and_of_an_error():
    data = b"\xef\xbb\xbf" + SCHEMA + b"hello\n" + b'{"type":"RECORD","stream":"u","record":{}}\n'
    reader = Reader(io.BytesIO(data))
    found = []
    with pytest.raises(WireError, match=r"line 3, byte 74, stream 'u'") as caught:
        found.extend(reader)
    assert data[caught.value.offset :].startswith(b'{"type":"RECORD"')
    assert reader.junk == {"bom": 1, "text": 1}


def test_offsets_count_over_reads():
    rows = [f'{{"type":"RECORD","stream":"t","record":{{"id":{i}}}}}\n'.encode() for i in range(50_000)]
    data = SCHEMA + b"".join(rows) + b"junk here"
    junk = [item for item in Reader(io.BytesIO(data)) if isinstance(item, Junk)]
    assert junk == [Junk("text", 50_002, len(data) - 9, b"junk here")]


def test_messages_come_as_soon_as_they_are_written():
    ours, theirs = os.pipe()
    reader = iter(Reader(ours))
    os.write(theirs, SCHEMA + b'{"type":"RECORD","stre')
    assert next(reader) == Schema("t", {}, ("id",))
    os.write(theirs, b'am":"t","record":{"id":1}}\n')
    assert next(reader) == Record("t", {"id": 1})
    os.close(theirs)
    assert list(reader) == []
    os.close(ours)


def test_memory_is_bounded_by_the_cap():
    """I10: a line that never ends costs max_line and a block, not its length."""

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b"x" * min(size, 65536)

    tracemalloc.start()
    with pytest.raises(WireError, match="max_line"):
        list(Reader(Endless(), max_line=1 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_typed_messages():
    assert parse(b'{"type":"STATE","value":null}') == State(None)
    assert parse(b'{"type":"ACTIVATE_VERSION","stream":"t","version":7}') == ActivateVersion("t", 7)
    assert parse(b'{"type":"RECORD","stream":"t","record":{},"version":7,"time_extracted":"x"}') == Record(
        "t", {}, 7, "x"
    )
    assert parse(
        b'{"type":"BATCH","stream":"t","encoding":{"format":"jsonl","compression":"gzip"},"manifest":["file:///a"]}'
    ) == Batch("t", "jsonl", "gzip", ("file:///a",), {"format": "jsonl", "compression": "gzip"})
    assert parse(b'{"type":"BATCH","stream":"t","filepath":"/a","format":"jsonl","batch_size":2}') == FileBatch(
        "t", "/a", "jsonl", None, 2
    )


@pytest.mark.parametrize("line", [b"", b"[1]", b"INFO x", b'{"type":"LOG"}'])
def test_parse_refuses_junk(line):
    with pytest.raises(WireError) as caught:
        parse(line)
    assert caught.value.code == "data.junk"


def test_messages_are_immutable():
    with pytest.raises(AttributeError):
        State(1).value = 2
