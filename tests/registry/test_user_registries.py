"""Registries that the user adds: a folder, a repository, a URL, in Dativo's own format; kept, listed, removed."""

import json

import pytest

from tests.plugins import tiny

ENTRY = {
    "kind": "tap",
    "engines": ["native", "singer"],
    "package": "acme-tap-shop>=1",
    "requires": ["setuptools<80"],
    "python": ">=3.8",
    "executable": "shop",
    "capabilities": ["state", "catalog"],
    "permissions": {"network": ["api.shop.example.org:443"]},
    "maturity": "beta",
    "licence": "MIT",
    "description": "The shop's orders",
    "settings": {
        "type": "object",
        "properties": {"token": {"type": "string", "secret": True, "description": "Its key"}, "page": {}},
        "required": ["token"],
    },
}
INDEX = {"format": 1, "plugins": {"tap-shop": {"default": "acme", "variants": {"acme": ENTRY}}}}


@pytest.fixture
def folder(work):
    made = work.folder / "registry"
    made.mkdir()
    (made / "index.json").write_text(json.dumps(INDEX))
    return made


def test_a_folder(work, folder):
    added = work.dativo("registry", "add", "ours", "registry", "--json").expect().json
    assert (added["plugins"], added["format"], added["place"]) == (1, "dativo", str(folder))
    info = work.dativo("info", "tap-shop", "--json").expect().json
    assert {key: info[key] for key in ENTRY} == {**ENTRY, "capabilities": ["catalog", "state"]}
    assert info["secrets"] == ["token"]
    shown = work.dativo("info", "tap-shop").expect().stdout
    for line in (
        "tap-shop (acme) · tap · native, singer · beta",
        "api.shop.example.org:443",
        "secret, required",
        "MIT",
    ):
        assert line in shown
    (folder / "index.json").unlink()
    assert work.dativo("search", "orders").expect().stdout.split()[:2] == ["tap-shop", "tap"]
    listed = work.dativo("registry", "list", "--json").expect().json
    assert [one["name"] for one in listed] == ["dativo", "ours"]
    assert listed[1]["digest"] == added["digest"]
    work.dativo("registry", "remove", "ours").expect()
    assert "error[plugin.unknown]" in work.dativo("info", "tap-shop").expect(2).stderr
    assert "error[registry.unknown]" in work.dativo("registry", "remove", "ours").expect(2).stderr


def test_a_digest_that_was_told_beforehand(work, folder):
    digest = work.dativo("registry", "add", "ours", "registry", "--json").expect().json["digest"]
    work.dativo("registry", "add", "same", "registry", "--digest", digest).expect()
    assert "error[registry.taken]" in work.dativo("registry", "add", "ours", "registry").expect(2).stderr
    (folder / "index.json").write_text(json.dumps({**INDEX, "plugins": {}}))
    refused = work.dativo("registry", "add", "other", "registry", "--digest", digest).expect(2).stderr
    assert "error[registry.changed]" in refused


def test_a_repository(work, folder, tmp_path):
    commit = tiny.commit(folder)
    added = work.dativo("registry", "add", "ours", f"git+file://{folder}", "--json").expect().json
    assert added["commit"] == commit
    (folder / "index.json").write_text(json.dumps({**INDEX, "plugins": {}}))
    tiny.commit(folder)
    told = work.dativo("registry", "update", "ours", "--json").expect(2).json
    assert told["details"] == ["- tap-shop (acme)"]
    assert work.dativo("info", "tap-shop").expect()
    gone = work.dativo("registry", "add", "none", f"git+file://{tmp_path}/nothing").expect(3).stderr
    assert "error[registry.unreachable]" in gone


def test_a_url(work, site):
    site.json("/plugins.json", INDEX)
    work.dativo("registry", "add", "ours", f"{site.url}/plugins.json").expect()
    assert site.asked == ["/plugins.json"]
    changed = {**ENTRY, "permissions": {"network": ["evil.example.org:443"]}, "description": "Orders"}
    site.json("/plugins.json", {"format": 1, "plugins": {"tap-shop": {"variants": {"acme": changed}}}})
    told = work.dativo("registry", "update", "ours", "--dry-run").expect().stdout
    assert "reaches: +evil.example.org:443 -api.shop.example.org:443" in told


def test_what_an_entry_says_is_what_is_installed(processes, site, monkeypatch):
    from tests.registry.conftest import LEGACY, package

    work = processes
    entry = {**ENTRY, "requires": []}
    site.json("/index.json", {"format": 1, "plugins": {"tap-shop": {"variants": {"acme": entry}}}})
    package(site, "acme-tap-shop", LEGACY, command="shop")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{site.url}/simple/")
    work.dativo("registry", "add", "ours", site.url).expect()
    answer = work.dativo("add", "tap-shop").expect()
    assert "dativo allow tap-shop --network api.shop.example.org:443" in answer.stderr
    (one,) = work.dativo("list", "--json").expect().json
    assert (one["requirement"], one["variant"]) == ("acme-tap-shop>=1", "acme")
    assert one["executable"].endswith("/bin/shop")
    near = work.dativo("add", "tap-shopp").expect(2).stderr
    assert "error[plugin.unknown]" in near and "did you mean tap-shop" in near
    assert "has no variant nobody" in work.dativo("add", "tap-shop", "--variant", "nobody").expect(2).stderr
    # another engine's choice is for later: the format has room for it
    assert work.dativo("info", "tap-shop", "--json").expect().json["engines"] == ["native", "singer"]
