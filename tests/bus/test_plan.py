from __future__ import annotations

import json

from dativo.bus.plan import Grace, Limits, Plan, Policy, Sink, Source

CHILD = {
    "name": "tap-x",
    "role": "tap",
    "argv": ["/bin/tap-x", "--config", "{file:config}"],
    "env": {"PATH": "/bin", "TOKEN": "s3cret"},
    "files": {"config": {"content": '{"password":"s3cret"}', "mode": "memfd"}},
}


def test_the_document_has_the_fields_of_the_schema():
    plan = Plan("r-1", "j", "/run/r-1", [CHILD], Source("tap-x", await_verdict=True), Sink("target-x", quiet=True))
    document = json.loads(plan.encode(control_fd=9))
    assert document["plan"] == 1
    assert document["control_fd"] == 9
    assert document["source"] == {"fd": 0, "name": "tap-x", "await_verdict": True}
    assert document["sink"] == {"fd": 1, "name": "target-x", "quiet": True, "adapt": None}
    assert document["limits"] == {"max_line": 67108864, "pipe": 262144, "capture": 67108864, "log_line": 16384}
    assert document["policy"] == {
        "junk": "drop",
        "check": "json",
        "batch": "refuse",
        "confirm": "auto",
        "validate": "off",
        "on_bad_record": "fail",
        "bad_rows": None,
        "bad_percent": None,
        "schema_change": {"default": "evolve", "streams": {}},
        "activate": "forward",
    }
    assert document["grace"] == {"eof": None, "term": 5, "drain": 30}
    assert document["children"] == [CHILD]


def test_a_shown_plan_hides_configs_and_variables():
    plan = Plan("r", "j", "/d", [CHILD], limits=Limits(max_line=1), policy=Policy(junk="fail"), grace=Grace(eof=3))
    shown = json.dumps(plan.shown())
    assert "s3cret" not in shown
    assert '"PATH": "/bin"' in shown
    assert CHILD["files"]["config"]["content"] == '{"password":"s3cret"}'
