"""`dativo check` and `dativo add` say when a plugin of one's own does a connector's work, and the other way round."""

from __future__ import annotations

import json

import pytest

from tests.plugins import tiny
from tests.workspace import Workspace

SCRIPT = "#!/usr/bin/env python3\nimport sys\nif \"--about\" in sys.argv: print('{about}')\n{more}\n"


@pytest.fixture
def work(tmp_path):
    return Workspace(tmp_path / "project", tmp_path / "home")


def script(work, name, more="", **about):
    path = work.folder / name
    told = json.dumps({"name": name, "kind": name.partition("-")[0].replace("map", "mapper"), **about})
    path.write_text(SCRIPT.format(about=told, more=more))
    path.chmod(0o755)
    return work.dativo("add", f"./{name}").expect().stderr


def warnings(work, *words):
    checked = work.dativo("check", "--json", *words).expect(0, 2, 3).json["checked"]
    return {(one["about"], one["code"]): one["message"] for found in checked for one in found["warnings"]}


def test_the_name_or_the_packages_name_of_a_connector(work):
    said = script(work, "tap-github")
    assert "the registry has a connector of this name (singer-io, meltanolabs" in said
    tiny.make(work.folder / "mine", "acme-tap-zendesk")
    said = work.dativo("add", "./mine", "--as", "tap-tickets").expect().stderr
    assert "tap-tickets: the registry has a connector of this name (singer-io): dativo info tap-zendesk" in said
    assert script(work, "tap-github-audit").count("registry") == 0
    assert set(warnings(work)) == {("tap-github", "plugin.known"), ("tap-tickets", "plugin.known")}


def test_the_hosts_of_a_connector(work):
    said = script(work, "tap-issues", sandbox={"network": ["api.github.com:443"]})
    assert "it reaches api.github.com:443, as tap-github of the registry does" in said
    script(work, "tap-sheets-of-ours", sandbox={"network": ["www.googleapis.com:443"]})  # several connectors' host
    assert set(warnings(work)) == {("tap-issues", "plugin.known")}


def test_a_script_that_starts_a_connector(work):
    said = script(work, "tap-nightly", 'import subprocess\nsubprocess.run(["/opt/venv/bin/tap-stripe", "--config"])')
    assert "tap-nightly" not in said.split("\n")[0] or "installing" in said
    script(work, "tap-fine", "# not like tap-stripe, which has no refunds")
    assert set(warnings(work)) == set()  # a path is a name of its own
    script(work, "tap-daily", 'import os\nos.system("tap-stripe --config c.json")')
    found = warnings(work)
    assert set(found) == {("tap-daily", "plugin.wraps")} and "tap-stripe" in found["tap-daily", "plugin.wraps"]


def test_a_connector_that_is_bent(work):
    about = {"name": "x", "kind": "tap", "capabilities": ["catalog"], "settings": {"type": "object", "properties": {}}}
    tiny.make(work.folder / "rest", "tap-rest-api", about=about)
    work.dativo("add", "./rest").expect()
    long = " or ".join(f"record['column_{letter}']" for letter in "abcdef")
    assert warnings(work).keys() == {("tap-rest-api", "plugin.known")}
    work.configure(
        {
            "tap-rest-api": {
                "config": {
                    "streams": [{"name": f"customer_{at}", "path": f"/customers/{at}"} for at in range(20)],
                    "stream_maps": {"orders": {"total": long, "fine": "record['a']"}},
                    "body": "{% for one in pages %}{{ one }}{% endfor %}",
                    "token": "s3cr3t-s3cr3t-s3cr3t",
                },
                "env": {"PYTHONPATH": "/opt/patched", "TZ": "UTC"},
            }
        }
    )
    answer = work.dativo("check").expect()
    assert "s3cr3t" not in answer.stdout and "record[" not in answer.stdout
    for said in (
        "stream_maps.orders.total holds an expression longer than a line",
        "body holds code",
        "streams describes 20 streams of one service",
        "PYTHONPATH in its environment decides which code runs",
    ):
        assert said in answer.stdout
    assert "no errors, 5 warnings" in answer.stdout
    assert work.dativo("check", "--strict").expect(2)


@pytest.mark.parametrize(
    "value",
    ["SELECT * FROM orders WHERE id IN (1, 2)", "{{ start_date }}", "import of orders for shops in Europe", "a.*"],
)
def test_settings_that_are_no_code(work, value):
    tiny.make(work.folder / "mine", "tap-of-ours")
    work.dativo("add", "./mine").expect()
    work.configure({"tap-of-ours": {"config": {"query": value}}})
    assert warnings(work) == {}


def test_many_mappers(work):
    for name in ("tap-a", "map-a", "map-b", "map-c", "target-z"):
        script(work, name)
    steps = ["tap-a", "map-a", "map-b", "map-c", "target-z"]
    (work.folder / "job.yml").write_text(json.dumps({"name": "long", "steps": steps}))
    assert warnings(work, "job.yml") == {("long", "job.mappers"): "3 mappers in a row: map-a, map-b, map-c"}


def test_what_cannot_be_run(work):
    script(work, "tap-a", settings={"type": "object", "properties": {"host": {}}, "required": ["host"]})
    script(work, "target-z")
    work.configure({})
    file = work.folder / "dativo.yml"
    jobs = {
        "good": {"steps": ["tap-a", "target-z"], "plugins": {"tap-a": {"config": {"host": "h"}}}},
        "lacking": {"steps": ["tap-a", "target-z"]},
        "backwards": {"steps": ["target-z", "tap-a"]},
        "gone": {"steps": ["tap-gone", "target-z"]},
    }
    file.write_text(json.dumps({**json.loads(file.read_text()), "jobs": jobs}))
    told = work.dativo("check", "--json").expect(2).json
    assert (told["ok"], told["errors"], told["warnings"]) == (False, 3, 0)
    codes = {one["name"]: (one["problem"] or {}).get("code") for one in told["checked"]}
    expected = {"good": None, "lacking": "config.missing", "backwards": "job.invalid", "gone": "plugin.unknown"}
    assert codes == {**expected, "tap-a": None, "target-z": None}
    assert work.dativo("check", "good").expect().stdout.splitlines()[0].split() == ["ok", "job", "good"]
    assert "[job.unknown]" in work.dativo("check", "goood").expect(2).stdout
