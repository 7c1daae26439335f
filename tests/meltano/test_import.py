"""`dativo import meltano`: the imported job gives what the project gave, and the report names each key."""

from __future__ import annotations

import json
import re

import pytest

from dativo.config.document import load
from dativo.secrets import dotenv
from tests.meltano.test_projects import MORE

plugins = pytest.mark.plugins


def report(answer):
    """(fate, what) -> the entry."""
    return {(one["fate"], one["what"]): one for one in answer.json["report"]["entries"]}


def entries_of(world, data, at=()):
    """The keys of meltano.yml that a report must name: top ones, plugins', environments', jobs', schedules'."""
    for key in data:
        if key not in ("plugins", "environments", "jobs", "schedules", "env"):
            yield key
    for kind, entries in (data.get("plugins") or {}).items():
        for entry in entries:
            if kind in ("extractors", "loaders", "mappers"):
                yield from (f"{kind}.{entry['name']}.{key}" for key in entry if key != "annotations")
            else:
                yield f"{kind}.{entry['name']}"
    for entry in data.get("environments") or []:
        yield from (f"environments.{entry['name']}.{key}" for key in entry if key != "config")
    yield from (f"jobs.{entry['name']}" for entry in data.get("jobs") or [])
    yield from (f"schedules.{entry['name']}" for entry in data.get("schedules") or [])


@pytest.mark.parametrize("name", ["shop", "fleet", "masked", "precedence"])
def test_each_key_is_in_the_report(name, project):
    world = project(name)
    said = {what for _, what in report(world.dativo("import", "meltano", "--dry-run", "--json").expect())}
    files = [world.folder / "meltano.yml", *world.folder.glob("config/*.yml"), *world.folder.glob("extract/*.yml")]
    wanted = [what for file in files for what in entries_of(world, load(file).data)]
    assert wanted
    assert not [what for what in wanted if what not in said and not any(one.startswith(what) for one in said)]
    assert not (world.folder / "dativo.yml").exists()


@plugins
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("name", "run", "imported", "env"),
    [
        ("shop", "orders-to-files", ["orders-to-files"], "dev"),
        ("fleet", "everything", ["everything-1", "everything-2"], "test"),
        ("masked", "masked", ["masked"], "prod"),
    ],
)
def test_an_imported_job_gives_what_the_project_gave(name, run, imported, env, project, meltano):
    before, after = project(name, "before", meltano), project(name, "after", meltano)
    for world in (before, after):
        world.real("run", run).expect()
    after.dativo("import", "meltano").expect()
    after.dativo("sync").expect()
    for job in imported:  # the states came along: nothing is read twice
        assert after.dativo("state", "get", job, "--env", env).expect().json
    for world in (before, after):
        world.append("data/orders.jsonl", *MORE)
    before.real("run", run).expect()
    for job in imported:
        after.dativo("run", job, "--env", env).expect()
    assert after.rows() == before.rows()
    theirs = [before.real_state(one) for one in states(before)]
    kept = [after.dativo("state", "get", job, "--env", env).expect().json for job in imported]
    assert sorted(map(json.dumps, kept)) == sorted(map(json.dumps, theirs))


def states(world):
    return world.real("state", "list").expect().stdout.split()


def test_a_secret_in_clear_goes_to_dotenv_and_nowhere_else(project):
    shop = project("shop")
    shop.edit(
        "        path: $MELTANO_PROJECT_ROOT/data\n",
        "        path: $MELTANO_PROJECT_ROOT/data\n        token: hunter2!\n",
    )
    (shop.folder / ".env").unlink()
    answer = shop.dativo("import", "meltano", "-v").expect()
    assert "hunter2" not in answer.stdout + answer.stderr
    assert "hunter2" not in (shop.folder / "dativo.yml").read_text()
    assert (shop.folder / ".env").read_text() == 'TAP_ORDERS_TOKEN="hunter2!"\n'
    assert (shop.folder / ".env").stat().st_mode & 0o777 == 0o600
    assert load(shop.folder / "dativo.yml").data["plugins"]["tap-orders"]["config"]["token"] == "${TAP_ORDERS_TOKEN}"
    again = shop.dativo("import", "meltano")
    assert (again.code, "error[import.taken]" in again.stderr) == (2, True)


HIDDEN = """\
env: {REGION: $AWS_REGION, ROOT_TOKEN: hunter-root, SHARED_KEY_PASSWORD: hunter-shared}
environments:
  - name: dev
    env: {STAGE: $REGION-dev, HERE: $FROM_DOTENV}
  - name: prod
    config:
      plugins:
        extractors:
          - {name: tap-shop, config: {password: hunter-prod, start_date: yesterday}}
plugins:
  extractors:
    - name: tap-shop
      namespace: tap_shop
      pip_url: tap-shop
      settings:
        - {name: password, kind: password}
        - {name: start_date, kind: date_iso8601}
        - {name: since, kind: date_iso8601}
      config:
        password: hunter-base
        start_date: "2026-01-01"
        since: 3 days ago
        url: postgresql://etl:hunter-url@$DB_HOST:5432/shop
        api_token: hunter-undeclared
        auth: {client_secret: hunter-nested, user: me}
        dotted.api_key: hunter-dotted
        shared_secret: $SHARED_KEY_PASSWORD
        signature: "!!!"
        hosts: [a, "https://u:hunter-list@b/"]
      env: {AWS_SECRET_ACCESS_KEY: hunter-plugin, LOST: $AWS_REGION}
  loaders:
    - {name: target-jsonl, namespace: target_jsonl, pip_url: target-jsonl}
"""


def test_no_secret_stays_in_clear_wherever_it_stood(folder):
    world = folder(HIDDEN)
    (world.folder / ".env").write_text("FROM_DOTENV=hunter-dotenv\n")
    answer = world.dativo("import", "meltano", "--json").expect()
    assert "hunter" not in answer.stdout + answer.stderr + (world.folder / "dativo.yml").read_text()
    data = load(world.folder / "dativo.yml").data
    assert data["plugins"]["tap-shop"]["config"] == {
        "password": "${TAP_SHOP_PASSWORD}", "start_date": "2026-01-01",
        "url": "postgresql://etl:${TAP_SHOP_URL}@${DB_HOST}:5432/shop", "api_token": "${TAP_SHOP_API_TOKEN}",
        "auth": {"client_secret": "${TAP_SHOP_AUTH_CLIENT_SECRET}", "user": "me"},
        "dotted": {"api_key": "${TAP_SHOP_DOTTED_API_KEY}"}, "shared_secret": "${TAP_SHOP_SHARED_SECRET}",
        "signature": "${TAP_SHOP_SIGNATURE}", "hosts": ["a", "https://u:${TAP_SHOP_HOSTS}@b/"],
    }  # fmt: skip
    assert data["plugins"]["tap-shop"]["env"] == {
        "REGION": "${AWS_REGION}", "ROOT_TOKEN": "${ENV_ROOT_TOKEN}",
        "SHARED_KEY_PASSWORD": "${ENV_SHARED_KEY_PASSWORD}",
        "AWS_SECRET_ACCESS_KEY": "${ENV_AWS_SECRET_ACCESS_KEY}", "LOST": "",
    }  # fmt: skip
    dev, prod = data["environments"]["dev"]["plugins"], data["environments"]["prod"]["plugins"]
    assert dev["tap-shop"]["env"] == {"STAGE": "${AWS_REGION}-dev", "HERE": "${FROM_DOTENV}"}
    assert prod["tap-shop"]["config"] == {"password": "${TAP_SHOP_PASSWORD_PROD}"}
    kept = dotenv.parse((world.folder / ".env").read_text())
    assert kept["TAP_SHOP_PASSWORD"] == "hunter-base"
    assert kept["TAP_SHOP_PASSWORD_PROD"] == "hunter-prod"
    assert kept["TAP_SHOP_SHARED_SECRET"] == "hunter-shared"
    left = [(one["what"], one["why"]) for one in answer.json["report"]["entries"] if one["fate"] == "left"]
    why = "a date in words moves with the day, which only Meltano's settings do: write a date, or ${VARIABLE}"
    assert left == [("tap-shop.since", why), ("environments.prod: tap-shop.start_date", why)]


def test_into_another_folder(project, tmp_path):
    shop = project("shop")
    (tmp_path / "new").mkdir()
    answer = shop.dativo("import", "meltano", ".", "--into", tmp_path / "new", "--json").expect()
    assert answer.json["files"] == ["dativo.yml", ".env"]
    data = load(tmp_path / "new" / "dativo.yml").data
    assert data["plugins"]["tap-orders"]["source"] == "../shop/extract/tap-orders"
    assert (tmp_path / "new" / ".env").read_text() == 'TAP_ORDERS_TOKEN="open sesame"\n'
    assert not (shop.folder / "dativo.yml").exists()


def test_what_has_no_counterpart_is_listed_exactly(folder):
    world = folder(
        """\
version: 1
venv: {backend: uv}
typo_here: 1
plugins:
  extractors:
    - name: tap-a
      namespace: tap_a
      pip_url: tap-a==1.0 --index-url http://127.0.0.1/simple
      commands: {test: {args: --test}}
      use_cached_catalog: false
      selekt: [a]
      annotations: {other: {x: 1}}
  loaders:
    - {name: target-b, namespace: target_b, pip_url: target-b}
  utilities:
    - {name: dbt, namespace: dbt, pip_url: dbt-core}
  orchestrators:
    - {name: airflow, namespace: airflow, pip_url: apache-airflow}
jobs:
  - {name: both, tasks: ["tap-a target-b dbt:run", "tap-a target-b"]}
  - {name: only-dbt, tasks: [dbt:run]}
schedules:
  - {name: once, interval: "@once", job: both}
  - {name: weird, interval: "@fortnightly", job: both}
  - {name: transforming, interval: "@daily", extractor: tap-a, loader: target-b, transform: run}
"""
    )
    answer = world.dativo("import", "meltano", "--dry-run", "--json").expect()
    left = {one["what"]: one for one in answer.json["report"]["entries"] if one["fate"] == "left"}
    assert list(left) == [
        "version", "venv", "typo_here", "extractors.tap-a.commands", "extractors.tap-a.use_cached_catalog",
        "extractors.tap-a.selekt", "extractors.tap-a.annotations.other", "utilities.dbt", "orchestrators.airflow",
        "tap-a.pip_url", "jobs.both: dbt:run", "jobs.only-dbt: dbt:run", "jobs.only-dbt", "schedules.once.interval",
        "schedules.weird", "schedules.transforming",
    ]  # fmt: skip
    assert left["typo_here"]["where"] == "meltano.yml:3"
    assert left["extractors.tap-a.selekt"]["where"] == "meltano.yml:11"
    assert "--index-url" in left["tap-a.pip_url"]["why"]
    assert answer.json["report"]["left"] == len(left)
    assert answer.json["project"]["jobs"] == {
        "both-1": {"steps": ["tap-a", "target-b"]},
        "both-2": {"steps": ["tap-a", "target-b"]},
    }
    text = world.dativo("import", "meltano", "--dry-run").expect().stdout
    assert re.search(r"^  without counterpart: 16$", text, re.MULTILINE)
    assert json.dumps(answer.json["project"])  # plain data
