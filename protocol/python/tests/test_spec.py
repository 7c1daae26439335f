"""SPEC.md and the schemas agree: every example validates, every broken one does not, and every vector's message too."""

import copy
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dativo_protocol import vectors

PROTOCOL = Path(__file__).resolve().parents[2]
SPEC = (PROTOCOL / "SPEC.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```json (\w+)\n(.*?)^```$", SPEC, re.MULTILINE | re.DOTALL)


def validator(seam):
    schema = json.loads((PROTOCOL / "schemas" / f"{seam}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def examples(seam):
    """The examples of a seam: documents, or one per line."""
    texts = [text for name, text in BLOCKS if name == seam]
    assert texts
    documents = (text.splitlines() if text.startswith('{"') else [text] for text in texts)
    return [json.loads(line) for lines in documents for line in lines]


@pytest.mark.parametrize("seam", ["message", "plan", "event", "manifest"])
def test_examples_validate(seam):
    check = validator(seam)
    for example in examples(seam):
        assert [error.message for error in check.iter_errors(example)] == []


def test_every_event_has_an_example():
    schema = json.loads((PROTOCOL / "schemas" / "event.schema.json").read_text(encoding="utf-8"))
    assert [event["event"] for event in examples("event")] == schema["properties"]["event"]["enum"]


@pytest.mark.parametrize("seam", ["plan", "event"])
def test_what_we_write_is_strict(seam):
    """A field that nobody defined is refused, at every level of the document that is ours."""
    check = validator(seam)
    for example in examples(seam):
        assert not check.is_valid({**example, "surprise": 1})
    if seam == "plan":
        for path in ("limits", "policy", "grace"):
            broken = copy.deepcopy(examples(seam)[0])
            broken[path]["surprise"] = 1
            assert not check.is_valid(broken)
        for key, value in (
            ("role", "sink"),
            ("argv", []),
            ("files", {"a/b": {"content": ""}}),
            ("rlimits", {"core": -1}),
        ):
            broken = copy.deepcopy(examples(seam)[0])
            broken["children"][0][key] = value
            assert not check.is_valid(broken)


def test_a_verdict_has_its_reason():
    end = examples("event")[-1]
    check = validator("event")
    assert not check.is_valid({**end, "reason": None})
    assert not check.is_valid({**end, "verdict": "done"})
    assert check.is_valid({**end, "verdict": "done", "reason": None})


def test_what_others_write_is_lenient():
    for seam in ("message", "manifest"):
        check = validator(seam)
        for example in examples(seam):
            assert check.is_valid({**example, "surprise": 1})


def test_messages_of_the_vectors_validate():
    """What a receiver accepts as a message is one by the schema; what it calls bad is none."""
    check = validator("message")
    for case in vectors.cases("envelope", "order", "malformed"):
        if case.spec.get("input") or not (bad := case.spec["error"]) or bad["code"] != "data.bad_message":
            continue
        line = case.input().split(b"\n")[bad["line"] - 1]
        if b"\\u" not in line:  # JSON Schema knows no lone surrogates
            assert not check.is_valid(json.loads(line)), case
    for case in vectors.cases("framing", "envelope", "order"):
        if case.spec.get("input"):
            continue
        lines = case.input().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        kinds = [message for message in case.messages() if message != {"junk": "bom"}]
        for line, kind in zip(lines, kinds, strict=False):
            if "type" in kind and b"[[[" not in line:
                assert check.is_valid(json.loads(line)), case


def test_invariants_are_all_there():
    assert re.findall(r"^\| (I\d+) \|", SPEC, re.MULTILINE) == [f"I{number}" for number in range(1, 14)]


def test_codes_are_in_the_catalog():
    catalog = (PROTOCOL / "errors.toml").read_text(encoding="utf-8")
    for code in set(re.findall(r"`((?:data|state|run)\.[a-z_]+)`", SPEC)):
        assert f'["{code}"]' in catalog, code
    for case in vectors.cases("framing", "envelope", "order", "malformed"):
        for code in [case.spec["error"]["code"]] if case.spec["error"] else case.spec.get("notices", []):
            assert f'["{code}"]' in catalog, case


def test_data_files_are_small():
    assert [str(path) for path in vectors.ROOT.rglob("*") if path.is_file() and path.stat().st_size > 100_000] == []
