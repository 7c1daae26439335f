"""Where things are kept."""

import os

import pytest

from dativo import errors
from dativo.config import paths


def test_one_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "all"))
    found = [paths.data_dir(), paths.cache_dir(), paths.state_dir(), paths.config_dir(), paths.runtime_dir()]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        f"all/{name}" for name in ("data", "cache", "state", "config", "run")
    ]
    assert {path.stat().st_mode & 0o777 for path in found} == {0o700}


def test_xdg(tmp_path, monkeypatch):
    monkeypatch.delenv("DATIVO_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert paths.data_dir() == tmp_path / "d" / "dativo"
    assert paths.cache_dir() == tmp_path / ".cache" / "dativo"
    assert paths.runtime_dir().name == f"dativo-{os.getuid()}"


def test_a_run_directory_that_others_may_enter_is_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path))
    (tmp_path / "run").mkdir(mode=0o755)
    assert paths.runtime_dir().stat().st_mode & 0o777 == 0o700


def test_a_run_directory_that_is_a_link_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.EnvironmentFault) as caught:
        paths.runtime_dir()
    assert caught.value.code == "env.run_dir"


def test_a_file_in_the_way(tmp_path, monkeypatch):
    (tmp_path / "data").write_text("")
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path))
    with pytest.raises(errors.EnvironmentFault) as caught:
        paths.data_dir()
    assert caught.value.code == "env.read_only"
