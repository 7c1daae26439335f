"""What is installed is what was installed: any changed byte is found before a start, without reading files."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from dativo import errors
from dativo.config.project import Project
from dativo.plugins import environment, lockfile, seal
from dativo.plugins.install import add
from dativo.plugins.installed import installed
from dativo.plugins.requirement import Request
from dativo.plugins.sync import sync
from tests.plugins import tiny


@pytest.fixture
def locked(project, probe):
    add(project, [Request(str(tiny.make(project.root / "a")))], probe=probe)
    return Project.find(project.root)


def entry(project):
    return lockfile.read(project.lock_file).plugins["tap-tiny"]


def flip(path):
    """Change one byte and put size and mtime back as they were: only ctime tells."""
    before = path.stat()
    path.chmod(0o644)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_one_flipped_byte_in_any_file_is_refused_before_the_start(locked, probe):
    home = installed(locked, "tap-tiny").env_dir
    every = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size]
    chosen = [path for path in every if path.name not in environment.OWN and path.parent.name != environment.USERS]
    assert {path.suffix for path in chosen} >= {".py", ".pyc", ""}
    for path in chosen:
        flip(path)
        with pytest.raises(errors.EnvironmentFault) as caught:
            installed(locked, "tap-tiny")
        assert caught.value.code == "plugin.tampered"
        assert path.name in caught.value.message
        flip(path)  # the same bytes again: looked at in full, and taken
        installed(locked, "tap-tiny")


def test_files_that_come_or_go_are_refused(locked):
    home = installed(locked, "tap-tiny").env_dir
    site = next(home.glob("lib/python3*/site-packages"))
    os.chmod(site, 0o755)
    evil = site / "evil.pth"
    evil.write_text("import os\n")
    with pytest.raises(errors.EnvironmentFault, match=r"evil\.pth"):
        installed(locked, "tap-tiny")
    evil.unlink()
    installed(locked, "tap-tiny")
    cache = site / "__pycache__"
    os.chmod(cache, 0o755)
    own = next(cache.glob("tap_tiny.*.pyc"))
    planted = own.with_name(own.name.replace("tap_tiny", "planted"))
    planted.write_bytes(own.read_bytes())
    with pytest.raises(errors.EnvironmentFault, match="planted"):
        installed(locked, "tap-tiny")


def test_files_are_read_only_and_compiled(locked):
    home = installed(locked, "tap-tiny").env_dir
    module = next(home.glob("lib/python3*/site-packages/tap_tiny.py"))
    assert module.stat().st_mode & 0o222 == 0
    (compiled,) = (module.parent / "__pycache__").glob("tap_tiny.*.pyc")
    assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"  # PEP 552: by hash, unchecked


def test_a_copy_from_a_backup_is_read_once_and_then_taken(locked, monkeypatch):
    home = installed(locked, "tap-tiny").env_dir
    shutil.copytree(home, home.with_name("copy"), symlinks=True)
    seal.clear(home)
    home.with_name("copy").rename(home)
    reads = []
    real = seal.hashes
    monkeypatch.setattr(seal, "hashes", lambda *a, **k: reads.append(1) or real(*a, **k))
    installed(locked, "tap-tiny")
    installed(locked, "tap-tiny")
    assert len(reads) == 1


def test_the_look_before_a_start_reads_no_file(locked, monkeypatch):
    monkeypatch.setattr(seal, "digest_of", lambda path: pytest.fail(f"{path} is read"))
    installed(locked, "tap-tiny")


def test_what_the_disk_lost_is_found_by_verify(locked, probe):
    """A byte that changed without a write leaves no trace in the times: only reading finds it."""
    plugin = entry(locked)
    home = environment.folder(plugin)
    flip(next(home.glob("lib/python3*/site-packages/tap_tiny.py")))
    marker = home / environment.MARKER
    told = json.loads(marker.read_text())
    marker.write_text(json.dumps({**told, "seal": seal.fingerprint(home, environment.OWN)}))
    installed(locked, "tap-tiny")
    with pytest.raises(errors.EnvironmentFault) as caught:
        sync(locked, probe=probe, frozen=True, verify=True)
    assert caught.value.code == "plugin.tampered"
    (change,) = sync(locked, probe=probe, verify=True)
    assert change.fresh


def test_an_environment_comes_back_from_the_cache_without_uv_and_without_a_start(locked, probe, home, monkeypatch):
    plugin = entry(locked)
    seal.clear(environment.folder(plugin))
    probe.asked.clear()
    monkeypatch.setenv("DATIVO_UV", "/bin/false")
    from dativo.plugins import uv

    uv.find.cache_clear()
    try:
        (change,) = sync(locked, probe=probe, frozen=True)
    finally:
        uv.find.cache_clear()
    assert change.fresh
    assert probe.asked == []
    installed(locked, "tap-tiny")


def test_a_twin_that_was_tampered_with_is_not_taken(locked, probe, home):
    plugin = entry(locked)
    seal.clear(environment.folder(plugin))
    flip(next((home / "cache" / "envs").glob("*/lib/python3*/site-packages/tap_tiny.py")))
    (change,) = sync(locked, probe=probe, frozen=True)
    assert change.fresh
    installed(locked, "tap-tiny")
    assert environment.changed_files(plugin) == []
