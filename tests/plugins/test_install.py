"""add and remove: real packages, real environments, and nothing left behind when something fails."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import environment, lockfile
from dativo.plugins.install import add, lacks_pkg_resources, remove
from dativo.plugins.installed import all_installed, installed
from dativo.plugins.requirement import Request
from tests.plugins import tiny


def environments(home):
    folder = home / "data" / "envs"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_folder_becomes_a_locked_environment_of_its_own(project, probe, home):
    tiny.make(project.root / "tap-tiny")
    (change,) = add(project, [Request(str(project.root / "tap-tiny"))], probe=probe)
    found = installed(project, "tap-tiny")
    assert (found.kind, found.version, found.source) == ("tap", "1.0", "path")
    assert found.capabilities == {"catalog", "discover", "state"}
    assert found.settings_schema["required"] == ["host"]
    assert found.executable.is_relative_to(home)
    done = subprocess.run([found.executable, "--about"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert json.loads(done.stdout)["name"] == "tap-tiny"
    locked = lockfile.read(project.lock_file).plugins["tap-tiny"]
    assert locked.packages[0].built == "path:./tap-tiny"
    assert locked.packages[0].hashes[0].startswith("sha256:")
    assert change.plugin.digest == locked.digest == found.digest
    assert (project.root / "dativo.yml").read_text() == "# mine\nplugins:\n  tap-tiny:\n    source: ./tap-tiny\n"
    assert [one.name for one in all_installed(project)] == ["tap-tiny"]


def test_adding_twice_installs_once(project, probe, home):
    tiny.make(project.root / "tap-tiny")
    request = Request(str(project.root / "tap-tiny"))
    first, second = add(project, [request], probe=probe), add(project, [request], probe=probe)
    assert (first[0].fresh, second[0].fresh) == (True, False)
    assert len(environments(home)) == 1


def test_a_changed_folder_is_another_version(project, probe):
    folder = tiny.make(project.root / "tap-tiny")
    (one,) = add(project, [Request(str(folder))], probe=probe)
    tiny.make(folder, version="1.1")
    (two,) = add(project, [Request(str(folder))], probe=probe)
    assert one.plugin.digest != two.plugin.digest
    assert installed(project, "tap-tiny").version == "1.1"


def test_a_git_commit_is_pinned(project, probe, tmp_path):
    commit = tiny.commit(tiny.make(tmp_path / "repo" / "sub" / "tap-tiny").parents[1])
    url = f"git+file://{tmp_path}/repo@trunk#subdirectory=sub/tap-tiny"
    (change,) = add(project, [Request(url)], probe=probe)
    assert change.plugin.name == "tap-tiny"
    assert change.plugin.packages[0].built == f"git+file://{tmp_path}/repo@{commit}#subdirectory=sub/tap-tiny"
    assert project.declared("tap-tiny") == {"source": url}


def test_a_git_revision_that_is_not_there(project, probe, tmp_path, home):
    tiny.commit(tiny.make(tmp_path / "repo"))
    with pytest.raises(errors.EnvironmentFault) as caught:
        add(project, [Request(f"git+file://{tmp_path}/repo@nope", as_name="tap-tiny")], probe=probe)
    assert caught.value.code == "plugin.install_failed"
    assert environments(home) == []


def script(folder, text="import sys\nprint('--state --discover') if '--help' in sys.argv else sys.exit(2)\n"):
    path = folder / "tap_shop.py"
    path.write_text(f"#!/usr/bin/env python3\n{text}")
    path.chmod(0o755)
    return path


def test_a_script_is_run_as_it_is_and_locked_by_its_bytes(project, probe):
    path = script(project.root)
    add(project, [Request(str(path))], probe=probe)
    found = installed(project, "tap-shop")
    assert (found.executable, found.env_dir, found.capabilities) == (path, None, {"state", "discover"})
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(errors.EnvironmentFault) as caught:
        installed(project, "tap-shop")
    assert caught.value.code == "plugin.tampered"
    add(project, [Request(str(path))], probe=probe)
    assert installed(project, "tap-shop").executable == path
    path.unlink()
    with pytest.raises(errors.EnvironmentFault) as caught:
        installed(project, "tap-shop")
    assert caught.value.code == "plugin.not_installed"


def test_a_script_that_is_no_program(project, probe):
    path = script(project.root)
    path.chmod(0o644)
    with pytest.raises(errors.ConfigError, match="not an executable file") as caught:
        add(project, [Request(str(path))], probe=probe)
    assert "chmod +x" in caught.value.remedy


def test_a_plugin_without_about_and_a_kind_that_nobody_tells(project, probe):
    folder = tiny.make(project.root / "thing", "thing", about=None)
    (change,) = add(project, [Request(str(folder))], probe=probe)
    assert change.plugin.kind == "tap"  # it can discover
    plain = tiny.make(project.root / "other", "other", about={"name": "other", "capabilities": []})
    with pytest.raises(errors.ConfigError) as caught:
        add(project, [Request(str(plain))], probe=probe)
    assert caught.value.code == "plugin.kind"
    (change,) = add(project, [Request(str(plain), kind="target")], probe=probe)
    assert (change.plugin.kind, project.declared("other")["kind"]) == ("target", "target")


def test_which_command_is_the_plugin(project, probe):
    folder = tiny.make(project.root / "p", "acme-tap-x", scripts=("tap-x", "tool"))
    (change,) = add(project, [Request(str(folder))], probe=probe)
    assert (change.plugin.name, change.plugin.executable) == ("tap-x", "tap-x")
    tiny.make(folder, "acme", scripts=("one", "two"))
    with pytest.raises(errors.ConfigError, match="several commands: one, two") as caught:
        add(project, [Request(str(folder), as_name="tap-y")], probe=probe)
    assert "--executable" in caught.value.remedy
    (change,) = add(project, [Request(str(folder), as_name="tap-y", executable="two")], probe=probe)
    assert change.plugin.executable == "two"
    with pytest.raises(errors.ConfigError, match="no command three"):
        add(project, [Request(str(folder), as_name="tap-y", executable="three")], probe=probe)


def test_two_plugins_cannot_share_a_name(project, probe):
    first, second = tiny.make(project.root / "a"), tiny.make(project.root / "b", version="2.0")
    add(project, [Request(str(first))], probe=probe)
    with pytest.raises(errors.ConfigError) as caught:
        add(project, [Request(str(second))], probe=probe)
    assert caught.value.code == "plugin.taken"
    assert "--as tap-tiny-" in caught.value.remedy
    add(project, [Request(str(second), as_name="tap-tiny-b")], probe=probe)
    assert {one.name: one.version for one in all_installed(project)} == {"tap-tiny": "1.0", "tap-tiny-b": "2.0"}


def test_one_that_fails_keeps_all_out(project, probe, home):
    good = tiny.make(project.root / "a")
    bad = tiny.make(project.root / "b", "tap-bad", more="sys.exit('it is broken')")
    with pytest.raises(errors.EnvironmentFault) as caught:
        add(project, [Request(str(good)), Request(str(bad), as_name="tap-bad")], probe=refusing(probe))
    assert caught.value.code == "plugin.start_failed"
    assert environments(home) == []
    assert not project.lock_file.exists()
    assert (project.root / "dativo.yml").read_text() == "# mine\n"


def refusing(probe):
    def ask(executable, home, engine):
        if executable.name == "tap-bad":
            raise errors.EnvironmentFault("plugin.start_failed", "tap-bad does not start")
        return probe(executable, home, engine)

    ask.confine = probe.confine
    return ask


def test_a_package_that_does_not_build(project, probe, home):
    folder = tiny.make(project.root / "a")
    (folder / "backend.py").write_text("raise RuntimeError('no compiler here')\n")
    with pytest.raises(errors.EnvironmentFault) as caught:
        add(project, [Request(str(folder))], probe=probe)
    assert caught.value.code == "plugin.install_failed"
    assert "no compiler here" in "\n".join(caught.value.details)
    assert environments(home) == []


def test_a_read_only_project_is_refused_before_anything_is_fetched(project, probe, monkeypatch):
    tiny.make(project.root / "a")
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: False if str(path).endswith("dativo.yml") else real(path, mode)
    )
    with pytest.raises(errors.EnvironmentFault) as caught:
        add(project, [Request(str(project.root / "a"))], probe=probe)
    assert caught.value.code == "env.read_only"


def test_when_the_project_file_cannot_be_changed_the_lock_is_as_before(project, probe, home):
    tiny.make(project.root / "a")
    (project.root / "dativo.yml").write_text("plugins:\n  tap-other: &x {}\n  tap-tiny: *x\n")
    before = (project.root / "dativo.yml").read_text()
    with pytest.raises(errors.DativoError):
        add(Project.find(project.root), [Request(str(project.root / "a"))], probe=probe)
    assert lockfile.read(project.lock_file).plugins == {}
    assert (project.root / "dativo.yml").read_text() == before
    assert environments(home) == []


def test_without_a_project_the_users_lock_is_used(tmp_path, probe, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add(Project.find(), [Request(str(tiny.make(tmp_path / "a")))], probe=probe)
    assert (home / "config" / "dativo.lock").is_file()
    assert not (home / "config" / "dativo.yml").exists()
    assert installed(Project.find(), "tap-tiny").version == "1.0"
    (tmp_path / "dativo.yml").touch()
    with pytest.raises(errors.ConfigError, match="installed for you, but not in this project"):
        installed(Project.find(), "tap-tiny")


def test_unknown_names(project, probe):
    tiny.make(project.root / "a")
    add(project, [Request(str(project.root / "a"))], probe=probe)
    for name, hint in [("tap-tinny", "did you mean tap-tiny?"), ("zzz", "dativo add zzz")]:
        with pytest.raises(errors.ConfigError) as caught:
            installed(project, name)
        assert caught.value.code == "plugin.unknown"
        assert hint in caught.value.remedy


def test_the_packages_own_name_is_answered_with_the_plugins_name(project, probe):
    folder = tiny.make(project.root / "a", "acme-tap-tiny", scripts=("tap-tiny",))
    add(project, [Request(str(folder))], probe=probe)
    with pytest.raises(errors.ConfigError) as caught:
        installed(project, "acme-tap-tiny")
    assert "it is called tap-tiny here" in caught.value.remedy


def test_a_half_made_environment_is_made_again(project, probe, home):
    folder = tiny.make(project.root / "a")
    (change,) = add(project, [Request(str(folder))], probe=probe)
    place = environment.folder(change.plugin)
    (place / environment.MARKER).unlink()
    with pytest.raises(errors.EnvironmentFault) as caught:
        installed(project, "tap-tiny")
    assert caught.value.code == "plugin.not_installed"
    assert all_installed(project) == []
    (again,) = add(project, [Request(str(folder))], probe=probe)
    assert again.fresh
    assert environments(home) == [place.name]
    assert installed(project, "tap-tiny").executable.exists()


def test_adds_at_the_same_time_all_arrive(project, probe, home):
    folders = [tiny.make(project.root / f"p{at}", f"tap-p{at}") for at in range(3)]
    same = tiny.make(project.root / "same", "tap-same")
    work = [*folders, same, same]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda one: add(Project.find(project.root), [Request(str(one))], probe=probe), work))
    names = ["tap-p0", "tap-p1", "tap-p2", "tap-same"]
    assert sorted(lockfile.read(project.lock_file).plugins) == names
    assert sorted(Project.find(project.root).plugins()) == names
    assert len(environments(home)) == 4


def test_remove_and_sharing_between_projects(project, probe, home, tmp_path):
    folder = tiny.make(tmp_path / "a")
    other = tmp_path / "other"
    other.mkdir()
    (other / "dativo.yml").touch()
    second = Project.find(other)
    add(project, [Request(str(folder))], probe=probe)
    (shared,) = add(second, [Request(str(folder))], probe=probe)
    assert not shared.fresh
    remove(project, ["tap-tiny"])
    assert (project.root / "dativo.yml").read_text().strip() in ("# mine\nplugins:", "# mine")
    assert lockfile.read(project.lock_file).plugins == {}
    assert installed(second, "tap-tiny").executable.exists()
    remove(second, ["tap-tiny"])
    assert environments(home) == []
    with pytest.raises(errors.ConfigError):
        remove(second, ["tap-tiny"])


def test_the_missing_pkg_resources_is_recognised():
    told = errors.EnvironmentFault(
        "plugin.start_failed", "x", context={"stderr": "ModuleNotFoundError: No module named 'pkg_resources'"}
    )
    assert lacks_pkg_resources(told)
    assert not lacks_pkg_resources(errors.EnvironmentFault("plugin.start_failed", "No module named 'x'"))
