"""Projects in the shapes of Meltano's own documentation: equal rows, configs and states, as they are and imported."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(600)]


def told(world, file):
    """What the tap said of itself in a stream of one column."""
    return [json.loads(json.loads(line)["text"]) for line in world.rows()[file]]


def imported(project, name, env, *jobs):
    """The rows of a project that was imported, and the state of each job."""
    world = project(name, f"{name}-imported")
    world.env = {"ZOO_STACKED": "1"}
    told = world.dativo("import", "meltano").expect().stdout
    assert re.search(rf"^  next: dativo sync, then dativo run \S+ --env {env} --dry-run$", told, re.MULTILINE)
    assert str(world.folder) not in (world.folder / "dativo.yml").read_text(), "it can be moved"
    world.dativo("sync").expect()
    for job in jobs:
        world.dativo("run", job, "--env", env).expect()
    return world


def test_variables_of_each_level(project, meltano):
    ours, theirs = project("levels", "ours", meltano), project("levels", "theirs", meltano)
    for world in (ours, theirs):
        world.env = {"ZOO_STACKED": "1"}
    ours.dativo("run", "go").expect()
    theirs.real("run", "go").expect()
    for file in ("output/config.jsonl", "output/_config.jsonl", "output/rows.jsonl"):
        assert ours.rows()[file] == theirs.rows()[file]
    (env,), (other,) = told(ours, "output/env.jsonl"), told(theirs, "output/env.jsonl")
    assert env["ZOO_STACKED"] == other["ZOO_STACKED"] == "12345"
    same = ("ZOO_LEVEL", "ZOO_STACKED", "ZOO_PLUGIN")
    assert {key: env[key] for key in same} == {key: other[key] for key in same}
    assert env["ZOO_ENVROOT"] == other["ZOO_ENVROOT"].replace("theirs", "ours") == f"{ours.folder}/env"
    # where Meltano leaves the dollar sign standing, it is what was meant
    assert (other["ZOO_ROOT"], other["ZOO_TOP"]) == ("$MELTANO_PROJECT_ROOT/x", "$ZOO_DOT-top")
    assert (env["ZOO_ROOT"], env["ZOO_TOP"]) == (f"{ours.folder}/x", "dotted-top")
    moved = imported(project, "levels", "prod", "go")
    assert told(moved, "output/config.jsonl") == told(theirs, "output/config.jsonl")
    assert moved.rows()["output/_config.jsonl"] == theirs.rows()["output/_config.jsonl"]
    assert told(moved, "output/env.jsonl") == [{**env, "ZOO_ROOT": "./x", "ZOO_ENVROOT": "./env"}]


def test_included_files_and_two_levels_of_inheritance(project, meltano):
    ours, theirs = project("includes", "ours", meltano), project("includes", "theirs", meltano)
    ours.dativo("run", "both").expect()
    theirs.real("run", "both").expect()
    kept = ours.rows()
    for file, lines in theirs.rows().items():
        if not file.endswith("catalog.jsonl"):  # an automatic column that no pattern names is not selected there
            assert kept.pop(file) == lines, file
    assert list(kept) == ["output/one/catalog.jsonl"]
    ids = ["dev:tap-zoo--child-to-target-one", "dev:tap-zoo--grandchild-to-target-two"]
    states = [ours.dativo("state", "get", one).expect().json for one in ids]
    assert states == [theirs.real_state(one) for one in ids]
    moved = imported(project, "includes", "dev", "both-1", "both-2").rows()
    assert {**moved, "output/one/catalog.jsonl": []} == {**theirs.rows(), "output/one/catalog.jsonl": []}


def test_a_setting_that_a_plugin_tells_another_is_imported_for_each_environment(project):
    world = project("includes")
    world.edit(
        "target-two\n        config: {extra:",
        "target-one\n        config: {schema: fixed}\n      - name: target-two\n        config: {extra:",
    )
    data = world.dativo("import", "meltano", "--dry-run", "--json").expect().json["project"]
    assert data["jobs"]["both-2"]["plugins"]["target-two"]["config"] == {
        "schema": "custom_schema", "names": "tap-zoo--grandchild/tap_zoo__grandchild",
    }  # fmt: skip
    prod = data["environments"]["prod"]
    assert prod["jobs"]["both-2"]["plugins"] == {
        "target-two": {"config": {"extra": "custom_schema", "schema": "fixed"}}
    }
    assert prod["jobs"]["both-1"]["plugins"] == {"target-one": {"config": {"schema": "fixed"}}}
    assert "jobs" not in data["environments"]["dev"]


def test_a_full_refresh_of_some_streams_keeps_the_bookmarks_of_the_others(project, meltano):
    """Meltano's example `meltano-run-merge-states`: its `auto` strategy merges on a full refresh."""
    ours, theirs = project("includes", "ours", meltano), project("includes", "theirs", meltano)
    job = "dev:tap-zoo-to-target-two"
    for world, run in ((ours, ours.dativo), (theirs, theirs.real)):
        run("run", "tap-zoo", "target-two").expect()
        world.env = {"TAP_ZOO__SELECT_FILTER": '["rows"]', "TAP_ZOO_COUNT": "7"}
        run("run", "tap-zoo", "target-two", "--full-refresh").expect()
    state = ours.dativo("state", "get", job).expect().json
    assert state == theirs.real_state(job) == {"bookmarks": {"rows": {"id": 7}, "rows_log": {"seen": 1}}}
    piped = ours.shell("dativo tap-zoo --full-refresh | dativo target-two").expect()
    assert f"job {job}" in piped.stderr
    assert ours.dativo("state", "get", job).expect().json == state
