"""What users type, and what it means."""

import pytest

from dativo import errors
from dativo.plugins.registry.entry import Entry
from dativo.plugins.requirement import Request, from_declaration, kind_of, understand
from tests.plugins import tiny


@pytest.mark.parametrize(
    ("text", "flags", "name", "variant", "requirement"),
    [
        ("tap-csv", {}, "tap-csv", "dativo", "dativo-tap-csv"),
        ("dativo-tap-csv", {}, "tap-csv", "dativo", "dativo-tap-csv"),
        ("tap-csv==0.1.0", {}, "tap-csv", "dativo", "dativo-tap-csv==0.1.0"),
        ("tap-nobody", {"variant": "acme"}, "tap-nobody", "acme", "acme-tap-nobody"),
        ("meltanolabs-tap-csv", {}, "tap-csv", "meltanolabs", "meltanolabs-tap-csv"),
        ("tap-snowflake", {}, "tap-snowflake", "meltanolabs", "meltanolabs-tap-snowflake"),
        ("tap-github", {}, "tap-github", "singer-io", "tap-github"),
        ("target-duckdb", {}, "target-duckdb", "dativo", "dativo-target-duckdb"),
        ("target-duckdb", {"variant": "jwills"}, "target-duckdb", "jwills", "target-duckdb"),
        ("target-jsonl", {}, "target-jsonl", "andyh1203", "target-jsonl"),
        ("target-jsonl", {"variant": "dativo"}, "target-jsonl", "dativo", "dativo-target-jsonl"),
        ("meltanolabs-tap-postgres", {}, "tap-postgres", "meltanolabs", "meltanolabs-tap-postgres"),
        ("tap-postgres", {"variant": "pipelinewise"}, "tap-postgres", "pipelinewise", "pipelinewise-tap-postgres"),
        ("Meltanolabs_Target.CSV>=0.5,<1", {}, "target-csv", "meltanolabs", "meltanolabs-target-csv<1,>=0.5"),
        ("tap-csv-drawer", {}, "tap-csv-drawer", None, "tap-csv-drawer"),
        ("tap-mysql[ssl,a]", {}, "tap-mysql", "singer-io", "tap-mysql[a,ssl]"),
        ("meltano-map-transform", {}, "meltano-map-transform", "meltano", "meltano-map-transform"),
        ("pipelinewise-tap-postgres", {"as_name": "tap-pw"}, "tap-pw", "pipelinewise", "pipelinewise-tap-postgres"),
    ],
)
def test_packages(project, text, flags, name, variant, requirement):
    wanted = understand(Request(text, **flags), project)
    assert (wanted.source, wanted.name, wanted.variant, wanted.requirement) == ("pypi", name, variant, requirement)


@pytest.mark.parametrize(
    ("python", "chosen"),
    [(None, None), (">=3.7,<3.10", None), ("~=3.9.0", "3.9"), ("==3.8.*", "3.8"), (">=3.40", None), (">=3.35", "3.35")],
)
def test_a_python_of_its_own(python, chosen):
    assert Entry("tap-x", "v", "tap", "tap-x", python=python).chosen_python() == chosen


def test_a_folder(project, tmp_path, monkeypatch):
    tiny.make(project.root / "taps" / "mine", "acme-tap-tiny")
    monkeypatch.chdir(project.root)
    wanted = understand(Request("./taps/mine"), project)
    assert (wanted.source, wanted.name, wanted.requirement) == ("path", "tap-tiny", "./taps/mine")
    outside = tiny.make(tmp_path / "elsewhere")
    assert understand(Request(str(outside)), project).requirement == str(outside)


def test_a_script(project, monkeypatch):
    (project.root / "tap_shop.py").write_text("#!/usr/bin/env python3\n")
    monkeypatch.chdir(project.root)
    wanted = understand(Request("./tap_shop.py"), project)
    assert (wanted.source, wanted.name, wanted.requirement) == ("script", "tap-shop", "./tap_shop.py")


@pytest.mark.parametrize(
    ("text", "name", "url", "rev", "folder"),
    [
        ("git+https://h/team/tap-x.git", "tap-x", "https://h/team/tap-x.git", None, None),
        ("git+https://h/t/acme_tap_x@v1.2", "tap-x", "https://h/t/acme_tap_x", "v1.2", None),
        ("git+ssh://git@h/t/target-y.git@main", "target-y", "ssh://git@h/t/target-y.git", "main", None),
        ("git+https://h/mono.git@main#subdirectory=p/tap-z", "tap-z", "https://h/mono.git", "main", "p/tap-z"),
    ],
)
def test_git(project, text, name, url, rev, folder):
    wanted = understand(Request(text), project)
    assert (wanted.source, wanted.name, wanted.url, wanted.rev, wanted.subdirectory) == ("git", name, url, rev, folder)


@pytest.mark.parametrize(
    ("text", "flags", "code"),
    [
        ("not a package", {}, "usage"),
        ("tap-x @ https://h/x.whl", {}, "usage"),
        ("./nothing/here", {}, "plugin.unknown"),
        ("tap-x", {"as_name": "../etc"}, "usage"),
        ("tap-x", {"as_name": "Tap X"}, "usage"),
        ("tap-x", {"kind": "sink"}, "plugin.kind"),
        ("tap-csv", {"variant": "meltanolabs"}, "plugin.variant"),
        ("git+https://h/x;id", {}, "usage"),
        ("git+https://h/$(id)", {}, "usage"),
        ("git+ext::sh -c x", {}, "usage"),
        ("git+file:x", {}, "usage"),
        ("--help", {}, "usage"),
        ("", {}, "usage"),
    ],
)
def test_refused(project, text, flags, code):
    with pytest.raises(errors.ConfigError) as caught:
        understand(Request(text, **flags), project)
    assert caught.value.code == code


def test_a_password_in_a_url_is_refused_and_not_repeated(project):
    with pytest.raises(errors.ConfigError) as caught:
        understand(Request("git+https://me:hunter2@h/t/tap-x.git"), project)
    assert "hunter2" not in f"{caught.value.message} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tap-x", "tap"),
        ("acme-target-x", "target"),
        ("map-x", "mapper"),
        ("meltano-map-transform", "mapper"),
        ("pipelinewise-transform-field", "mapper"),
        ("something", None),
        ("mapping-tap-x", "tap"),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind
    assert kind_of(name, "target") == "target"


def test_a_declaration_asks_for_the_same_again(project):
    for section, requirement in [
        ({"variant": "meltanolabs"}, "meltanolabs-tap-postgres"),
        ({"source": "pipelinewise-tap-postgres==2.1.0"}, "pipelinewise-tap-postgres==2.1.0"),
        ({}, "dativo-tap-postgres"),
    ]:
        wanted = understand(from_declaration("tap-postgres", section, project), project)
        assert (wanted.name, wanted.requirement) == ("tap-postgres", requirement)
