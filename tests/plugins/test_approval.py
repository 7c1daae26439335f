"""An upgrade that asks for more stops with the difference, changes nothing, and goes on once somebody agreed."""

import json

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import approval, environment, lockfile
from dativo.plugins.install import add
from dativo.plugins.installed import installed
from dativo.plugins.requirement import Request
from dativo.plugins.sync import sync
from tests.plugins import tiny

MODEST = {**tiny.ABOUT, "sandbox": {"read": [], "network": ["{config:host}:{config:port}"]}}
GREEDY = {
    **tiny.ABOUT,
    "sandbox": {"read": ["/srv/data"], "network": ["{config:host}:{config:port}", "evil.example:443"]},
}


@pytest.fixture
def modest(project, probe):
    folder = tiny.make(project.root / "a", about=MODEST)
    add(project, [Request(str(folder))], probe=probe)
    return Project.find(project.root)


def entry(project):
    return lockfile.read(project.lock_file).plugins["tap-tiny"]


def greedy(project, probe, **more):
    folder = tiny.make(project.root / "a", version="2.0", about=GREEDY)
    return add(Project.find(project.root), [Request(str(folder))], probe=probe, **more)


def test_a_new_plugin_is_recorded_readably(modest):
    text = modest.lock_file.read_text()
    assert '[plugin.sandbox]\nnetwork = ["{config:host}:{config:port}"]\n' in text
    assert f'permissions = "{entry(modest).permissions}"' in text
    assert lockfile.render(lockfile.read(modest.lock_file)) == text
    assert lockfile.headers(modest.lock_file).plugins["tap-tiny"].sandbox == entry(modest).sandbox
    assert lockfile.headers(modest.lock_file).plugins["tap-tiny"].sandbox == entry(modest).sandbox  # from the cache
    approval.require(installed(modest, "tap-tiny"), modest)


def test_more_stops_and_changes_nothing(modest, probe, home):
    before, yml = modest.lock_file.read_bytes(), modest.settings_file.read_bytes()
    envs = sorted((home / "data" / "envs").iterdir())
    with pytest.raises(errors.ConfigError) as caught:
        greedy(modest, probe)
    assert (caught.value.code, caught.value.exit_code) == ("permissions.more", 2)
    assert caught.value.details == ("+ read  /srv/data", "+ reach  evil.example:443")
    assert "dativo allow tap-tiny --approve" in caught.value.remedy
    assert (modest.lock_file.read_bytes(), modest.settings_file.read_bytes()) == (before, yml)
    assert sorted((home / "data" / "envs").iterdir()) == envs
    approval.require(installed(modest, "tap-tiny"), modest)


def test_approve_as_a_flag(modest, probe):
    (change,) = greedy(modest, probe, approve=True)
    assert change.plugin.version == entry(modest).version == "2.0"
    assert entry(modest).sandbox["read"] == ["/srv/data"]


def test_approve_beforehand(modest, probe):
    with pytest.raises(errors.ConfigError):
        greedy(modest, probe)
    lines = approval.approve(modest, installed(modest, "tap-tiny"))
    assert "+ reach  evil.example:443" in lines
    assert approval.waits(modest, "tap-tiny")
    approval.require(installed(modest, "tap-tiny"), modest)  # what is installed is still the old one
    greedy(modest, probe)
    assert entry(modest).version == "2.0"
    assert not approval.waits(modest, "tap-tiny")


def test_agreeing_to_one_thing_is_not_agreeing_to_another(modest, probe):
    with pytest.raises(errors.ConfigError):
        greedy(modest, probe)
    approval.approve(modest, installed(modest, "tap-tiny"))
    tiny.make(modest.root / "a", version="3.0", about={**GREEDY, "sandbox": {"network": "any"}})
    with pytest.raises(errors.ConfigError) as caught:
        add(Project.find(modest.root), [Request(str(modest.root / "a"))], probe=probe)
    assert "+ reach  any host" in caught.value.details


def test_less_is_taken_silently(modest, probe):
    greedy(modest, probe, approve=True)
    tiny.make(modest.root / "a", version="3.0", about=MODEST)
    add(Project.find(modest.root), [Request(str(modest.root / "a"))], probe=probe)
    assert "read" not in entry(modest).sandbox


def test_sync_stops_too(modest, probe, home):
    import shutil

    before = modest.lock_file.read_bytes()
    shutil.rmtree(home / "cache")
    shutil.rmtree(home / "data")
    tiny.make(modest.root / "a", version="2.0", about=GREEDY)
    with pytest.raises(errors.ConfigError) as caught:
        sync(Project.find(modest.root), probe=probe)
    assert caught.value.code == "permissions.more"
    assert modest.lock_file.read_bytes() == before
    sync(Project.find(modest.root), probe=probe, approve=True)
    assert entry(modest).sandbox["read"] == ["/srv/data"]
    sync(Project.find(modest.root), probe=probe, frozen=True)


def test_a_declaration_that_means_another_package_is_stopped(modest, probe):
    tiny.make(modest.root / "b", version="2.0", about=GREEDY)
    before = modest.lock_file.read_bytes()
    modest.add_plugin("tap-tiny", source="./b")
    with pytest.raises(errors.ConfigError) as caught:
        sync(Project.find(modest.root), probe=probe)
    assert caught.value.code == "permissions.more"
    assert modest.lock_file.read_bytes() == before


def test_a_manifest_that_was_changed_does_not_run(modest):
    path = environment.folder(entry(modest)) / environment.MANIFEST
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "sandbox": {"network": "any"}}))
    plugin = installed(modest, "tap-tiny")
    with pytest.raises(errors.ConfigError) as caught:
        approval.require(plugin, modest)
    assert caught.value.code == "permissions.more"
    assert "+ reach  any host" in caught.value.details
    approval.approve(modest, plugin)
    approval.require(installed(modest, "tap-tiny"), modest)


def test_a_lock_that_was_edited_by_hand_is_refused(modest):
    text = modest.lock_file.read_text().replace("{config:host}:{config:port}", "evil.example:443")
    modest.lock_file.write_text(text)
    with pytest.raises(errors.EnvironmentFault) as caught:
        lockfile.read(modest.lock_file)
    assert caught.value.code == "lock.invalid"
