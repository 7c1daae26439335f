"""Runs whose bookmarks are in each kind of store, chosen by `state.url`; what opens it is shown nowhere (I13)."""

from __future__ import annotations

import json
import os

import pytest

from tests.fixtures.faulty import errors_in
from tests.servers import objects, postgres

SECRET = "correct-horse-battery"


def choose(faulty, **state):
    """Add the `state` section (JSON is YAML)."""
    file = faulty.folder / "dativo.yml"
    file.write_text(f"{file.read_text()}\nstate: {json.dumps(state)}\n")


def check(faulty):
    """Two runs and what follows from them."""
    faulty.run(rows=20).expect()
    assert faulty.position() == 19
    faulty.run(rows=30).expect()
    assert faulty.rows() == list(range(30))
    assert not (faulty.folder / ".dativo" / "state.db").exists()
    assert [one["number"] for one in faulty.history()] == [2, 1]
    checks = faulty.dativo("doctor", "--json").json
    found = next(one for one in checks["checks"] if one["name"] == "state store")
    assert found["ok"], found
    return found


def test_a_folder_of_files(faulty):
    choose(faulty, url="file:bookmarks")
    check(faulty)
    kept = json.loads((faulty.folder / "bookmarks" / f"{faulty.job}.json").read_text())
    assert (kept["holder"], json.loads(kept["bookmark"]["text"])) == (None, {"bookmarks": {"t": {"id": 29}}})


def test_a_sqlite_file_elsewhere(faulty):
    choose(faulty, url="sqlite:///kept/state.db")
    check(faulty)
    assert (faulty.folder / "kept" / "state.db").exists()


@pytest.mark.servers
def test_postgresql_with_its_password_from_a_secret(faulty):
    with postgres.cluster() as server:
        (faulty.folder / ".env").write_text(f"STORE_PASSWORD={server.password}\n")
        url = f"postgresql://{server.user}@{server.host}:{server.port}/{server.database}"
        choose(faulty, url=url, options={"password": "secret://env/STORE_PASSWORD"})
        found = check(faulty)
        assert url in found["detail"]
        assert server.sql("SELECT count(*) FROM dativo.runs").strip() == "2"
    gone = faulty.run(rows=40).expect(3)
    assert errors_in(gone) == ["state.store"]
    assert server.password not in gone.stderr + json.dumps(found)
    assert "state.url" in gone.stderr


def test_a_bucket_with_its_keys_from_secrets(faulty):
    with objects.service() as service:
        (faulty.folder / ".env").write_text(f"STORE_KEY={SECRET}\n")
        options = {"endpoint": service.url, "region": "us-east-1", "access_key_id": "me"}
        choose(faulty, url="s3://lake/bookmarks", options={**options, "secret_access_key": "secret://env/STORE_KEY"})
        check(faulty)
        assert f"/lake/bookmarks/{faulty.job}.json" in service.objects


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [
        ({"url": "mysql://x/y"}, "config.invalid", "postgresql://USER@HOST/DATABASE"),
        ({"url": "file://etl-2/x"}, "config.invalid", "with three slashes"),
        ({"url": "s3:///x"}, "config.invalid", "names no bucket"),
        ({"url": "file:x", "path": "y"}, "project.invalid", "state.path and state.url are two places"),
        ({"options": {"a": "b"}}, "project.invalid", "give state.url"),
        ({"url": "file:x", "options": {"a": "b"}}, "config.invalid", "state.options"),
        ({"url": "secret://env/NOT_THERE"}, "secret.unknown", "NOT_THERE"),
        ({"uri": "x"}, "project.invalid", "did you mean `url`"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_what_names_no_store_is_refused(faulty, state, code, says):
    choose(faulty, **state)
    said = faulty.run(rows=1).expect(2)
    assert errors_in(said) == [code]
    assert says in said.stderr


def test_a_store_that_is_not_ours_is_left_as_it_is(faulty):
    (faulty.folder / "bookmarks").mkdir()
    theirs = faulty.folder / "bookmarks" / f"{faulty.job}.json"
    theirs.write_text('{"theirs": true}')
    choose(faulty, url="file:bookmarks")
    said = faulty.run(rows=1).expect(3)
    assert errors_in(said) == ["state.store"]
    assert "another program's" in said.stderr
    assert theirs.read_text() == '{"theirs": true}'
    assert os.listdir(faulty.folder / "bookmarks") != []
