import os
import sqlite3

import pytest

from dativo import errors
from dativo.state import schema
from dativo.state.store import Store

NOBODY = 65534


def as_nobody(action):
    """Run in a child without root's power over file modes; returns its error as `code: message`."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "nothing"
        try:
            if os.getuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            action()
        except errors.DativoError as error:
            said = f"{error.code}: {error.message}"
        except BaseException as problem:
            said = repr(problem)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(pid, 0)
    return text


@pytest.fixture
def open_folder(tmp_path):
    """A folder that another user can reach."""
    folder = tmp_path
    while folder != folder.parent and folder.name:
        if folder.stat().st_uid == os.getuid() and folder.as_posix() != "/tmp":
            folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    return tmp_path


def fault(action, code):
    with pytest.raises(errors.EnvironmentFault) as caught:
        action()
    assert (caught.value.code, caught.value.exit_code) == (code, 3)
    return caught.value


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be one" * 100, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "state.db"
    path.write_bytes(content)
    error = fault(lambda: Store.open(path), "state.store")
    assert str(path) in error.message
    assert "restore" in error.remedy
    assert path.read_bytes() == content


def test_a_page_that_went_bad_is_found_when_it_is_read(tmp_path):
    path = tmp_path / "state.db"
    with Store.open(path) as store:
        for number in range(200):
            store.set(f"job-{number}", '{"x": "' + "y" * 500 + '"}')
    raw = bytearray(path.read_bytes())
    for page in range(2, len(raw) // 4096):
        raw[page * 4096 : page * 4096 + 64] = b"\xee" * 64
    path.write_bytes(raw)
    with Store.open(path) as store:
        error = fault(store.jobs, "state.store")
        assert "damaged" in error.message


def test_another_programs_file_is_refused_untouched(tmp_path):
    path = tmp_path / "state.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE invoices (id)")
    raw.commit()
    raw.close()
    before = path.read_bytes()
    for opener in (Store.open, Store.open_to_read):
        assert "another program's" in fault(lambda opener=opener: opener(path), "state.store").message
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["state.db"]


def test_a_newer_dativos_file_is_refused(tmp_path):
    path = tmp_path / "state.db"
    Store.open(path).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    raw.close()
    assert "newer Dativo" in fault(lambda: Store.open(path), "state.store").message


def test_migrations_are_applied_in_order_and_all_or_nothing(tmp_path):
    path = tmp_path / "state.db"
    with Store.open(path) as store:
        store.set("j", '{"n": 1}')
    raw = sqlite3.connect(path, isolation_level=None)
    broken = (*schema.MIGRATIONS, ("CREATE TABLE extra (x)", "CREATE TABLE jobs (x)"))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(raw, broken)
    assert schema.version(raw) == len(schema.MIGRATIONS)
    assert raw.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").fetchone() == (0,)
    schema.migrate(raw, (*schema.MIGRATIONS, ("CREATE TABLE extra (x)",)))
    assert schema.version(raw) == len(schema.MIGRATIONS) + 1
    assert raw.execute("SELECT value FROM bookmarks").fetchone() == ('{"n": 1}',)
    raw.close()


def test_a_full_disk_keeps_the_old_bookmark(tmp_path):
    with Store.open(tmp_path / "state.db") as store:
        lease = store.acquire("j")
        store.commit(lease, '{"n": 1}')
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        error = fault(lambda: store.commit(lease, '{"n": "' + "x" * 100_000 + '"}'), "env.disk_full")
        assert "state.db" in error.message
        assert store.bookmark("j").text == '{"n": 1}'
        store.commit(lease, '{"n": 2}')  # the store still works


def test_a_read_only_file_says_so(open_folder):
    path = open_folder / "state.db"
    with Store.open(path) as store:
        store.set("j", '{"n": 1}')
    path.chmod(0o444)
    open_folder.chmod(0o555)
    said = as_nobody(lambda: Store.open(path).set("j", "{}"))
    assert said.startswith("env.read_only: ") and str(path) in said
    said = as_nobody(lambda: print(Store.open_to_read(path).bookmark("j").value["n"]))
    assert said == "nothing"  # reading works
    open_folder.chmod(0o755)


def test_a_read_only_folder_says_so(open_folder):
    folder = open_folder / "project"
    folder.mkdir(mode=0o555)
    for path in (folder / "state.db", folder / ".dativo" / "state.db"):
        assert as_nobody(lambda path=path: Store.open(path)).startswith(f"env.read_only: the state store {path}")


def test_a_path_that_is_no_file_says_so(tmp_path):
    (tmp_path / "state.db").mkdir()
    assert "state.db" in fault(lambda: Store.open(tmp_path / "state.db"), "state.store").message
    (tmp_path / "file").touch()
    assert "file" in fault(lambda: Store.open(tmp_path / "file" / "state.db"), "state.store").message


def test_a_store_that_another_program_locks_says_so(tmp_path, monkeypatch):
    path = tmp_path / "state.db"
    Store.open(path).close()
    monkeypatch.setattr("dativo.state.sqlite.BUSY_TIMEOUT", 0.1)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with Store.open(path) as store:
        assert "locked" in fault(lambda: store.set("j", "{}"), "state.store").message
    raw.execute("ROLLBACK")
    raw.close()
