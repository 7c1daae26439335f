"""What a registry knows against a plugin is said before anyone waits for it: it is broken, or needs an older Python."""

import json
import sys

import pytest

from tests.plugins import tiny
from tests.plugins.shelf import Shelf
from tests.workspace import Workspace

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
WHY = "1.0 does not start: ModuleNotFoundError: No module named 'a_module_of_nobody'"
SPEC = {"type": "SPEC", "spec": {"connectionSpecification": {"type": "object", "properties": {"host": {}}}}}
SAYS = f"print({json.dumps(json.dumps(SPEC))})"
CONNECTOR = {"kind": "tap", "engines": ["airbyte"]}
ENTRIES = {
    "tap-gone": {"kind": "tap", "package": "tap-gone", "broken": WHY, "description": "Reads what is gone"},
    "source-old": {**CONNECTOR, "package": "airbyte-source-old", "python": "==3.9.*", "requires": ["lib-a<2"]},
    "source-kept": {**CONNECTOR, "package": "airbyte-source-kept", "python": f"=={HERE}.*", "requires": ["lib-a<2"]},
    "source-gone": {**CONNECTOR, "package": "airbyte-source-gone", "broken": WHY},
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    with Shelf(tmp_path_factory.mktemp("shelf")) as made:
        packages = tmp_path_factory.mktemp("packages")
        for name in ("tap-gone", "airbyte-source-gone", "airbyte-source-old", "airbyte-source-kept"):
            scripts = (name.removeprefix("airbyte-"),)
            folder = tiny.make(packages / name, name, scripts=scripts, more=SAYS)
            begins = {"gone": "import a_module_of_nobody", "old": "from collections import Mapping"}
            first = begins.get(name.rpartition("-")[2], "")
            (folder / "plugin.py").write_text(f"{first}\n{(folder / 'plugin.py').read_text()}")
            made.wheel(folder)
        made.wheel(tiny.make(packages / "a", "lib-a"))
        made.wheel(tiny.make(packages / "b", "lib-a", version="2.0"))
        yield made


@pytest.fixture
def shop(tmp_path, monkeypatch, shelf, tmp_path_factory):
    monkeypatch.setenv("UV_DEFAULT_INDEX", shelf.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "uv"))
    made = Workspace(tmp_path / "project", tmp_path / "home")
    plugins = {name: {"variants": {"us": entry}} for name, entry in ENTRIES.items()}
    (made.folder / "ours").mkdir()
    (made.folder / "ours" / "index.json").write_text(json.dumps({"format": 1, "plugins": plugins}))
    made.dativo("registry", "add", "ours", "ours").expect()
    return made


def test_what_is_broken_says_so_everywhere(shop):
    assert f"broken: {WHY}"[:50] in shop.dativo("search", "gone").expect().stdout
    assert {one["name"]: one["broken"] for one in shop.dativo("search", "gone", "--json").expect().json} == {
        "tap-gone": WHY,
        "source-gone": WHY,
    }
    assert f"broken    {WHY}" in shop.dativo("info", "tap-gone").expect().stdout
    assert shop.dativo("info", "source-gone", "--json").expect().json["broken"] == WHY


@pytest.mark.parametrize("name", ["tap-gone", "source-gone", "airbyte:source-gone"])
def test_add_says_it_and_tries(shop, name):
    """A release that was made since may start."""
    said = shop.dativo("add", name).expect(3).stderr
    known = f"{name.removeprefix('airbyte:')} was broken when it was last tried: {WHY}"
    assert known in said
    assert said.index(known) < said.index("error[plugin.start_failed]")


def test_of_a_version_that_was_chosen_nothing_is_said(shop):
    assert "last tried" not in shop.dativo("add", "airbyte:source-gone==1.0").expect(3).stderr


@pytest.mark.parametrize("name", ["source-kept", "airbyte:source-kept"])
def test_a_connector_is_installed_with_what_its_entry_tells(shop, name):
    """And dativo.yml says it: nobody who runs `dativo sync` needs the registry."""
    shop.dativo("add", name).expect()
    (one,) = shop.dativo("list", "--json").expect().json
    assert (one["name"], one["engine"]) == ("source-kept", "airbyte")
    assert "lib-a<2" in (shop.folder / "dativo.yml").read_text()
    shop.dativo("registry", "remove", "ours").expect()
    assert "lib-a" in (shop.folder / "dativo.lock").read_text()
    before = (shop.folder / "dativo.lock").read_bytes()
    shop.dativo("sync").expect()
    assert (shop.folder / "dativo.lock").read_bytes() == before


def test_another_python_that_was_asked_for_is_taken(shop):
    error = json.loads(shop.dativo("add", "airbyte:source-old", "--python", HERE, "--json").expect(3).stdout)
    assert error["hint"] == f"it needs what Python {HERE} no longer has: --python 3.9"


@pytest.mark.parametrize("words", [(), ("--python", "3.8")])
def test_where_its_python_is_not_to_be_had(shop, words, monkeypatch):
    """It is looked for first, and no Python that does not start it is named."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(shop.home / "no-pythons"))
    answer = shop.dativo("add", "airbyte:source-old", *words, "--json").expect(2)
    error = json.loads(answer.stdout)
    assert error["code"] == "plugin.python"
    if words:
        assert error["message"] == "there is no Python 3.8 here, nor to be had"
    else:
        assert error["message"] == "source-old starts with Python 3.9, and there is none here, nor to be had"
        assert error["hint"] == "put one on PATH, or let uv fetch it (UV_PYTHON_DOWNLOADS)"
    assert "Python 3." in answer.stderr and "is not here: fetching it" in answer.stderr
