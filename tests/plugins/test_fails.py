"""An install that fails, or is killed, says why in a line and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from tests.plugins import tiny
from tests.plugins.shelf import Shelf, plugin
from tests.plugins.test_builds import nothing_is_left
from tests.workspace import PROGRAMS, Workspace

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OLD = {
    "tap-mapping": "from collections import Mapping",
    "tap-unasked": "import a_module_of_nobody",
    "tap-listening": "import socket; socket.socket()",
    "tap-odd": "raise SystemError('an odd Python')",
    "tap-moved": "from lib_c import what_it_once_had",
    "tap-submodule": "import lib_c.gone",
}
"""What a plugin does first."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    with Shelf(tmp_path_factory.mktemp("shelf")) as made:
        packages = tmp_path_factory.mktemp("packages")
        made.wheel(tiny.make(packages / "a", "tap-good"))
        silent = tiny.make(packages / "b", "tap-silent")
        declared = (silent / "pyproject.toml").read_text()
        (silent / "pyproject.toml").write_text(declared.partition("[project.scripts]")[0] + "[project.scripts]\n")
        made.wheel(silent)
        made.wheel(tiny.make(packages / "c", "tap-torn", dependencies=("lib-a==1.0", "lib-b==1.0")))
        made.wheel(tiny.make(packages / "d", "lib-a", dependencies=("lib-c==1.0",)))
        made.wheel(tiny.make(packages / "e", "lib-b", dependencies=("lib-c==2.0",)))
        made.wheel(tiny.make(packages / "f", "lib-c"))
        made.wheel(tiny.make(packages / "g", "lib-c", version="2.0"))
        made.wheel(tiny.make(packages / "h", "tap-needy", dependencies=("lib-nowhere",)))
        future = tiny.make(packages / "i", "tap-future")
        backend = (future / "backend.py").read_text()
        (future / "backend.py").write_text(backend.replace("\\n{needs}", "\\nRequires-Python: >=3.99\\n{needs}"))
        made.wheel(future)
        made.sdist(plugin(packages / "j", "tap-broken", attack="raise RuntimeError('no compiler here')"), "tap-broken")
        for name, line in OLD.items():
            needs = ("lib-c",) if "lib_c" in line else ()
            old = tiny.make(packages / name, name, dependencies=needs)
            (old / "plugin.py").write_text(f"{line}\n{(old / 'plugin.py').read_text()}")
            made.wheel(old)
        broken = "raise RuntimeError('no compiler here')"
        made.sdist(plugin(packages / "l", "tap-bounded", attack=broken), "tap-bounded")
        lacks = "raise RuntimeError('Trying pkg-config --exists libmariadb')"
        made.sdist(plugin(packages / "m", "tap-native", attack=lacks), "tap-native")
        made.wheel(tiny.make(packages / "n", "odd-named", about=None, scripts=("target-odd",)))
        made.bounds = {"tap-odd": ">=3.7,<3.10", "tap-bounded": ">=3.7,<3.9", "tap-good": ">=3.7,<3.9"}
        slow = "import time; time.sleep(60)"
        made.sdist(plugin(packages / "k", "tap-slow", attack=slow), "tap-slow")
        yield made


@pytest.fixture
def shop(tmp_path, monkeypatch, shelf, tmp_path_factory):
    monkeypatch.setenv("UV_DEFAULT_INDEX", shelf.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "uv"))
    return Workspace(tmp_path / "project", tmp_path / "home")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("tap-nobody-made",), "plugin.unknown", "there is no package tap-nobody-made"),
        (("tap-needy",), "plugin.unknown", "there is no package lib-nowhere"),
        (("tap-silent",), "plugin.install_failed", "holds no command"),
        (("tap-future",), "plugin.python", "3.99"),
        (("tap-good", "--python", "3.99"), "plugin.python", "3.99"),
        (("tap-good", "--with", "lib-c==1.0", "--with", "lib-c==2.0"), "plugin.conflict", "lib-c"),
        (("tap-torn",), "plugin.conflict", "lib-"),
        (("tap-good==7",), "plugin.conflict", "tap-good"),
        (("tap-csv==0.0.1",), "plugin.conflict", "tap-csv==0.0.1 is wanted, but this checkout of Dativo holds 0."),
        (("tap-broken",), "plugin.install_failed", "building tap-broken 1.0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_one_clear_line_and_nothing_left(shop, words, code, said):
    answer = shop.dativo("add", *words, "--json")
    error = json.loads(answer.stdout)
    assert (error["code"], answer.code) == (code, error["exit"]), error
    assert said in error["message"]
    assert "\n" not in error["message"]
    assert error["hint"]
    nothing_is_left(shop)


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("tap-mapping", "plugin.start_failed", f"it needs what Python {HERE} no longer has: --python 3.9"),
        (
            "tap-unasked",
            "plugin.start_failed",
            "it does not ask for the package that brings the module a_module_of_nobody: --with PACKAGE does",
        ),
        (
            "tap-listening",
            "plugin.start_failed",
            "it opens a socket before it says what it is, which no plugin may while it is installed",
        ),
        (
            "tap-moved",
            "plugin.start_failed",
            "it uses what lib-c 2.0 does not have: an older one may, --with 'lib-c<2.0'",
        ),
        (
            "tap-submodule",
            "plugin.start_failed",
            "it uses what lib-c 2.0 does not have: an older one may, --with 'lib-c<2.0'",
        ),
        ("tap-odd", "plugin.start_failed", f"it was made for Python >=3.7,<3.10, and this is {HERE}: --python 3.9"),
        (
            "tap-bounded",
            "plugin.install_failed",
            f"it was made for Python >=3.7,<3.9, and this is {HERE}: --python 3.8",
        ),
        (
            "tap-native",
            "plugin.install_failed",
            "it is built here and needs the C library mariadb with its headers, and pkg-config: install that on this "
            "machine (Debian: apt install)",
        ),
    ],
)
def test_which_python_or_package_would_help(shop, name, code, hint, monkeypatch):
    """Where the older Python is not to be had; where it is, the plugin is installed with that."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}:/usr/bin:/bin")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(shop.home / "no-pythons"))
    error = json.loads(shop.dativo("add", name, "--json").expect(3).stdout)
    assert (error["code"], error["hint"]) == (code, hint), error
    assert error["version"] == "1.0"
    nothing_is_left(shop)


def test_a_bound_is_only_looked_at_when_something_failed(shop):
    shop.dativo("add", "tap-good").expect()


def test_the_kind_of_a_plugin_is_told_by_its_command(shop):
    shop.dativo("add", "odd-named").expect()
    assert [one["kind"] for one in shop.dativo("list", "--json").expect().json] == ["target"]


def test_an_index_that_is_not_there(shop, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    error = json.loads(shop.dativo("add", "tap-elsewhere", "--json").expect(1).stdout)
    assert error["code"] == "index.unreachable"
    nothing_is_left(shop)


def uv_that(folder, what):
    """A uv that does something else when it installs."""
    path = folder / "uv"
    program = f"import os, signal, sys\nfrom uv import find_uv_bin\nif 'sync' in sys.argv:\n    {what}\n"
    path.write_text(f"#!{sys.executable}\n{program}os.execv(find_uv_bin(), ['uv', *sys.argv[1:]])\n")
    path.chmod(0o755)
    return path


def test_uv_that_is_killed(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_UV", str(uv_that(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")))
    answer = shop.shell(f"DATIVO_UV={tmp_path}/uv dativo add tap-good --json")
    error = json.loads(answer.expect(3).stdout)
    assert "installing tap-good: uv was killed by SIGKILL" in error["message"]
    nothing_is_left(shop)


def test_a_full_disk(shop, tmp_path):
    full = "sys.exit('error: failed to write: No space left on device (os error 28)')"
    uv_that(tmp_path, full)
    error = json.loads(shop.shell(f"DATIVO_UV={tmp_path}/uv dativo add tap-good --json").expect(3).stdout)
    assert error["code"] == "env.disk_full"
    nothing_is_left(shop)


def waited_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_dativo_leaves_what_the_next_command_sweeps(shop, tmp_path):
    """Killed while it builds: what lies about is gone after the next install, and the lock was never touched."""
    process = shop.start("exec dativo add tap-slow")
    work = shop.home / "cache" / "work"
    waited_for(lambda: work.is_dir() and any(one.name.startswith(".making-build") for one in work.iterdir()))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(work.iterdir())
    assert not (shop.folder / "dativo.lock").exists()
    shop.dativo("add", "tap-good").expect()
    assert list(work.iterdir()) == []
    assert [one.name.rpartition("-")[0] for one in (shop.home / "data" / "envs").iterdir()] == ["tap-good"]


def test_an_interrupted_add_tidies_up_itself(shop):
    process = shop.start("exec dativo add tap-slow")
    work = shop.home / "cache" / "work"
    waited_for(lambda: work.is_dir() and any(one.name.startswith(".making-build") for one in work.iterdir()))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    nothing_is_left(shop)


def test_an_environment_that_nobody_locked_is_swept(shop):
    """As after a kill between the install and the lock."""
    shop.dativo("add", "tap-good").expect()
    (shop.folder / "dativo.lock").unlink()
    other = Workspace(shop.folder.with_name("other"), shop.home)
    other.dativo("sync").expect()
    assert list((shop.home / "data" / "envs").iterdir()) == []
