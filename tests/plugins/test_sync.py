"""sync: a fresh machine gets what was locked; frozen refuses every difference."""

import shutil

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import environment, lockfile
from dativo.plugins.install import add
from dativo.plugins.installed import installed
from dativo.plugins.requirement import Request
from dativo.plugins.sync import sync
from tests.plugins import tiny


@pytest.fixture
def locked(project, probe):
    tiny.make(project.root / "a")
    add(project, [Request(str(project.root / "a"))], probe=probe)
    return Project.find(project.root)


def refused(project, probe, code):
    with pytest.raises(errors.EnvironmentFault) as caught:
        sync(Project.find(project.root), probe=probe, frozen=True)
    assert caught.value.code == code
    return caught.value


def test_nothing_to_do(locked, probe):
    probe.asked.clear()
    (change,) = sync(locked, probe=probe, frozen=True)
    assert not change.fresh
    assert probe.asked == []


def test_a_fresh_machine(locked, probe, home):
    shutil.rmtree(home / "data")
    with pytest.raises(errors.EnvironmentFault) as caught:
        installed(locked, "tap-tiny")
    assert caught.value.code == "plugin.not_installed"
    before = locked.lock_file.read_bytes()
    (change,) = sync(locked, probe=probe, frozen=True, offline=True)
    assert change.fresh
    assert installed(locked, "tap-tiny").settings_schema["required"] == ["host"]
    assert locked.lock_file.read_bytes() == before


def test_a_fresh_machine_with_an_empty_cache_builds_the_same_wheel(locked, probe, home):
    shutil.rmtree(home)
    (change,) = sync(Project.find(locked.root), probe=probe, frozen=True)
    assert change.fresh


def test_a_changed_source_is_drift_when_frozen_and_relocked_otherwise(locked, probe, home):
    shutil.rmtree(home)
    tiny.make(locked.root / "a", version="1.2")
    assert "path:./a" in refused(locked, probe, "lock.drift").message
    said = []
    (change,) = sync(Project.find(locked.root), probe=probe, say=said.append)
    assert change.plugin.version == lockfile.read(locked.lock_file).plugins["tap-tiny"].version == "1.2"
    assert "builds to another wheel" in said[0]


def test_changed_files_are_found_and_repaired(locked, probe):
    home = installed(locked, "tap-tiny").env_dir
    module = next(home.glob("lib/python3*/site-packages/tap_tiny.py"))
    module.write_text("raise SystemExit('evil')\n")
    (home / "lib" / "new.pth").write_text("import evil\n")
    error = refused(locked, probe, "plugin.tampered")
    assert "2 installed files" in error.message
    assert "tap_tiny.py" in error.details[0]
    (change,) = sync(locked, probe=probe)
    assert change.fresh
    assert "evil" not in module.read_text()
    sync(locked, probe=probe, frozen=True)


def test_bytecode_that_python_writes_later_is_no_change(locked, probe):
    home = installed(locked, "tap-tiny").env_dir
    cache = next(home.glob("lib/python3*/site-packages")) / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "tap_tiny.cpython-399.pyc").write_bytes(b"x")
    sync(locked, probe=probe, frozen=True)


def test_declared_but_not_locked(locked, probe):
    tiny.make(locked.root / "b", "tap-more")
    locked.add_plugin("tap-more", source="./b")
    assert "tap-more: dativo.yml asks" in refused(locked, probe, "lock.drift").details[0]
    changes = sync(Project.find(locked.root), probe=probe)
    assert [change.plugin.name for change in changes] == ["tap-more", "tap-tiny"]
    sync(Project.find(locked.root), probe=probe, frozen=True)


def test_locked_but_not_declared(locked, probe, home):
    locked.remove_plugin("tap-tiny")
    assert "tap-tiny: locked, but not in dativo.yml" in refused(locked, probe, "lock.drift").details[0]
    assert sync(Project.find(locked.root), probe=probe) == []
    assert lockfile.read(locked.lock_file).plugins == {}
    assert list((home / "data" / "envs").iterdir()) == []


def test_declared_differently(locked, probe):
    tiny.make(locked.root / "b", version="3.0")
    locked.add_plugin("tap-tiny", source="./b")
    refused(locked, probe, "lock.drift")
    (change,) = sync(Project.find(locked.root), probe=probe)
    assert change.plugin.version == "3.0"
    sync(Project.find(locked.root), probe=probe, frozen=True)


def test_without_a_project_the_lock_is_the_list(tmp_path, probe, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add(Project.find(), [Request(str(tiny.make(tmp_path / "a")))], probe=probe)
    Project.find().set_config("tap-tiny", "host", "h")
    shutil.rmtree(home / "data")
    (change,) = sync(Project.find(), probe=probe, frozen=True)
    assert change.fresh


def test_a_changed_script(project, probe):
    path = project.root / "tap_s.py"
    path.write_text("#!/usr/bin/env python3\nprint('--discover')\n")
    path.chmod(0o755)
    add(project, [Request(str(path))], probe=probe)
    sync(project, probe=probe, frozen=True)
    path.write_text("#!/usr/bin/env python3\nprint('evil')\n")
    refused(project, probe, "plugin.tampered")


def test_an_environment_whose_interpreter_is_gone_is_made_again(locked, probe):
    home = installed(locked, "tap-tiny").env_dir
    (home / "bin" / "python").unlink()
    (home / "bin" / "python").symlink_to("/nowhere/python")
    with pytest.raises(errors.EnvironmentFault):
        installed(locked, "tap-tiny")
    (change,) = sync(locked, probe=probe)
    assert change.fresh
    assert environment.ready(change.plugin)
