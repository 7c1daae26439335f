"""What only one kind of store can get wrong: damage, strangers, lost answers, a server that goes away."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.run.places import Own
from dativo.secrets.redact import Redactor
from dativo.state import documents, files, location
from dativo.state.location import Location
from dativo.state.store import Store
from tests.servers import objects, postgres
from tests.state import stores
from tests.state.stores import PRELUDE


def fault(work, kind=errors.EnvironmentFault):
    with pytest.raises(kind) as caught:
        work()
    return caught.value


# -- files


@pytest.fixture
def folder(tmp_path):
    return stores.file(tmp_path)


def test_files_are_private_and_readable_by_people(folder, tmp_path):
    with Store.open(folder.where) as store:
        store.set("j", '{"n": 1}')
        text = (tmp_path / "state" / "j.json").read_text()
        assert json.loads(text)["bookmark"]["text"] == '{"n": 1}'
        assert len(text.splitlines()) > 20  # one key a line: a diff shows what changed
    modes = {one.name: one.stat().st_mode & 0o777 for one in (tmp_path / "state").iterdir()}
    assert modes == {"j.json": 0o600, ".lock": 0o600}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "damaged"),
        ("[]", "another program's"),
        ('{"name": "j"}', "another program's"),
        ('{"dativo": "job state", "format": 99}', "newer Dativo"),
        ('{"dativo": "job state", "format": 1, "job": "j"}', "damaged"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_untouched(folder, tmp_path, content, says):
    place = tmp_path / "state" / "j.json"
    place.parent.mkdir()
    place.write_text(content)
    with Store.open(folder.where) as store:
        for work in (lambda: store.bookmark("j"), lambda: store.acquire("j"), lambda: store.set("j", "{}"), store.jobs):
            assert says in fault(work).message
        assert len(store.check()) == 1
        store.set("k", '{"n": 1}')  # the others still work
    assert place.read_text() == content


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "state").write_text("x")
    said = fault(lambda: Store.open(Location.of_url("file:state", tmp_path)))
    assert "is a file" in said.message and "sqlite:///" in said.remedy


def test_a_lock_that_another_process_keeps_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.1)
    with Store.open(folder.where) as store:
        lock = tmp_path / "state" / ".lock"
        held = subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        held.stdin.write(b"x")
        held.stdin.flush()
        held.stdout.read(1)
        assert "locked by another process" in fault(lambda: store.set("j", "{}")).message
        held.communicate()
        store.set("j", "{}")


def test_each_write_is_on_disk_before_it_returns(folder, tmp_path):
    """I2, seen from outside: the new content is synced, then renamed, then the folder is synced."""
    script = (
        PRELUDE
        + """
with Store.open(where) as store:
    lease = store.acquire("j")
    os.path.exists("/commit-begins")
    store.commit(lease, '{"n": 1}')
    os.path.exists("/commit-ends")
"""
    )
    trace = tmp_path / "trace"
    calls = "trace=fsync,rename,write,stat,newfstatat"
    command = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", script]
    subprocess.run([*command, json.dumps([folder.url, {}])], check=True, capture_output=True)
    text = trace.read_text(errors="replace")
    inside = text[text.index("/commit-begins") : text.index("/commit-ends")]
    order = re.findall(r"(write|fsync)\(\d+<[^>]*/(state/[^>]*new|state)>|(rename)\(", inside)
    new = next(one[1] for one in order if one[0] == "write")
    assert ["".join(one) for one in order] == [f"write{new}", f"fsync{new}", "rename", "fsyncstate"]


# -- objects


def test_an_answer_that_was_lost_is_not_taken_for_a_stranger(tmp_path):
    """The service stored the object and the answer never came: the retry meets its own work."""
    with objects.service() as service, Store.open(stores.bucket(service.url).where) as store:
        lease = store.acquire("j")
        store.start_run(lease)
        for number in range(3):
            service.lose_answers = 1
            store.commit(lease, f'{{"n": {number}}}')
            assert store.bookmark("j").text == f'{{"n": {number}}}'
        service.lose_answers = 1
        store.release(lease)
        service.lose_answers = 1
        assert store.acquire("j").token == 2
        assert service.refused >= 3


def test_writers_that_are_always_first_are_named(monkeypatch):
    monkeypatch.setattr(documents, "PATIENCE", 0.2)
    with objects.service() as service, Store.open(stores.bucket(service.url).where) as store:
        lease = store.acquire("j")
        real = store._get

        def meanwhile(name):
            found = real(name)
            if found is not None:
                store._put(name, found[0] + b" ")
            return found

        monkeypatch.setattr(store, "_get", meanwhile)
        store._known.clear()
        error = fault(lambda: store.renew(lease), errors.BusyError)
        assert (error.code, error.exit_code) == ("state.conflict", 5)


def test_a_service_that_is_not_there_is_named_without_its_keys(tmp_path):
    at = Location.of_url(
        "s3://lake/x",
        tmp_path,
        {"endpoint": "http://127.0.0.1:9", "region": "r", "access_key_id": "a", "secret_access_key": "hunter2hunter2"},
    )
    from dativo.state import objects as ours

    ours_retries = ours.RETRIES
    ours.RETRIES = {"max_retries": 0}
    try:
        error = fault(lambda: Store.open(at))
    finally:
        ours.RETRIES = ours_retries
    assert error.code == "state.store" and "s3://lake/x" in error.message
    assert "hunter2" not in str(error.as_dict())
    assert "hunter2" not in repr(at)


def test_an_option_that_there_is_not_is_refused(tmp_path):
    error = fault(lambda: Store.open(Location.of_url("s3://lake/x", tmp_path, {"bukket": "x"})), errors.ConfigError)
    assert "bukket" in error.message


@pytest.mark.parametrize("package", ["psycopg", "obstore"])
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    url = {"psycopg": "postgresql://localhost/x", "obstore": "s3://lake/x"}[package]
    error = fault(lambda: Store.open(Location.of_url(url, tmp_path)))
    assert package in error.message and "pip install 'dativo[" in error.remedy


@pytest.mark.parametrize("package", ["psycopg", "obstore", "boto3"])
def test_the_default_store_imports_no_other(package):
    script = (
        "import sys; from pathlib import Path; from dativo.run import hold; from dativo.state.store import Store; "
        f"Store.open_to_read(Path('/nonexistent/state.db')).close(); print({package!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- PostgreSQL


@pytest.fixture(scope="module")
def server():
    with postgres.cluster() as found:
        yield found


@pytest.fixture
def database(server):
    name = server.create_database(f"kinds_{time.monotonic_ns()}")
    url = f"postgresql://{server.user}@{server.host}:{server.port}/{name}"
    return name, Location.of_url(url, None, {"password": server.password})


def test_another_programs_schema_is_refused_untouched(server, database):
    name, at = database
    server.sql("CREATE SCHEMA dativo; CREATE TABLE dativo.jobs (x int)", database=name)
    for opener in (Store.open, Store.open_to_read):
        assert "another program's tables" in fault(lambda opener=opener: opener(at)).message
    assert server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'dativo'", database=name).strip() == "1"


def test_a_newer_dativos_schema_is_refused(server, database):
    name, at = database
    Store.open(at).close()
    server.sql("UPDATE dativo.about SET migrations = 99", database=name)
    assert "newer Dativo" in fault(lambda: Store.open(at)).message


def test_the_history_cannot_be_changed(server, database):
    """I4, tried with plain SQL."""
    name, at = database
    with Store.open(at) as store:
        store.set("j", '{"n": 1}')
    for statement in (
        "UPDATE dativo.history SET value = '{}'",
        "DELETE FROM dativo.history",
        "TRUNCATE dativo.history",
    ):
        with pytest.raises(RuntimeError, match="append-only"):
            server.sql(statement, database=name)


def test_a_connection_that_breaks_loses_no_commit(server, database):
    name, at = database
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with Store.open(at) as store:
        lease = store.acquire("j")
        store.start_run(lease)
        for number in range(3):
            server.sql(kill)
            store.commit(lease, f'{{"n": {number}}}')
            server.sql(kill)
            store.renew(lease)
            server.sql(kill)
            assert store.bookmark("j").text == f'{{"n": {number}}}'


def test_commits_are_durable_whatever_the_server_says(server, database):
    """I2: this server's default for synchronous_commit is off."""
    _, at = database
    with Store.open(at) as store, store._writing() as db:
        assert db.execute("SELECT current_setting('synchronous_commit')").fetchone()[0] == "on"


def test_who_may_not_make_tables_is_told_what_to_grant(server, database):
    name, at = database
    server.sql(f"DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'x'; REVOKE ALL ON DATABASE {name} "
               "FROM PUBLIC; " f"GRANT CONNECT ON DATABASE {name} TO reader")  # fmt: skip
    poor = Location.of_url(at.url.replace(f"{server.user}@", "reader@"), None, {"password": "x"})
    error = fault(lambda: Store.open(poor))
    assert (error.code, "grant USAGE" in error.remedy) == ("env.permission", True)


def test_many_processes_may_make_the_tables_at_once(database):
    _, at = database
    place = stores.Place("postgresql", at.url, at.options)
    script = 'sys.stdin.readline()\nwith Store.open(where) as store:\n    store.set(f"j{os.getpid()}", "{}")\n'
    makers = [place.start(script) for _ in range(4)]
    for one in makers:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in makers:
        one.communicate()
    assert [one.returncode for one in makers] == [0] * 4
    with Store.open(at) as store:
        assert len(store.jobs()) == 4


# -- where it is


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pass-word@db:5432/x?sslmode=require", "postgresql://me@db:5432/x"),
        ("s3://lake/x?secret=1", "s3://lake/x"),
        ("az://box/p", "az://box/p"),
    ],
)
def test_a_place_is_shown_without_what_opens_it(tmp_path, url, shown, monkeypatch):
    found = Location.of_url(url, tmp_path)
    assert found.shown == shown
    redactor = Redactor()
    monkeypatch.setattr("dativo.secrets.redact.REDACTOR", redactor)
    location._hide(found)
    assert ("pass-word" in redactor.text("said pass-word")) == ("pass-word" not in url)


def test_relative_places_start_at_the_project(tmp_path):
    for url, path in (
        ("file:a/b", tmp_path / "a" / "b"),
        ("file:///a/b", "/a/b"),
        ("sqlite:///a.db", tmp_path / "a.db"),
        ("sqlite:////a.db", "/a.db"),
    ):
        assert os.fspath(Location.of_url(url, tmp_path).path) == os.fspath(path)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("path: other.db", "other.db-wal"),
        ("url: sqlite:///kept/x.db", "kept/x.db"),
        ("url: file:bookmarks", "bookmarks/j.json"),
        ("url: secret://env/NOT_READ_HERE", ".dativo/state.db"),
    ],
)
def test_no_plugin_has_business_with_the_store(tmp_path, state, kept):
    """I6"""
    (tmp_path / "dativo.yml").write_text(f"state:\n  {state}\n")
    assert Own.of(Project.find(tmp_path)).keeps(str(tmp_path / kept)) is not None
