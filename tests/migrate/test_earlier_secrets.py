"""Where the earlier Dativo kept secrets, and what dativo.yml says of it: references, never a value."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.migrate.importing import entries, imported, project
from tests.servers import postgres
from tests.workspace import Workspace, building

JOB = """\
tenant_id: acme
source_connector_path: connectors/{recipe}.yaml
target_connector_path: connectors/s3.yaml
asset_path: assets/rows.yaml
source: {source}
target: {{connection: {{bucket: lake}}}}
"""
ASSET = "name: rows\nschema: [{name: id, type: integer, primaryKey: true}, {name: name, type: string}]\n"
RECIPE = "type: {type}\ndefault_engine: {engine}\ncredentials: {credentials}\n"
AIRBYTE = (
    "{type: airbyte, options: {airbyte: {docker_image: 'airbyte/source-%s:1.0', start_date_default: '2024-01-01'}}}"
)
SINGER = "{type: singer, options: {singer: {tap_name: %s}}}"
CHMOD = "read from the file when it runs, which must be its user's own: chmod 600 "


def folder(at: Path, recipe: tuple[str, str, str], source: str = "{}", **files: str) -> Path:
    """A folder with one job: `recipe` is a type, an engine and its credentials."""
    kind, engine, credentials = recipe
    texts = {
        "jobs/rows.yaml": JOB.format(recipe=kind, source=source),
        f"connectors/{kind}.yaml": RECIPE.format(type=kind, engine=engine, credentials=credentials),
        "connectors/s3.yaml": "type: s3\nroles: [target]\n",
        "assets/rows.yaml": ASSET,
        **files,
    }
    for name, text in texts.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(text)
    return at


def tap(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer["project"]["plugins"]["tap-rows"].get("config", {})
    return found


def told(answer: Any, fate: str) -> dict[str, str]:
    """What the report says of credentials."""
    return {what: why for _, what, why in entries(answer, fate) if what.startswith("credentials.")}


@pytest.mark.parametrize(
    ("recipe", "source", "config", "why"),
    [
        (("stripe", AIRBYTE % "stripe", "{type: api_key, from_env: STRIPE_API_KEY}"), "{objects: [customers]}",
         {"start_date": "2024-01-01", "api_key": "secret://env/STRIPE_API_KEY"},
         "secret://env/STRIPE_API_KEY: as the earlier engine gave it; if the plugin calls it otherwise, rename it"),
        (("github", SINGER % "tap-github", "{type: api_key, from_env: GH_TOKEN}"), "{connection: {repository: a/b}}",
         {"repository": "a/b", "access_token": "secret://env/GH_TOKEN"},
         "secret://env/GH_TOKEN: the one secret that the plugin asks for"),
        (("postgres", "native", "{type: database, from_env: POSTGRES_CONNECTION_STRING}"), "{tables: [{name: a.b}]}",
         {"url": "secret://env/POSTGRES_CONNECTION_STRING"},
         "secret://env/POSTGRES_CONNECTION_STRING: by the variable's name it is an address"),
        (("mysql", "native", "{from_env: MYSQL_PASSWORD}"), "{tables: [{name: a}], connection: {host: db, user: me}}",
         {"host": "db", "user": "me", "password": "secret://env/MYSQL_PASSWORD"},
         "secret://env/MYSQL_PASSWORD: the secret of a database"),
    ],
)  # fmt: skip
def test_a_variable(recipe: tuple[str, str, str], source: str, config: Any, why: str, tmp_path: Path) -> None:
    answer = imported(tmp_path, "earlier", folder(tmp_path / "old", recipe, source), "--dry-run")
    assert tap(answer) == config
    assert told(answer, "changed") == {"credentials.from_env": why}
    assert told(answer, "left") == {}


def test_a_variable_that_cannot_be_placed_is_named(tmp_path: Path) -> None:
    recipe = ("csv", "native", "{from_env: SOME_KEY, user: jane}")
    answer = imported(tmp_path, "earlier", folder(tmp_path / "old", recipe, "{files: [{path: a.csv}]}"), "--dry-run")
    assert told(answer, "left") == {
        "credentials.from_env": "its plugin has no secret setting: if another one needs it, write secret://env/SOME_KEY",
    }
    assert ("jobs/rows.yaml:5", "source.credentials.user", "its plugin has no such setting") in entries(answer, "left")


def test_the_keys_of_a_file(tmp_path: Path) -> None:
    """A file below the folder, the tenant put in: each of its keys is a reference, none of its values is read."""
    recipe = ("postgres", "native", "{type: basic, file_template: '/secrets/{tenant}/postgres.env'}")
    old = folder(
        tmp_path / "old", recipe, "{tables: [{name: shop.rows}], connection: {host: '${DB}'}}",
        **{"secrets/acme/postgres.env": "PGHOST=elsewhere\nPGPORT=5433\nPGUSER=etl\nPGPASSWORD='hunter2 x'\nOTHER=x\n"},
    )  # fmt: skip
    answer = imported(tmp_path, "earlier", old)
    place = "secret://file/old/secrets/acme/postgres.env"
    assert tap(answer) == {
        "host": "${DB}", "port": f"{place}#PGPORT", "user": f"{place}#PGUSER", "password": f"{place}#PGPASSWORD",
    }  # fmt: skip
    why = [why for _, what, why in entries(answer, "changed") if what == "credentials.file_template"]
    assert why[0] == f"{place}#PGPORT: {CHMOD}secrets/acme/postgres.env"
    assert len(why) == 3
    assert "hunter2" not in str(answer) + (tmp_path / "dativo.yml").read_text()
    assert not (tmp_path / ".env").exists()


def test_files_that_are_not_here(tmp_path: Path) -> None:
    """A path outside the folder is named and never opened; what the earlier engine looked for is asked of it."""
    outside = tmp_path / "postgres.env"
    outside.write_text("PGPASSWORD=hunter2\n")
    database = ("postgres", "native", f"{{file_template: {outside}}}")
    source = "{tables: [{name: a.b}], connection: {host: db}}"
    answer = imported(tmp_path, "earlier", folder(tmp_path / "a", database, source), "--dry-run", "--into", "elsewhere")
    assert tap(answer) == {
        "host": "db", "user": f"secret://file/{outside}#PGUSER", "password": f"secret://file/{outside}#PGPASSWORD",
    }  # fmt: skip
    sheets = ("google_sheets", AIRBYTE % "google-sheets",
              "{type: service_account, file_template: '/secrets/{tenant}/gsheets.json'}")  # fmt: skip
    answer = imported(tmp_path, "earlier", folder(tmp_path / "b", sheets), "--dry-run")
    assert tap(answer)["credentials"] == {
        "auth_type": "Service", "service_account_info": "secret://file//secrets/acme/gsheets.json",
    }  # fmt: skip
    singer = ("google_sheets", SINGER % "tap-google-sheets", "{file_template: '/secrets/{tenant}/x.json'}")
    answer = imported(tmp_path, "earlier", folder(tmp_path / "c", singer), "--dry-run")
    assert told(answer, "left") == {
        "credentials.file_template": "/secrets/acme/x.json is not here, so its keys are not known: write "
        "secret://file//secrets/acme/x.json#KEY where its plugin needs one"
    }


def test_hostile_credentials(tmp_path: Path) -> None:
    """Names that lead elsewhere, that no reference can hold, pipes, files that are no JSON."""
    os.mkfifo(tmp_path / "pipe.json")
    cases = {
        "{from_env: 'A B'}": {"credentials.from_env": "it is no name of a variable"},
        "{file_template: ../pipe.json}": {"credentials.file_template": "../pipe.json is not here, so its keys are not "
                                          "known: write secret://file/pipe.json#KEY where its plugin needs one"},
        "{file_template: broken.json}": {"credentials.file_template": "broken.json: it is not JSON (line 1)"},
        "{file_template: keys.json}": {"credentials.file_template": "a#%*: no reference can name it"},
    }  # fmt: skip
    for number, (credentials, left) in enumerate(cases.items()):
        recipe = ("thing", SINGER % "tap-thing", credentials)
        files = {"broken.json": "PASSWORD=hunter2", "keys.json": '{"a#%*": "hunter2"}'}
        old = folder(tmp_path / f"old{number}", recipe, **files)
        answer = imported(tmp_path, "earlier", old, "--dry-run")
        said = told(answer, "left")
        assert list(said) == list(left), credentials
        assert all(said[what].startswith(why) for what, why in left.items()), said
        assert "hunter2" not in str(answer)
    recipe = ("thing", SINGER % "tap-thing", "{file_template: '{tenant}.json'}")
    old = folder(tmp_path / "tenant", recipe)
    job = old / "jobs" / "rows.yaml"
    job.write_text(job.read_text().replace("tenant_id: acme", "tenant_id: ../x"))
    answer = imported(tmp_path, "earlier", old, "--dry-run")
    assert told(answer, "left") == {"credentials.file_template": "the tenant's name cannot be part of a path"}


@pytest.mark.parametrize(
    ("said", "becomes", "kept"),
    [
        ("postgresql://etl:hunter2@${HOST}:5432/shop", "postgresql://etl:${TAP_ROWS_URL}@${HOST}:5432/shop",
         {"TAP_ROWS_URL": "hunter2"}),
        ("postgresql://etl:hun$$ter${REST}@db/${NAME:-shop}", "postgresql://etl:${TAP_ROWS_URL}${REST}@db/${NAME:-shop}",
         {"TAP_ROWS_URL": "hun$$ter"}),
        ("postgresql://etl:${PW:-hunter2}@db/shop", "postgresql://etl:${PW}@db/shop", {"PW": "hunter2"}),
        ("postgresql://${HOST}/shop?user=etl&password=hunter2&x=1",
         "postgresql://${HOST}/shop?user=etl&password=${TAP_ROWS_URL}&x=1", {"TAP_ROWS_URL": "hunter2"}),
        ("${URL:-postgresql://etl:hunter2@db/shop}", "secret://env/URL", {"URL": "postgresql://etl:hunter2@db/shop"}),
        ("postgresql://etl:${PW}@${HOST}/shop", "postgresql://etl:${PW}@${HOST}/shop", {}),
        ("postgresql://db/shop?password=hunter2", "secret://env/TAP_ROWS_URL",
         {"TAP_ROWS_URL": "postgresql://db/shop?password=hunter2"}),
    ],
)  # fmt: skip
def test_an_address_of_variables_and_a_clear_password(said: str, becomes: str, kept: Any, tmp_path: Path) -> None:
    recipe = ("postgres", "native", "{}")
    old = folder(tmp_path / "old", recipe, f"{{dsn: '{said}', tables: [{{name: a.b}}]}}")
    answer = imported(tmp_path, "earlier", old)
    text = (tmp_path / "dativo.yml").read_text()
    assert "hunter2" not in text + str(answer)
    assert project(tmp_path)["plugins"]["tap-rows"]["config"]["url"] == becomes
    env = tmp_path / ".env"
    lines = dict(line.split("=", 1) for line in env.read_text().splitlines()) if env.exists() else {}
    assert lines == {name: f'"{value}"' for name, value in kept.items()}
    entry = next(one for one in answer["report"]["entries"] if one["what"] == "source.url")
    assert entry["fate"] == ("changed" if kept else "taken")


def test_other_words_with_variables(tmp_path: Path) -> None:
    recipe = ("thing", SINGER % "tap-thing", "{}")
    source = (
        "{connection: {api_token: 'Bearer ${T}', password: 'a-${B}-c', dsn: 'host=${H} password=hunter2', x: '${Y}z'}}"
    )
    answer = imported(tmp_path, "earlier", folder(tmp_path / "old", recipe, source))
    assert tap(answer) == {
        "api_token": "Bearer ${T}", "password": "${TAP_ROWS_PASSWORD}${B}${TAP_ROWS_PASSWORD_2}",
        "dsn": "${TAP_ROWS_DSN}${H}${TAP_ROWS_DSN_2}", "x": "${Y}z",
    }  # fmt: skip
    assert "hunter2" not in (tmp_path / "dativo.yml").read_text() + str(answer)
    shown = [why for _, what, why in entries(answer, "changed") if what == "source.password"]
    assert shown == ["a secret: its value is in .env as TAP_ROWS_PASSWORD, TAP_ROWS_PASSWORD_2"]


@pytest.mark.servers
@pytest.mark.plugins
@pytest.mark.timeout(900)
def test_a_database_runs_with_the_file_that_its_recipe_names(tmp_path: Path) -> None:
    """The password stands in the tenant's file, and nowhere else; the job that was imported reads the table."""
    with postgres.cluster() as server:
        server.sql(
            "create schema early; create table early.rows (id int primary key, name text);"
            "insert into early.rows select n, 'name ' || n from generate_series(1, 30) as n"
        )
        recipe = ("postgres", "native", "{type: basic, file_template: '/secrets/{tenant}/postgres.env'}")
        source = f"{{tables: [{{name: early.rows}}], connection: {{host: {server.host}, port: {server.port}}}}}"
        keys = f"PGDATABASE={server.database}\nPGUSER={server.user}\nPGPASSWORD='{server.password}'\n"
        old = folder(tmp_path / "old", recipe, source, **{"secrets/acme/postgres.env": keys})
        made = Workspace(tmp_path / "new", tmp_path / "home")
        (made.folder / "dativo.yml").unlink()
        made.dativo("import", "earlier", old).expect()
        assert server.password not in (made.folder / "dativo.yml").read_text()
        (made.folder / "out").mkdir()
        data = project(made.folder)
        data["plugins"]["target-rows"] = {"source": "dativo-target-jsonl", "config": {"path": "out"}}
        (made.folder / "dativo.yml").write_text(json.dumps(data))
        with building(made.home):
            made.dativo("sync").expect()
        refused = made.dativo("run", "rows").expect(2, 3)
        assert "chmod 600" in refused.stderr
        (old / "secrets/acme/postgres.env").chmod(0o600)
        assert made.dativo("run", "rows", "--json").expect().json["records"] == 30
