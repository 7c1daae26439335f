"""What a user of a Meltano project is told to do when something fails: it must be possible there, and help."""

from __future__ import annotations

import re

import pytest

FOREIGN = re.compile(r"dativo add|dativo allow|dativo\.yml|--with\b")
"""Words of a project that has a dativo.yml."""
READ, WRITE = "sandbox: {read: [data]}", "sandbox: {write: [output]}"
SMALL = """\
plugins:
  extractors:
    - {name: tap-a, namespace: tap_a, executable: bin/tap-a, config: {token: "secret://env/NOPE_A"}}
  loaders:
    - {name: target-b, namespace: target_b, executable: bin/target-b}
"""
MISTAKES = """\
include_paths: [more/*.yml]
plugins:
  extractors:
    - {name: tap-orphan, inherit_from: tap-nobody}
    - {name: tap-wrong, namespace: tap_wrong, pip_url: no-such-package-of-anyone-here==1}
  mappers:
    - {name: map-x, namespace: map_x, mappings: [{name: one, config: {}}, {name: two, config: {}}]}
  loaders:
    - {name: target-b, namespace: target_b, executable: bin/target-b}
"""


@pytest.mark.parametrize(
    ("words", "code", "advice"),
    [
        ("config tap-a set page_size 3", 2, "meltano config set tap-a page_size VALUE"),
        ("config nope", 2, "declare it in meltano.yml: meltano add nope"),
        ("inspect tap-aa", 2, "did you mean tap-a? Else declare it in meltano.yml: meltano add tap-aa"),
        ("discover nope", 2, "declare it in meltano.yml: meltano add nope"),
        ("tap-nope", 2, "Else declare it in meltano.yml: meltano add tap-nope"),
        ("allow tap-a --read /srv", 2, "at tap-a: annotations.dativo.sandbox.read: [/srv]"),
        ("allow tap-a --network db:5432", 2, "at tap-a: annotations.dativo.sandbox.network: [db:5432]"),
        ("remove tap-a", 2, "as meltano remove tap-a does"),
        ("add tap-csv", 2, "declare it there, with meltano add tap-csv or by hand; dativo run installs it"),
        ("run tap-a target-b", 2, "export NOPE_A, or write it into .env beside meltano.yml"),
        ("run tap-a target-c", 2, "did you mean target-b?"),
        ("run job", 2, "there are none yet: dativo run tap-a target-b"),
        ("run", 2, "as in: dativo run tap-a target-b"),
        ("run tap-a", 2, "name one behind it: dativo run tap-a target-b"),
        ("run tap-a target-b --environment=dev", 2, "here: dativo run NAME --env ENVIRONMENT"),
        ("run tap-a target-b --state-id-suffix=x", 2, "here: --job ENVIRONMENT:TAP-to-TARGET:SUFFIX"),
        ("el tap-a target-b", 2, "here: dativo run TAP TARGET"),
        ("--environment=dev run tap-a", 2, "here: dativo run NAME --env ENVIRONMENT"),
        ("state merge tap-a", 2, "here: dativo state get JOB"),
    ],
)
def test_advice(words, code, advice, folder):
    world = folder(SMALL)
    (world.folder / "bin").mkdir()
    for name in ("tap-a", "target-b"):
        (world.folder / "bin" / name).write_text("#!/bin/sh\ncat >/dev/null 2>&1\n")
        (world.folder / "bin" / name).chmod(0o755)
    world.dativo("sync").expect()
    before = (world.folder / "dativo.lock").read_bytes()
    answer = world.dativo(*words.split())
    assert answer.code == code, answer.stderr
    assert advice in answer.stderr, answer.stderr
    assert not FOREIGN.search(answer.stderr), answer.stderr
    if words.startswith("config"):
        assert advice in world.dativo(*words.split(), "--json").json["hint"]
    assert (world.folder / "dativo.lock").read_bytes() == before


@pytest.mark.plugins
@pytest.mark.timeout(600)
def test_advice_that_was_followed_helps(project):
    shop = project("shop")
    shop.edit(WRITE, "sandbox: {}")
    told = shop.dativo("run", "orders-to-files").expect(2).stderr
    advice = "under annotations.dativo.sandbox of target-jsonl in meltano.yml, write: [output"
    assert advice in told, told
    assert not FOREIGN.search(told), told
    shop.edit("sandbox: {}", WRITE)
    shop.dativo("run", "orders-to-files").expect()
    for old, new, line in (
        (READ, "sandbox: {raed: [data]}", "unknown key `raed` in sandbox"),
        (READ, "limits: {memory: lots}", "limits.memory: a size is expected"),
    ):
        shop.edit(old, new)
        assert re.search(
            r"meltano\.yml:\d+: " + re.escape(line), shop.dativo("run", "orders-to-files").expect(2).stderr
        )
        shop.edit(new, old)
    shop.edit("pip_url: target-jsonl==0.1.4", "pip_url: target-jsonl==0.1.4 'simplejson<1' 'simplejson>2'")
    told = shop.dativo("run", "orders-to-files").expect(2).stderr
    assert "what else its pip_url asks for" in told
    assert not FOREIGN.search(told), told


def test_a_program_that_was_changed_is_taken_as_the_error_says(folder):
    world = folder(SMALL.replace(', config: {token: "secret://env/NOPE_A"}', ""))
    (world.folder / "bin").mkdir()
    for name in ("tap-a", "target-b"):
        (world.folder / "bin" / name).write_text("#!/bin/sh\ncat >/dev/null 2>&1\n")
        (world.folder / "bin" / name).chmod(0o755)
    world.dativo("sync").expect()
    (world.folder / "bin" / "tap-a").write_text("#!/bin/sh\n# mine\n")
    told = world.dativo("sync").expect(3).stderr
    (command,) = re.findall(r"if the change is yours: dativo (.*?)  ", told)
    assert "changed since it was locked" in world.dativo("list").expect().stdout
    world.dativo(*command.split()).expect()
    world.dativo("sync", "--frozen").expect()
    assert not (world.folder / "dativo.yml").exists()


def test_who_comes_new_to_it_finds_the_way(folder):
    world = folder(SMALL + "  utilities: [{name: dbt, namespace: dbt}]\njobs: [{name: empty, tasks: []}]\n")
    listed = world.dativo("list").expect()
    assert re.search(r"^  tap-a +- .*not on PATH|^  tap-a .*bin/tap-a is not there", listed.stdout, re.MULTILINE)
    (world.folder / "bin").mkdir()
    for name in ("tap-a", "target-b"):
        (world.folder / "bin" / name).write_text("#!/bin/sh\ncat >/dev/null 2>&1\n")
        (world.folder / "bin" / name).chmod(0o755)
    rows = {row["name"]: row for row in world.dativo("list", "--json").expect().json}
    assert {name: (row["kind"], row["state"]) for name, row in rows.items()} == {
        "tap-a": ("tap", "not installed"), "target-b": ("target", "not installed"),
    }  # fmt: skip
    assert "not installed: dativo sync" in world.dativo("list").expect().stdout
    help_ = world.dativo("--help").expect().stdout
    assert "Here: the Meltano project project" in help_
    assert "docs/guides/meltano.md" in help_
    assert re.search(r"project +\S+/meltano.yml · 2 plugins · 1 jobs · environment none", world.dativo("doctor").stdout)
    assert "meltano.yml:7: empty has no tasks" in world.dativo("run", "empty").expect(2).stderr
    assert "jobs here: empty" in world.dativo("run").expect(2).stderr
    world.edit("tasks: []", "tasks: [tap-a target-b, [tap-a, target-b]]")
    world.edit('"secret://env/NOPE_A"', "x")
    world.dativo("sync").expect()
    checked = world.dativo("check", "empty", "--json").expect().json["checked"]
    assert [(one["name"], one["ok"]) for one in checked] == [("empty", True), ("tap-a", True), ("target-b", True)]
    turned = world.dativo("config", "set", "tap-a", "token", "x").expect(2).stderr
    assert "the plugin comes first: dativo config tap-a set" in turned


def test_variables_that_are_options_of_meltano_are_read_or_refused(folder):
    world = folder(SMALL.replace("secret://env/NOPE_A", "x"))
    (world.folder / "bin").mkdir()
    for name in ("tap-a", "target-b"):
        (world.folder / "bin" / name).write_text("#!/bin/sh\ncat >/dev/null 2>&1\n")
        (world.folder / "bin" / name).chmod(0o755)
    for name, value in (
        ("FULL_REFRESH", "1"),
        ("NO_STATE_UPDATE", "true"),
        ("STATE_STRATEGY", "merge"),
        ("TIMEOUT", "9"),
    ):
        world.env = {f"MELTANO_RUN_{name}": value}
        told = world.dativo("run", "tap-a", "target-b", "--dry-run").expect(2).stderr
        assert f"unset MELTANO_RUN_{name}; here: " in told
    world.env = {"MELTANO_RUN_STATE_ID_SUFFIX": "mine", "MELTANO_RUN_STATE_STRATEGY": "auto"}
    plan = world.dativo("run", "tap-a", "target-b", "--dry-run").expect().json
    assert plan["job"] == "tap-a-to-target-b:mine"


def test_mistakes_of_a_project_are_told_where_they_are(folder):
    world = folder(MISTAKES)
    (world.folder / "more").mkdir()
    (world.folder / "more" / "jobs.yml").write_text("jobs:\n  - {name: empty, tasks: []}\n")
    for words, told in (
        ("tap-orphan target-b", "meltano.yml:4: tap-orphan inherits from tap-nobody, which is not in meltano.yml"),
        ("tap-wrong map-x target-b", "run one of its mappings instead of map-x itself: one, two"),
        ("empty", "more/jobs.yml:2: empty has no tasks"),
    ):
        assert told in world.dativo("run", *words.split()).expect(2).stderr
    for words in (("state", "list"), ("state", "get", "dev:tap-orphan-to-target-b")):
        assert "Meltano's own is taken over by the first run" in world.dativo(*words).stderr


@pytest.mark.plugins
def test_a_package_that_there_is_not(folder):
    world = folder(MISTAKES)
    (world.folder / "bin").mkdir()
    (world.folder / "bin" / "target-b").write_text("#!/bin/sh\ncat >/dev/null 2>&1\n")
    (world.folder / "bin" / "target-b").chmod(0o755)
    told = world.dativo("run", "tap-wrong", "target-b").expect(2).stderr
    assert "look at its pip_url in meltano.yml" in told
    assert not FOREIGN.search(told), told
