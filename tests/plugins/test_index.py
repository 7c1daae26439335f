"""Third-party plugins from the package index, as they are."""

import shutil
from dataclasses import replace

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import lockfile
from dativo.plugins.install import add
from dativo.plugins.installed import installed
from dativo.plugins.registry.index import Index
from dativo.plugins.requirement import Request
from dativo.plugins.sync import sync

pytestmark = pytest.mark.plugins


def test_every_package_is_pinned_with_hashes_and_installs_offline_from_the_cache(project, probe, home):
    add(project, [Request("target-jsonl")], probe=probe)
    locked = lockfile.read(project.lock_file).plugins["target-jsonl"]
    assert (locked.version, locked.kind, locked.requirement) == ("0.1.4", "target", "target-jsonl")
    assert len(locked.packages) > 3
    assert all(package.hashes for package in locked.packages)
    shutil.rmtree(home / "data")
    (change,) = sync(Project.find(project.root), probe=probe, frozen=True, offline=True)
    assert change.fresh
    assert installed(project, "target-jsonl").executable.name == "target-jsonl"


def test_a_package_with_other_bytes_is_refused(project, probe, home):
    add(project, [Request("target-jsonl==0.1.4")], probe=probe)
    lock = lockfile.read(project.lock_file)
    plugin = lock.plugins["target-jsonl"]
    text = project.lock_file.read_text()
    zeros = ("sha256:" + "0" * 64,)
    packages = tuple(replace(one, hashes=zeros) if one.name == "target-jsonl" else one for one in plugin.packages)
    forged = replace(plugin, packages=packages)
    lockfile.write(project.lock_file, lock.having([forged]))
    with pytest.raises(errors.EnvironmentFault) as caught:
        lockfile.read(project.lock_file)  # the digest is of other packages
    assert caught.value.code == "lock.invalid"
    assert text != project.lock_file.read_text()
    lockfile.write(project.lock_file, lock.having([forged.with_digest()]))
    shutil.rmtree(home / "data")
    with pytest.raises(errors.EnvironmentFault) as caught:
        sync(Project.find(project.root), probe=probe, frozen=True)
    assert caught.value.code == "plugin.install_failed"
    assert "hash" in "\n".join(caught.value.details).lower()
    assert not list((home / "data").rglob("dativo-env.json"))


def test_a_plugin_that_needs_pkg_resources_gets_the_setuptools_that_has_it(project, probe):
    said = []
    unknown = Index([])  # the shipped index knows that it does
    (change,) = add(project, [Request("tap-rest-api-msdk==1.4.2")], probe=probe, say=said.append, index=unknown)
    assert change.plugin.with_ == ("setuptools<80",)
    assert "needs pkg_resources" in said[0]
    assert project.declared("tap-rest-api-msdk")["with"] == ["setuptools<80"]
    assert sync(Project.find(project.root), probe=probe, frozen=True)


def test_variants_share_no_name(project, probe):
    add(project, [Request("pipelinewise-tap-postgres")], probe=probe)
    with pytest.raises(errors.ConfigError) as caught:
        add(project, [Request("meltanolabs-tap-postgres")], probe=probe)
    assert caught.value.code == "plugin.taken"
    assert "--as tap-postgres-meltanolabs" in caught.value.remedy
    add(project, [Request("meltanolabs-tap-postgres", as_name="tap-postgres-meltanolabs")], probe=probe)
    found = installed(project, "tap-postgres-meltanolabs")
    assert found.executable.name == "tap-postgres"
    assert found.manifest["sdk_version"]
    assert installed(project, "tap-postgres").capabilities >= {"catalog", "properties", "discover", "state"}


def test_what_the_index_does_not_have(project, probe):
    for text, code in [
        ("tap-that-nobody-made-yet-zq", "plugin.unknown"),
        ("target-jsonl==99", "plugin.conflict"),
    ]:
        with pytest.raises(errors.DativoError) as caught:
            add(project, [Request(text)], probe=probe)
        assert caught.value.code == code
    assert not project.lock_file.exists()
