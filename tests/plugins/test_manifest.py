"""What plugins say about themselves, believed only as far as it has the right shape."""

import json

from dativo.plugins.manifest import from_about, from_help, kind_from
from tests.plugins.tiny import ABOUT


def test_about_with_log_lines_around():
    found = from_about("INFO starting {not json}\n" + json.dumps(ABOUT, indent=2) + "\nbye\n")
    assert found["name"] == "tap-tiny"
    assert found["capabilities"] == ["catalog", "discover", "state"]
    assert found["settings"]["required"] == ["host"]


def test_what_is_wrong_is_left_out():
    found = from_about(json.dumps({"name": "x", "capabilities": "all", "settings": [], "kind": "database", "env": 3}))
    assert found == {"name": "x", "capabilities": []}
    assert from_about(json.dumps({"name": "x", "settings": {"properties": {"a": 1, "b": {}}}}))["settings"] == {
        "properties": {"b": {}}
    }


def test_no_about():
    assert from_about("") is None
    assert from_about("usage: x {a,b}") is None
    assert from_about("[1]") is None
    assert from_about('{"streams": []}') is None
    assert from_about("{" * 5000) is None


def test_help():
    text = "usage: tap [-h] -c CONFIG [-p P] [--catalog C]\n  -s STATE, --state STATE\n  --properties P\n  --discover\n"
    found = from_help(text)
    assert found["capabilities"] == ["catalog", "discover", "properties", "state"]
    assert kind_from(found) == "tap"
    assert kind_from(from_help("usage: target [-c CONFIG]")) is None
    assert from_help("my--state --statement")["capabilities"] == []
