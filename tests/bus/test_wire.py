"""The real data plane against the seams' schemas: plans that it takes, every event that it writes, every code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from dativo import errors
from dativo.bus.events import TYPES
from dativo.native import find_bus

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "native" / "dativo-bus" / "tests" / "plugins"
LIMITS = {"profile": "limits"}
"""The interpreter is wherever the tests run; fences are tested in tests/escape and tests/pipelines."""
CODE = re.compile(r'"((?:plugin|target|pipe|run|env|data|state)\.[a-z_]+)"')


def schema(name):
    return jsonschema.Draft202012Validator(json.loads((ROOT / f"protocol/schemas/{name}.schema.json").read_text()))


def child(role, mode, **more):
    argv = [sys.executable, str(PLUGINS / f"{role}.py"), mode]
    return {"name": f"{role}-test", "role": role, "argv": argv, "env": {"PYTHONUTF8": "1"}, "sandbox": LIMITS, **more}


def run(tmp_path, *children, **more):
    plan = {"plan": 1, "run": "r", "job": "j", "run_dir": str(tmp_path / "run"), "children": list(children), **more}
    schema("plan").validate(plan)
    done = subprocess.run([find_bus()], input=json.dumps(plan).encode(), capture_output=True, check=False, timeout=60)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("tap", "target", "reason"),
    [
        ("ok", "ok", None),
        ("junk", "each", None),
        ("nan", "num", None),
        ("long-log", "foreign", None),
        ("no-last-state", "silent", None),
        ("exit1", "ok", "plugin.exited"),
        ("kill9", "ok", "plugin.killed"),
        ("invalid", "ok", "data.invalid_json"),
        ("early-record", "ok", "data.record_before_schema"),
        ("ok", "empty", None),
        ("ok", "silent", "target.unconfirmed"),
    ],
)
def test_every_event_is_as_the_schema_says(tmp_path, tap, target, reason):
    events = run(tmp_path, child("tap", tap), child("target", target))
    wire = schema("event")
    for event in events:
        wire.validate(event)
        assert event["event"] in TYPES
    assert events[-1]["reason"] == reason
    assert reason is None or reason in errors.CATALOG


def test_a_plan_with_everything(tmp_path):
    everything = {
        "cwd": "{home}",
        "files": {"config": {"content": "{}", "mode": "memfd"}, "state": {"content": "{}", "mode": "file"}},
        "rlimits": {"as": None, "core": 0, "cpu": 100, "nofile": 256},
        "on_upstream_failure": "term",
        "interrupt_log": ["Received SIGTERM"],
        "warn_log": ["WARN"],
    }
    target = child("target", "ok", **everything)
    target["env"] |= {"CONFIG": "{file:config}", "HOME": "{home}", "TMPDIR": "{tmp}", "RUN": "{run_dir}"}
    events = run(
        tmp_path,
        child("tap", "ok"),
        child("mapper", ""),
        target,
        control_fd=None,
        source=None,
        sink=None,
        limits={"max_line": 1000000, "pipe": 65536, "capture": 1000, "log_line": 80},
        policy={"junk": "drop", "check": "envelope", "batch": "forward", "confirm": "never"},
        grace={"eof": 30, "term": 5, "drain": 30},
        counters_every=0.1,
    )
    assert events[-1]["verdict"] == "done"


def test_the_schemas_that_it_prints_are_the_protocols():
    for name in ("plan", "event"):
        printed = subprocess.run([find_bus(), "--schema", name], capture_output=True, check=True).stdout
        assert printed == (ROOT / f"protocol/schemas/{name}.schema.json").read_bytes()


def test_every_code_that_it_may_give_is_in_the_catalog():
    sources = [*ROOT.glob("native/bus/src/*.rs"), *ROOT.glob("native/dativo-bus/src/*.rs")]
    codes = {code for source in sources for code in CODE.findall(source.read_text())}
    assert {"plugin.exited", "data.invalid_json", "state.uncovered", "env.run_dir"} <= codes
    assert codes - set(errors.CATALOG) == set()
