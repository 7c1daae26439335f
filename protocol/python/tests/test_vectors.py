"""Every vector, in Python."""

import io
import json
import re

import pytest

from dativo_protocol import bookmark, catalog, codec, messages, types, vectors
from dativo_protocol.fault import WireError
from dativo_protocol.ledger import StateLedger
from dativo_protocol.reader import Junk, Reader

NAMES = {
    "Schema": "SCHEMA",
    "Record": "RECORD",
    "State": "STATE",
    "ActivateVersion": "ACTIVATE_VERSION",
    "Batch": "BATCH",
    "FileBatch": "BATCH",
}


def vector(*topics):
    found = list(vectors.cases(*topics))
    assert found, topics
    return pytest.mark.parametrize("case", found, ids=str)


class Dribble(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, step):
        self.data, self.step, self.at = data, step, 0

    def read(self, size=-1):
        piece = self.data[self.at : self.at + self.step]
        self.at += len(piece)
        return piece


def run(case, source):
    policy = {"junk": "drop", "batch": "refuse", **case.spec.get("policy", {})}
    reader = Reader(
        source,
        max_line=case.spec.get("max_line", 67108864),
        junk=policy["junk"],
        batch=policy["batch"],
        drop_torn=case.spec.get("upstream") == "died",
    )
    seen, output, counts, error = [], [], {}, None
    try:
        for item in reader:
            if isinstance(item, Junk):
                seen.append({"junk": item.kind})
                continue
            entry = {"type": NAMES[type(item).__name__]}
            stream = getattr(item, "stream", None)
            if stream is not None:
                entry["stream"] = stream
            seen.append(entry)
            output.append(reader.raw + b"\n")
            if entry["type"] == "RECORD":
                counts[stream] = counts.get(stream, 0) + 1
    except WireError as fault:
        error = {"code": fault.code, "line": fault.line}
    notices = ["data.nonstandard_number"] if reader.nonstandard else []
    return seen, b"".join(output), counts, error, notices


@vector("framing", "envelope", "order", "malformed")
@pytest.mark.parametrize("step", [1 << 20, 4096, 7, 1])
def test_stream(case, step):
    data = case.input()
    if len(data) // step > 100_000:
        step = max(step, len(data) // 1000)
    seen, output, counts, error, notices = run(case, Dribble(data, step))
    assert (seen, error) == (case.messages(), case.spec["error"])
    assert counts == case.spec["counts"]
    assert notices == case.spec.get("notices", [])
    assert output == case.output()


def spelled(text):
    """JSON text with one spelling of exponents: writers of floats differ."""
    return re.sub(r"(?<=[0-9])[eE]\+?(?=-?[0-9])", "E", text)


@vector("precision")
def test_precision(case):
    line = case.spec["line"].encode()
    message = messages.parse(line)
    wanted = case.spec["reencoded"]
    assert codec.decode(line)["record"] == message.record or case.spec.get("notices")
    stream = io.BytesIO(b'{"type":"SCHEMA","stream":"boats","schema":{}}\n' + line)
    assert list(Reader(stream))[1:] == [message] or case.spec.get("notices")
    if wanted is None:
        with pytest.raises(ValueError, match="has no JSON text"):
            codec.encode(message.record)
        assert codec.encode(message.record, nonfinite="keep") == case.spec["record"].encode()
    else:
        wanted = case.spec["record"] if wanted == "same" else wanted
        assert spelled(codec.encode(message.record).decode()) == spelled(wanted)


@vector("state")
def test_state(case):
    ledger = StateLedger()
    for text in case.spec["forwarded"]:
        ledger.sent(codec.decode(text.encode()))
    answers = [ledger.answer(line.encode()) for line in case.spec["target_lines"]]
    assert ledger.confirmed == case.spec["confirmed"]
    assert [answer for answer in answers if answer in ("empty", "foreign")] == case.spec["ignored"]
    assert answers.count("log") == case.spec.get("logs", 0)


@vector("merge")
def test_merge(case):
    base = json.dumps(case.spec["base"])
    assert bookmark.merge(case.spec["base"], case.spec["update"]) == case.spec["merged"]
    assert json.dumps(case.spec["base"]) == base


@vector("selection")
def test_selection(case):
    spec = case.spec
    before = json.dumps(spec["catalog"])
    catalog.validate(spec["catalog"])
    result = catalog.apply_selection(spec["catalog"], spec["patterns"], spec["metadata"])
    catalog.validate(result)
    assert catalog.selected_streams(result) == spec["selected"]
    assert json.dumps(spec["catalog"]) == before
    streams = {catalog.stream_id(stream): stream for stream in result["streams"]}
    for name, paths in spec.get("nested", {}).items():
        found = {path: catalog.is_selected(streams[name], tuple(path.split("."))) for path in paths}
        assert found == paths
    for name, keys in spec.get("written", {}).items():
        root = next(entry["metadata"] for entry in streams[name]["metadata"] if entry["breadcrumb"] == [])
        assert {key: root.get(key) for key in keys["metadata"]} == keys["metadata"]
        top = {key: value for key, value in keys.items() if key != "metadata"}
        assert {key: streams[name].get(key) for key in top} == top
    again = catalog.apply_selection(result, spec["patterns"], spec["metadata"])
    assert again == result


@vector("types")
def test_types(case):
    column = types.column_type(case.spec["schema"], case.spec.get("root"))
    assert (column.arrow, column.duckdb) == (case.spec["arrow"], case.spec["duckdb"])
    assert column.extension == case.spec.get("extension", "")
    if "nullable" in case.spec:
        assert column.nullable == case.spec["nullable"]
