"""Every shared vector of the wire, through the real target."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from dativo_protocol.vectors import Case, cases

# records without the key their SCHEMA names: the bus forwards them, this target cannot keep them
KEYLESS = {
    "empty-key": 2,
    "empty-record": 2,
    "envelope-keys-after-the-record": 2,
    "envelope-keys-inside-the-record": 2,
    "nested-below-the-limit": 3,
    "record-lacks-its-key": 2,
}


@pytest.mark.parametrize("case", list(cases("framing", "envelope", "order", "malformed")), ids=str)
def test_wire(case: Case, target) -> None:
    policy = case.spec.get("policy", {})
    settings = {"junk": policy.get("junk", "drop"), "max_line": case.spec.get("max_line", 67_108_864)}
    # a torn last line of a tap that died never gets past the bus: the target sees what was forwarded
    data = case.output() if case.spec.get("upstream") == "died" else case.input()
    expected = case.spec["error"]
    messages = case.messages()
    if case.name in KEYLESS:
        expected = {"code": "data.rejected", "line": KEYLESS[case.name]}
    if b'"BATCH"' in data and (expected is None or expected["code"] == "data.batch_refused"):
        # the bus's policy stands before this target, which takes files that exist and refuses PipelineWise's shape
        shape = "data.batch_refused" if b"filepath" in data else "data.bad_message"
        expected = {
            "code": shape,
            "line": next(at for at, line in enumerate(data.split(b"\n"), 1) if b'"BATCH"' in line),
        }
    result = target.load(data, **settings)
    if expected is None:
        assert (result.code, "error" in result.err) == (0, False), result.err
        assert f"committed {sum(case.spec['counts'].values()):,} rows" in result.err
    else:
        assert result.code == 4, result.err
        assert f"error[{expected['code']}]" in result.err
        assert f"line {expected['line']}" in result.err
    for kind in {message["junk"] for message in messages if "junk" in message}:
        if expected is None:
            assert f"{kind} " in result.err


def test_types(target) -> None:
    lines = ""
    for case in cases("types"):
        schema = {**case.spec.get("root", {}), "properties": {"p": case.spec["schema"]}}
        lines += json.dumps({"type": "SCHEMA", "stream": case.name, "schema": schema, "key_properties": []}) + "\n"
    assert target.load(lines).code == 0
    for case in cases("types"):
        assert target.columns(case.name) == {"p": case.spec["duckdb"]}, case.name


def same(stored: object, sent: object) -> bool:
    if isinstance(sent, dict | list):
        assert isinstance(stored, str)
        return json.loads(stored, parse_float=Decimal) == sent
    if isinstance(sent, str):
        return stored == "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in sent)
    if sent is None:
        return stored is None
    number = Decimal(str(stored))
    if number.is_nan() or Decimal(sent).is_nan():
        return number.is_nan() and Decimal(sent).is_nan()
    return sent in (number, Decimal(float(number)))  # 2^63 is a double, which reads 9.223372036854776e+18


DECLARED = {"undeclared": None, "number": {"type": ["null", "number"]}, "integer": {"type": "integer"}, "anything": {}}


@pytest.mark.parametrize("case", list(cases("precision")), ids=str)
def test_precision(case: Case, target, singer) -> None:
    whole = Decimal if len(case.spec["record"]) > 4000 else int
    sent = json.loads(case.spec["record"], parse_float=Decimal, parse_int=whole, parse_constant=Decimal)
    lines = ""
    for stream, declared in DECLARED.items():
        lines += singer.schema({} if declared is None else dict.fromkeys(sent, declared), stream=stream)
        lines += case.spec["line"].replace('"boats"', json.dumps(stream)) + "\n"
    result = target.load(lines)
    assert result.code == 0, result.err
    for stream in DECLARED:
        row = target.sql(f"SELECT COLUMNS(*)::VARCHAR FROM {stream}")[0]
        stored = dict(zip(target.columns(stream), row, strict=True))
        for name, value in sent.items():
            got = stored.get(name)
            if stream == "anything" and got is not None and not isinstance(value, dict | list):
                got = json.loads(got, parse_float=Decimal, parse_int=whole)  # a column of anything holds JSON
            assert same(got, value), (stream, name, got)
