"""A SCHEMA that the data plane cannot use: Python's jsonschema judges the records, in a confined process of its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from dativo.run import judging
from tests.fixtures.faulty import Faulty, appeared, codes, ended, errors_in, gone, members, until

PYTHONS_OWN = r"^(?P<letters>x+)\Z"
"""An expression of Python's: other dialects know no \\Z."""
STREAM = (
    {
        "type": "SCHEMA",
        "stream": "t",
        "schema": {
            "$schema": "http://json-schema.org/schema#",
            "properties": {"id": {"type": "integer"}, "price": {"$ref": "#/definitions/price"}},
            "definitions": {"price": {"type": ["number", "null"], "multipleOf": 0.01}},
        },
        "key_properties": ["id"],
    },
)


def words(*more: str) -> list[str]:
    """Settings of the tap, as words of the command line."""
    return [word for one in more for word in ("--set", f"tap-fault.{one}")]


def letters(faulty: Faulty) -> list[Any]:
    """Every letter of the project, without the SCHEMAs."""
    files = sorted((faulty.folder / ".dativo" / "dead-letters").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if line["type"] != "SCHEMA"]


def test_good_rows_pass_and_a_bad_one_is_set_aside(faulty: Faulty):
    odd = words(f"pattern={PYTHONS_OWN}", "poison=[3]")
    answer = faulty.run("--on-bad-record", "quarantine", *odd).expect()
    assert faulty.rows() == [number for number in range(20) if number != 3]
    assert answer.stderr.count("checked by Python's jsonschema, which is slow") == 1
    [letter] = letters(faulty)
    why = letter["dead_letter"]
    assert (letter["record"]["id"], why["rule"], why["path"]) == (3, "type", "/v")
    assert why["reason"] == "column v: 3 breaks the rule type of its SCHEMA"
    assert faulty.position() == 19
    gone(faulty.job)


def test_a_bad_record_fails_the_run_by_default(faulty: Faulty):
    answer = faulty.run(*words(r"pattern=^y\Z")).expect(4)
    assert errors_in(answer) == ["data.schema"]
    assert 'first: row 1, column v: "x" breaks the rule pattern of its SCHEMA' in answer.stderr
    assert not faulty.rows()


def test_the_target_side_of_a_pipe_has_one_as_well(faulty: Faulty):
    prices = ("19.99", "0.001", "null", "12345678901234567890.01")
    text = "".join(json.dumps(line) + "\n" for line in STREAM)
    for number, price in enumerate(prices):
        text += f'{{"type":"RECORD","stream":"t","record":{{"id":{number},"price":{price}}}}}\n'
    (faulty.folder / "stream.singer").write_text(text)
    target = f"dativo target-fault --path {faulty.out} --on-bad-record quarantine"
    answer = faulty.shell(f"cat stream.singer | {target}; echo codes ${{PIPESTATUS[*]}}", faulty.job)
    assert codes(answer) == [0, 0], answer.stderr
    assert faulty.rows() == [0, 2, 3]
    [letter] = letters(faulty)
    assert (letter["dead_letter"]["rule"], letter["dead_letter"]["path"]) == ("multipleOf", "/price")


def test_a_schema_that_refers_to_itself_without_end_costs_neither_memory_nor_a_row_unjudged(faulty: Faulty):
    own = {"$ref": "#/definitions/own"}
    schema = {"definitions": {"own": {"allOf": [own, own]}}, "properties": {"id": {"type": "integer"}, "endless": own}}
    lines: list[dict[str, Any]] = [{"type": "SCHEMA", "stream": "t", "schema": schema, "key_properties": ["id"]}]
    lines += [{"type": "RECORD", "stream": "t", "record": one} for one in ({"id": 1}, {"id": 2, "endless": 1})]
    (faulty.folder / "stream.singer").write_text("".join(json.dumps(line) + "\n" for line in lines))
    target = f"dativo target-fault --path {faulty.out} --on-bad-record quarantine"
    answer = faulty.shell(f"ulimit -v 8000000; cat stream.singer | {target}; echo codes ${{PIPESTATUS[*]}}", faulty.job)
    assert codes(answer) == [0, 0], answer.stderr
    assert "it refers to itself without end" in answer.stderr
    assert faulty.rows() == [1]
    [letter] = letters(faulty)
    assert letter["record"]["id"] == 2


def test_it_is_confined_and_reaches_nobody(faulty: Faulty):
    plan = json.loads(faulty.run("--dry-run", "--json").expect().stdout)
    checker = plan["checker"]
    assert (checker["sandbox"]["profile"], checker["sandbox"]["network"]) == ("standard", "none")
    assert "write" not in checker["sandbox"]
    assert checker["files"]["program"]["content"] == "***"
    assert "checker" not in json.loads(faulty.run("--dry-run", "--json", "--no-validate").expect().stdout)


def test_one_that_is_killed_fails_the_run_and_nothing_passes_unchecked(faulty: Faulty):
    gate = faulty.folder / "gate"
    line = faulty.run_words(gate=gate, pattern=PYTHONS_OWN, poison="[15]")
    run = faulty.start("dativo " + " ".join(f"'{word}'" for word in line), faulty.job)
    appeared(Path(f"{gate}.ready"), run)
    until(lambda: members(faulty.job, "checker"), "a checker")
    until(lambda: faulty.position() == 9, "a bookmark")
    assert all(one.kill(signal.SIGKILL) for one in members(faulty.job, "checker"))
    gate.touch()
    answer = ended(run, "dativo run")
    answer.expect(4)
    assert errors_in(answer) == ["data.unchecked"]
    assert "checker ended" in answer.stderr
    assert faulty.rows() == list(range(10))
    assert faulty.position() == 9
    gone(faulty.job)


# -- the program itself


@pytest.mark.parametrize(
    ("schema", "good", "bad", "rule"),
    [
        ('{"multipleOf": 0.01}', "1234567890123456789012.34", "0.001", "multipleOf"),
        ('{"maximum": 10}', "NaN", "10.00000000000000000000000000001", "maximum"),
        ('{"type": "integer"}', "1.0", "1.5", "type"),
        ('{"type": "integer"}', "1" * 5_000, "true", "type"),
        ('{"enum": [1, 2.50]}', "2.5", "2.51", "enum"),
        ('{"minimum": 3, "exclusiveMinimum": true}', "4", "3", "minimum"),
        ('{"format": "date", "type": "string"}', '"never"', "1", "type"),
    ],
)
def test_what_is_valid_is_what_the_data_plane_says(schema: str, good: str, bad: str, rule: str):
    judge = judging.Judge()
    draft = 4 if "exclusive" in schema else 2020
    ask = f'{{"stream":1,"draft":{draft},"schema":{{"properties":{{"v":{schema}}},"required":["v"]}}}}'
    assert judge.answer(ask) == {"usable": True}
    assert judge.answer(f'{{"stream":1,"record":{{"v":{good}}}}}') == {"valid": True}
    found = judge.answer(f'{{"stream":1,"record":{{"v":{bad}}}}}')
    assert (found["valid"], found["rule"], found["path"]) == (False, rule, ["v"])
    assert judge.answer('{"stream":1,"record":{}}')["rule"] == "required"
    assert judge.answer('{"stream":1,"record":{"_sdc_deleted_at":"now"}}') == {"valid": True}


def test_a_reference_to_elsewhere_is_not_fetched():
    judge = judging.Judge()
    schema = '{"properties":{"v":{"$ref":"http://localhost:1/x"},"w":{"type":"string"}}}'
    assert judge.answer(f'{{"stream":1,"draft":7,"schema":{schema}}}') == {"usable": True}
    assert judge.answer('{"stream":1,"record":{"w":"x"}}') == {"valid": True}
    assert judge.answer('{"stream":1,"record":{"v":1}}') == {"unable": "its SCHEMA refers to what is not in it"}


def test_what_cannot_be_judged_is_not_valid():
    judge = judging.Judge()
    assert judge.answer('{"stream":1,"draft":7,"schema":{"pattern":"("}}')["usable"] is False
    assert judge.answer('{"stream":1,"record":{}}') == {"unable": "KeyError"}
    assert judge.answer('{"stream":1,"draft":7,"schema":{"items":{}}}') == {"usable": True}
    deep = "[" * 100_000 + "]" * 100_000
    assert judge.answer(f'{{"stream":1,"record":{deep}}}') == {"unable": "RecursionError"}
