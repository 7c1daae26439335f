"""Plugins as children of a plan: flags, files, environment. Real plugins' habits are in the comments of the engine."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dativo import errors
from dativo.engines import singer
from dativo.engines.shebang import SYSTEM_PATH

SDK = {"name": "tap-x", "sdk_version": "0.54.9", "settings": {"properties": {}}}


@dataclass
class Plugin:
    """Shaped like an installed plugin."""

    name: str = "tap-x"
    executable: Path = Path("/envs/x/bin/tap-x")
    env_dir: Path | None = Path("/envs/x")
    manifest: dict = field(default_factory=dict)
    capabilities: frozenset = frozenset({"about", "catalog", "state", "discover"})


def child(plugin=None, role="tap", **more):
    return singer.child(plugin or Plugin(manifest=SDK), role=role, job="j", run="r", **{"config": {}, **more})


def test_a_tap_with_everything():
    found = child(config={"a": "ü"}, catalog={"streams": []}, state='{"n":1.10}')
    assert found["argv"] == [
        "/envs/x/bin/tap-x", "--config", "{file:config}", "--catalog", "{file:catalog}", "--state", "{file:state}",
    ]  # fmt: skip
    assert found["files"] == {
        "config": {"content": '{"a":"ü"}', "mode": "memfd"},
        "catalog": {"content": '{"streams":[]}', "mode": "memfd"},
        "state": {"content": '{"n":1.10}', "mode": "memfd"},
    }
    assert found["role"] == "tap"
    assert found["rlimits"] == {"core": 0}


def test_no_secret_reaches_argv_or_environment():
    found = child(config={"password": "hunter2"}, state={"token": "hunter2"})
    shown = json.dumps({key: value for key, value in found.items() if key != "files"})
    assert "hunter2" not in shown  # I13


@pytest.mark.parametrize("state", [None, {}, "{}", "null", ""])
def test_no_state_no_flag(state):
    assert "--state" not in child(state=state)["argv"]


def test_properties_for_taps_that_know_no_catalog():
    legacy = Plugin(capabilities=frozenset({"properties", "discover", "state"}))
    found = child(legacy, catalog={"streams": []})
    assert "--properties" in found["argv"]
    assert "--catalog" not in found["argv"]
    assert found["files"]["config"]["mode"] == "file"  # it may rewrite its config
    both = child(Plugin(capabilities=frozenset({"properties", "catalog"})), catalog={"streams": []})
    assert both["argv"][-4:] == ["--catalog", "{file:catalog}", "--properties", "{file:catalog}"]


def test_a_tap_that_takes_no_catalog_cannot_be_given_one():
    with pytest.raises(errors.ConfigError) as caught:
        child(Plugin(capabilities=frozenset({"discover"})), catalog={"streams": []})
    assert caught.value.code == "catalog.invalid"


def test_targets_and_mappers_get_their_config_only():
    for role in ("target", "mapper"):
        found = child(role=role, catalog={"streams": []}, state={"a": 1})
        assert found["argv"] == ["/envs/x/bin/tap-x", "--config", "{file:config}"]


@pytest.mark.parametrize(("given", "mode"), [("auto", "memfd"), ("memfd", "memfd"), ("file", "file")])
def test_config_mode(given, mode):
    assert child(config_mode=given)["files"]["config"]["mode"] == mode


def test_the_environment_is_a_list_not_an_inheritance(monkeypatch):
    for name, value in {"SECRET": "x", "TZ": "UTC", "SSL_CERT_FILE": "/c", "PYTHONPATH": "/p", "MINE": "m"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    found = child(pass_env=["MINE", "NOT_SET"], env={"EXTRA": "1", "TZ": "Europe/Berlin", "DATIVO_JOB": "other"})["env"]
    assert found == {
        "PATH": "/envs/x/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "{home}",
        "TMPDIR": "{tmp}",
        "SSL_CERT_FILE": "/c",
        "TZ": "Europe/Berlin",
        "MINE": "m",
        "EXTRA": "1",
        "DATIVO_JOB": "j",
        "DATIVO_RUN": "r",
    }


@pytest.mark.parametrize("name", ["A=B", "", "A\0"])
def test_impossible_variables(name):
    with pytest.raises(errors.ConfigError):
        child(env={name: "x"})


def test_what_a_target_gets_when_its_input_died():
    ours = Plugin(capabilities=frozenset({"about", "bookmark"}))
    assert child(ours, role="target")["on_upstream_failure"] == "term"
    assert child(Plugin(), role="target")["on_upstream_failure"] == "eof"


def test_who_lies_about_being_stopped():
    assert child(Plugin(manifest=SDK))["interrupt_log"] == ["Gracefully shutting down..."]
    assert child(Plugin(manifest={"capabilities": ["state"]}))["interrupt_log"] == []
    assert child(Plugin(manifest={}, capabilities=frozenset()))["interrupt_log"] == ["Gracefully shutting down..."]


def test_what_confines_it_is_the_callers():
    blocks = {"sandbox": {"read": ["/x"]}, "limits": {"wall": 5}, "rlimits": {"core": 0, "nofile": 64}}
    found = child(confine=lambda env: blocks if env["DATIVO_JOB"] == "j" else {})
    assert {key: found[key] for key in blocks} == blocks
    assert child()["rlimits"] == {"core": 0}
    assert "sandbox" not in child()


def test_probes(tmp_path):
    found = singer.probe(Plugin(), ["--discover"], config={"a": 1})
    assert found["argv"] == ["/envs/x/bin/tap-x", "--config", "{file:config}", "--discover"]
    assert (found["role"], found["name"]) == ("probe", "tap-x")
    home = tmp_path / "env"
    (home / "bin").mkdir(parents=True)
    (home / "pyvenv.cfg").touch()
    bare = singer.probe(home / "bin" / "tap-y", ["--about"])
    assert bare["env"]["PATH"].startswith(f"{home}/bin:")
    assert bare["files"] == {}
    alone = singer.probe(tmp_path / "tap.py", ["--about"])
    assert alone["env"]["PATH"] == SYSTEM_PATH
