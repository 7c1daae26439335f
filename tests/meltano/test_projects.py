"""Three projects of different shapes, under `dativo run` and under the real `meltano run`: equal rows, equal state."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.meltano.world import HERE
from tests.workspace import PROGRAMS

pytestmark = [pytest.mark.plugins, pytest.mark.timeout(1_200)]

MORE = (
    {"id": 8, "customer": "c2", "card": "4111-0008", "total": 12.0, "updated_at": "2026-01-08"},
    {"id": 9, "customer": "c0", "card": "4111-0009", "total": 13.5, "updated_at": "2026-01-09"},
)
SHAPES = {
    # project: what is run, and the state ids that it leaves
    "shop": (["orders-to-files"], ["dev:tap-orders-to-target-jsonl"]),
    "fleet": (
        ["everything"],
        ["test:tap-orders--eu-to-target-csv", "test:tap-orders--refunds-to-target-csv--refunds"],
    ),
    "masked": (["tap-orders", "mask-cards", "drop-totals", "target-jsonl"], ["prod:tap-orders-to-target-jsonl"]),
}


@pytest.fixture(params=SHAPES)
def pair(request, project, meltano):
    """The same project twice: one for each program."""
    words, ids = SHAPES[request.param]
    return project(request.param, "ours", meltano), project(request.param, "theirs", meltano), words, ids


def test_a_project_runs_with_equal_rows_and_equal_state_twice(pair):
    ours, theirs, words, ids = pair
    for number in range(2):
        if number:
            for world in (ours, theirs):
                world.append("data/orders.jsonl", *MORE)
        summary = ours.dativo("run", *words, "--json").expect().json
        theirs.real("run", *words).expect()
        assert ours.rows() == theirs.rows()
        assert ours.rows()
        runs = summary.get("runs", [summary])
        assert [one["job"] for one in runs] == ids
        for state_id in ids:
            assert ours.dativo("state", "get", state_id).expect().json == theirs.real_state(state_id)


def test_a_job_goes_on_where_meltano_stopped(pair):
    ours, _, words, ids = pair
    ours.real("run", *words).expect()
    before = ours.rows()
    ours.append("data/orders.jsonl", *MORE)
    done = ours.dativo("run", *words).expect()
    assert "took over the state that Meltano kept" in done.stderr
    read = [line for lines in ours.rows().values() for line in lines]
    kept = [line for lines in before.values() for line in lines]
    assert [line for line in read if "2026-01-08" in line or "2026-01-09" in line]
    # nothing was read again: target-csv writes its file anew, target-jsonl goes on in it
    assert sum("2026-01-07" in line for line in read) <= sum("2026-01-07" in line for line in kept)
    again = ours.dativo("run", *words).expect()
    assert "took over" not in again.stderr
    log = ours.dativo("state", "log", ids[0], "--json").expect().stdout
    assert "taken over from Meltano" in log
    # and back: Meltano goes on where Dativo stopped
    exported = ours.dativo("state", "export", "--meltano").expect().stdout
    (ours.folder / "states.json").write_text(exported, "utf-8")
    ours.real("state", "import", "states.json").expect()
    for state_id in ids:
        assert ours.real_state(state_id) == ours.dativo("state", "get", state_id).expect().json


def test_what_is_for_one_pipeline_is_refused_for_several(project):
    fleet = project("fleet")
    (fleet.folder / "state.json").write_text("{}", "utf-8")
    for words in (["--job", "x"], ["--state", "state.json"]):
        answer = fleet.dativo("run", "everything", *words)
        assert (answer.code, "are for one" in answer.stderr) == (2, True), answer.stderr
    answer = fleet.dativo("run", "everything", "--set", "tap-else.path=x")
    assert (answer.code, "the job's plugins: " in answer.stderr) == (2, True), answer.stderr
    done = fleet.dativo("run", "everything", "--set", "target-csv.file_naming_scheme=set.csv", "--json").expect()
    assert [one["job"].partition(":")[0] for one in done.json["runs"]] == ["test", "test"]
    assert "output/set.csv" in fleet.rows()
    assert "output/refunds-of-tap_orders__refunds.csv" in fleet.rows()


def test_environments_schedules_and_plugins_by_name(project):
    shop = project("shop")
    shop.dativo("run", "nightly-orders").expect()  # its env chooses prod for Meltano's process, not for the job here
    assert "output/dev/orders.jsonl" in shop.rows()
    summary = shop.dativo("run", "tap-orders", "target-jsonl", "--env", "prod", "--json").expect().json
    assert summary["job"] == "prod:tap-orders-to-target-jsonl:nightly"
    rows = [json.loads(line) for line in shop.rows()["output/prod/orders.jsonl"]]
    assert [row["id"] for row in rows] == [4, 5, 6, 7]  # prod's start_date
    assert "card" in rows[0]  # and prod's select
    assert "output/prod/refunds.jsonl" not in shop.rows()


def test_a_wrong_secret_is_met_and_none_is_shown(project):
    shop = project("shop")
    shop.edit("open sesame", "open barley", ".env")
    answer = shop.dativo("run", "orders-to-files")
    assert answer.code == 1
    assert "the token is wrong" in answer.stderr
    assert "barley" not in answer.stderr + answer.stdout
    plan = shop.dativo("run", "orders-to-files", "--dry-run").expect()
    assert "barley" not in plan.stdout + plan.stderr


def test_what_a_definition_calls_sensitive_is_hidden_whatever_its_name(project):
    shop = project("shop")
    shop.edit(
        "        - name: token\n          kind: password\n",
        "        - name: token\n        - {name: motto, sensitive: true}\n",
    )
    shop.edit("config:\n        path:", "config:\n        motto: veni-vidi-vici\n        path:")
    shop.dativo("sync").expect()
    for words in (
        ["config", "tap-orders", "-v"],
        ["config", "tap-orders", "--json"],
        ["run", "orders-to-files", "--dry-run"],
    ):
        said = shop.dativo(*words).expect()
        assert "veni-vidi-vici" not in said.stdout + said.stderr
        assert "motto" in said.stdout or words[0] == "run"


def test_what_is_not_for_dativo_to_run_is_refused_before_anything_runs(project):
    shop = project("shop")
    shop.edit("jobs:\n", "  utilities:\n    - {name: dbt, namespace: dbt, pip_url: dbt-core}\njobs:\n")
    shop.edit("tasks: [tap-orders target-jsonl]", "tasks: [tap-orders target-jsonl, 'dbt:run']")
    answer = shop.dativo("run", "orders-to-files")
    assert answer.code == 2
    assert "error[meltano.unsupported]  dbt:run is of the utilities" in answer.stderr
    assert "meltano run dbt:run" in answer.stderr
    assert not shop.rows()
    assert not (shop.folder / "dativo.lock").exists()


def test_the_project_is_never_changed(project):
    shop = project("shop")
    before = shop.rows("*.yml") | shop.rows("plugins/**/*.lock")
    shop.dativo("sync").expect()
    for words in (
        ("config", "tap-orders", "--set", "page_size=3"),
        ("config", "set", "tap-orders", "page_size", "3"),
        ("select", "tap-orders", "orders.*"),
        ("remove", "tap-orders"),
        ("allow", "tap-orders", "--read", "/srv"),
    ):
        answer = shop.dativo(*words)
        assert answer.code == 2, (words, answer.stderr)
    assert "error[meltano.readonly]" in answer.stderr
    assert shop.rows("*.yml") | shop.rows("plugins/**/*.lock") == before
    listed = {row["name"] for row in shop.dativo("list", "--json").expect().json}
    assert listed == {"tap-orders", "target-jsonl"}


def test_a_plugin_without_a_pip_url_is_a_program(project, tmp_path):
    shop = project("shop")
    uv = [str(PROGRAMS / "uv"), "--quiet"]
    subprocess.run([*uv, "venv", str(shop.folder / "env")], check=True)
    into = {**os.environ, "VIRTUAL_ENV": str(shop.folder / "env")}
    subprocess.run([*uv, "pip", "install", str(shop.folder / "extract/tap-orders")], check=True, env=into)
    shop.edit(
        "      pip_url: -e extract/tap-orders\n      executable: tap-orders", "      executable: env/bin/tap-orders"
    )
    shop.dativo("run", "orders-to-files").expect()
    assert len(shop.rows()["output/dev/orders.jsonl"]) == 7
    program = shop.folder / "env/bin/tap-orders"
    program.write_text(program.read_text() + "# changed\n")
    done = shop.dativo("run", "orders-to-files")
    assert (done.code, "plugin.tampered" in done.stderr) == (3, True), done.stderr


def test_a_catalog_and_a_state_of_the_user(project, meltano):
    ours, theirs = project("shop", "ours", meltano), project("shop", "theirs", meltano)
    ours.dativo("sync").expect()
    catalog = ours.dativo("discover", "tap-orders", "--json").expect().json
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = entry["breadcrumb"] != ["properties", "customer"]
        stream["metadata"][0]["metadata"] |= {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
    for world in (ours, theirs):
        (world.folder / "catalog.json").write_text(json.dumps(catalog), "utf-8")
        (world.folder / "state.json").write_text('{"bookmarks": {"orders": {"updated_at": "2026-01-05"}}}', "utf-8")
        world.edit("      select: [orders.*, ", "      catalog: catalog.json\n      state: state.json\n      select: [")
        world.edit("refunds.*]\n", "refunds.*]\n      select_filter: ['!refunds']\n")
    for _ in range(2):  # the file is where each run begins
        ours.dativo("run", "orders-to-files").expect()
        theirs.real("run", "orders-to-files").expect()
    assert ours.rows() == theirs.rows()
    rows = [json.loads(line) for line in ours.rows()["output/dev/orders.jsonl"]]
    assert sorted(row["id"] for row in rows) == [6, 6, 7, 7]
    assert not [row for row in rows if "customer" in row]
    assert "output/dev/refunds.jsonl" not in ours.rows()


def test_constraints_bound_what_is_needed_and_install_nothing(project, meltano):
    shop = project("shop", "shop", meltano)
    (shop.folder / "bounds.txt").write_text(
        "# bounds\npytz<2020  # old\nnumpy<2\nurllib3<1 ; python_version < '3.5'\n", "utf-8"
    )
    shop.edit("pip_url: target-jsonl==0.1.4", "pip_url: -c bounds.txt target-jsonl==0.1.4 'simplejson>=3'")
    shop.dativo("run", "orders-to-files").expect()
    lock = (shop.folder / "dativo.lock").read_text()
    assert 'with = ["simplejson>=3"]' in lock
    assert 'constraints = ["pytz<2020", "numpy<2", "urllib3<1; python_version < \\"3.5\\""]' in lock
    versions = dict(re.findall(r'^name = "(.*)"\nversion = "(.*)"$', lock, re.MULTILINE))
    assert "numpy" not in versions
    shop.real("install", "loader", "target-jsonl").expect()
    (info,) = shop.folder.glob(".meltano/loaders/target-jsonl/venv/lib/*/site-packages/pytz-*.dist-info")
    assert info.name == f"pytz-{versions['pytz']}.dist-info"
    assert shop.dativo("sync", "--frozen").code == 0
    (shop.folder / "bounds.txt").write_text("pytz<2019\n", "utf-8")
    assert "error[lock.drift]" in shop.dativo("sync", "--frozen").expect(3).stderr
    shop.dativo("run", "orders-to-files").expect()
    lock = (shop.folder / "dativo.lock").read_text()
    assert dict(re.findall(r'^name = "(.*)"\nversion = "(.*)"$', lock, re.MULTILINE))["pytz"] < "2019"
    (shop.folder / "bounds.txt").write_text("simplejson<3\n", "utf-8")
    refused = shop.dativo("run", "orders-to-files").expect(2)
    assert "simplejson" in refused.stderr


def test_a_shell_pipe_goes_on_where_meltano_stopped(project, meltano):
    ours, theirs = project("shop", "ours", meltano), project("shop", "theirs", meltano)
    line = "dativo tap-orders | dativo target-jsonl"
    missing = ours.shell(line)
    assert missing.code == 2
    assert "tap-orders is in meltano.yml, but was never installed" in missing.stderr
    assert "install it: dativo sync" in missing.stderr
    ours.dativo("sync").expect()
    for world in (ours, theirs):
        world.real("run", "orders-to-files").expect()
        world.append("data/orders.jsonl", *MORE)
    first = ours.shell(line).expect()
    job = "dev:tap-orders-to-target-jsonl"
    assert f"{job}: took over the state that Meltano kept" in first.stderr
    assert f"job {job}" in first.stderr
    theirs.real("run", "orders-to-files").expect()
    assert ours.rows() == theirs.rows()
    assert ours.dativo("state", "get", job).expect().json == theirs.real_state(job)
    again = ours.shell(line).expect()
    assert "took over" not in again.stderr
    before = ours.rows()["output/dev/orders.jsonl"]
    ours.dativo("run", "orders-to-files").expect()
    assert ours.rows()["output/dev/orders.jsonl"] == before, "a pipe and a run have one bookmark"
    other = ours.shell(f"{line} --job mine").expect()
    assert "job mine" in other.stderr


@pytest.mark.parametrize(
    "word", ["@main", "#subdirectory=taps/orders", "@{commit}#subdirectory=taps/orders", " -named"]
)
def test_a_plugin_of_a_git_repository(word, project, tmp_path, meltano):
    inside = "taps/orders" if "subdirectory" in word else "."
    repository = tmp_path / "repository"
    shutil.copytree(HERE / "tap-orders", repository / inside)
    commands = (["init", "-b", "main"], ["add", "."], ["commit", "-m", "a tap"])
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for command in commands:
        subprocess.run(["git", *who, *command], cwd=repository, check=True, capture_output=True)
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    commit = told.stdout.strip()
    address = f"git+{repository.as_uri()}"
    named = word == " -named"
    pip_url = f"\"'tap-orders @ {address}'\"" if named else address + word.format(commit=commit)
    shop = project("shop", "shop", meltano)
    shutil.rmtree(shop.folder / "extract")
    shop.edit("pip_url: -e extract/tap-orders", f"pip_url: {pip_url}")
    shop.dativo("run", "orders-to-files").expect()
    ours = shop.rows()
    assert len(ours["output/dev/orders.jsonl"]) == 7
    assert f"@{commit}" in (shop.folder / "dativo.lock").read_text()
    if named:  # the real one once: each start of it takes a while
        for file in (shop.folder / "output/dev").iterdir():
            file.unlink()
        shop.real("run", "orders-to-files").expect()
        assert shop.rows() == ours


def test_a_lock_that_meltano_yml_no_longer_agrees_with_is_brought_up_to_date(project):
    shop = project("shop")
    shop.dativo("sync").expect()
    assert shop.dativo("sync", "--frozen").code == 0
    shop.edit("pip_url: target-jsonl==0.1.4", "pip_url: target-jsonl==0.1.3")
    refused = shop.dativo("sync", "--frozen")
    assert (refused.code, "lock.drift" in refused.stderr) == (3, True)
    shop.dativo("run", "orders-to-files").expect()
    versions = {row["name"]: row["version"] for row in shop.dativo("list", "--json").expect().json}
    assert versions["target-jsonl"] == "0.1.3"
