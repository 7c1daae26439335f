"""Meltano Hub's API, served from loopback as the Hub serves it: search, info, add and settings work with it."""

import pytest

from tests.registry.conftest import API, LEGACY, definition, hub, package

TAP = definition("tap-orchard", "acme")
GIT = definition("tap-orchard", "other", pip_url="git+https://code.example.org/other/tap-orchard.git@v2")
TARGET = definition("target-cellar", "acme", settings=[], description="A cellar")


@pytest.fixture
def served(site, work):
    list_all(site)
    work.dativo("registry", "add", "hub", f"{site.url}{API}").expect()
    return site


def list_all(site):
    hub(site, ("extractors", TAP), ("extractors", GIT), ("loaders", TARGET))


def test_it_is_found_and_described(served, work):
    found = work.dativo("search", "orchard", "--json").expect().json
    assert [(one["name"], one["kind"]) for one in found] == [("tap-orchard", "tap")]
    assert [one["variant"] for one in found[0]["variants"]] == ["acme", "other"]
    info = work.dativo("info", "tap-orchard", "--json").expect().json
    assert (info["package"], info["executable"], info["registry"]) == ("acme-tap-orchard", "tap-orchard", "hub")
    assert info["secrets"] == ["deep.cellar", "pin", "seed"]
    assert info["settings"]["properties"]["page_size"] == {"type": "integer", "default": 100}
    assert info["settings"]["required"] == ["account", "pin"]
    assert info["python"] == ">=3.9,<3.15" or set(info["python"].split(",")) == {">=3.9", "<3.15"}
    other = work.dativo("info", "tap-orchard", "--variant", "other").expect().stdout
    assert "git+https://code.example.org/other/tap-orchard.git@v2" in other
    assert "dativo add tap-orchard --variant other" in other
    shown = work.dativo("info", "tap-orchard").expect().stdout
    assert [line.split()[:3] for line in shown.splitlines() if " pin " in line] == [["pin", "string", "secret,"]]
    missing = work.dativo("info", "tap-orchard", "--variant", "nobody").expect(2).stderr
    assert "error[plugin.variant]" in missing and "acme (default), other" in missing


def test_its_links_to_another_host_are_not_followed(served, work):
    work.dativo("info", "tap-orchard").expect()
    assert served.asked[-1] == f"{API}/plugins/extractors/tap-orchard--acme"


@pytest.mark.parametrize("place", ["", API, f"{API}/plugins", f"{API}/plugins/index", f"{API}/"])
def test_any_of_its_addresses_will_do(served, work, place):
    assert work.dativo("registry", "add", "again", served.url + place, "--json").expect().json["plugins"] == 2


def test_an_index_of_one_type_each_will_do(served, work):
    del served.pages[f"{API}/plugins/index"]
    added = work.dativo("registry", "add", "parts", f"{served.url}{API}", "--json").expect().json
    assert (added["plugins"], added["format"]) == (2, "meltano-hub")


def test_what_was_read_is_there_offline(served, work):
    work.dativo("info", "tap-orchard").expect()
    served.pages.clear()
    before = len(served.asked)
    assert work.dativo("search", "apples").expect().stdout.split()[0] == "tap-orchard"
    assert work.dativo("info", "tap-orchard").expect()
    assert len(served.asked) == before
    assert "offline" in work.dativo("info", "target-cellar", "--offline").expect(3).stderr


def test_it_is_added_with_its_settings_and_its_secrets_are_hidden(site, processes, monkeypatch):
    work = processes
    list_all(site)
    work.dativo("registry", "add", "hub", f"{site.url}{API}").expect()
    package(site, "acme-tap-orchard", LEGACY, command="tap-orchard")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{site.url}/simple/")
    (added,) = work.dativo("add", "tap-orchard", "--json").expect().json["plugins"]
    assert (added["name"], added["variant"], added["executable"]) == ("tap-orchard", "acme", "tap-orchard")
    text = work.dativo("tap-orchard", "--help").expect().stdout
    assert "--page-size INTEGER" in text and "[https://api.example.org]" in text
    section = {"config": {"account": "a", "pin": "hunter2hunter2", "deep": {"cellar": "s3cr3t-s3cr3t"}}}
    work.configure({"tap-orchard": section})
    shown = work.dativo("config", "tap-orchard", "--json").expect().stdout
    assert "hunter2" not in shown and "s3cr3t" not in shown and '"a"' in shown
    # dativo.yml says what to install without the registry, which another machine may lack
    declared = (work.folder / "dativo.yml").read_text()
    assert '"source": "acme-tap-orchard"' in declared
    work.dativo("registry", "remove", "hub").expect()
    work.dativo("sync", "--frozen").expect()


def test_a_change_is_told_and_used_only_when_accepted(served, work):
    work.dativo("info", "tap-orchard").expect()
    moved = {**TAP, "pip_url": "evil-tap-orchard", "settings": TAP["settings"][:2], "executable": "sh"}
    new = definition("tap-pear", "acme")
    hub(served, ("extractors", moved), ("extractors", GIT), ("extractors", new))
    assert work.dativo("info", "tap-orchard", "--json").expect().json["package"] == "acme-tap-orchard"
    told = work.dativo("registry", "update", "hub", "--json").expect(2).json
    assert told["code"] == "registry.changed"
    assert told["details"] == [
        "~ tap-orchard (acme)  package: acme-tap-orchard → evil-tap-orchard",
        "~ tap-orchard (acme)  executable: tap-orchard → sh",
        "~ tap-orchard (acme)  secrets: -deep.cellar -pin -seed",
        "~ tap-orchard (acme)  settings: -deep -dry -from -page_size -pin -rows -seed",
        "+ tap-pear (acme)",
        "- target-cellar (acme)",
    ]
    assert work.dativo("registry", "update", "hub", "--dry-run", "--json").expect().json["accepted"] is False
    assert work.dativo("info", "tap-orchard", "--json").expect().json["package"] == "acme-tap-orchard"
    work.dativo("registry", "update", "hub", "--yes").expect()
    assert work.dativo("info", "tap-orchard", "--json").expect().json["package"] == "evil-tap-orchard"
    assert "unchanged" in work.dativo("registry", "update", "hub").expect().stdout


def test_what_is_kept_is_what_was_accepted(served, work):
    work.dativo("info", "tap-orchard").expect()
    (page,) = work.home.rglob("extractors--tap-orchard--acme.json")
    page.write_text(page.read_text().replace("acme-tap-orchard", "evil-tap-orchard"))
    assert "error[registry.changed]" in work.dativo("info", "tap-orchard").expect(2).stderr
    assert "unchanged" in work.dativo("registry", "update", "hub").expect().stdout
    assert work.dativo("info", "tap-orchard", "--json").expect().json["package"] == "acme-tap-orchard"
    (index,) = work.home.rglob("registries/hub/index.json")
    index.write_text(index.read_text().replace("tap-orchard", "tap-orchart"))
    assert "error[registry.changed]" in work.dativo("search", "orchard").expect(2).stderr
    assert work.dativo("registry", "list").expect().stdout.splitlines()[1].split()[:2] == ["hub", "changed"]
    work.dativo("registry", "update", "hub").expect()
    assert work.dativo("search", "orchard").expect()
    (work.home / "data/registries/hub/registry.json").write_text("{}")
    assert "error[registry.invalid]" in work.dativo("search", "orchard").expect(2).stderr
    work.dativo("registry", "remove", "hub").expect()


def test_a_registry_takes_no_name_over(site, work):
    hub(
        site,
        ("extractors", definition("tap-csv", "dativo", pip_url="evil")),
        ("extractors", definition("tap-csv", "x")),
    )
    work.dativo("registry", "add", "hub", f"{site.url}{API}").expect()
    info = work.dativo("info", "tap-csv", "--json").expect().json
    assert (info["package"], info["registry"]) == ("dativo-tap-csv", "dativo")
    assert [one["variant"] for one in info["variants"]] == ["dativo", "x"]
    theirs = work.dativo("info", "tap-csv", "--registry", "hub").expect().stdout
    assert " evil " in theirs and "dativo add tap-csv --registry hub" in theirs
