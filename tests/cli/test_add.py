"""add, list, sync and remove as a user sees them."""

import json

import pytest

from dativo.cli.main import COMMANDS
from tests.cli import shop
from tests.cli.terminal import dativo
from tests.plugins import tiny


def test_add_list_sync_remove(tmp_path):
    (tmp_path / "dativo.yml").write_text("# mine\n")
    tiny.make(tmp_path / "tap-tiny")
    done = dativo(tmp_path, "add", "./tap-tiny")
    assert done.returncode == 0, done.stderr
    assert "tap-tiny 1.0" in done.stdout
    assert "1 plugin installed in" in done.stdout
    assert "locked in dativo.lock" in done.stdout
    (row,) = shop.answer(dativo(tmp_path, "list", "--json"))
    assert (row["name"], row["kind"], row["state"]) == ("tap-tiny", "tap", "ready")
    assert set(row["capabilities"]) == {"about", "catalog", "discover", "state"}
    done = dativo(tmp_path, "sync", "--frozen", "--json")
    assert done.returncode == 0, done.stderr
    assert shop.answer(done)["installed"] == []
    done = dativo(tmp_path, "remove", "tap-tiny")
    assert (done.returncode, done.stdout) == (0, "  removed tap-tiny\n")
    assert "no plugins yet" in dativo(tmp_path, "list").stdout


def test_without_a_project(tmp_path):
    tiny.make(tmp_path / "tap-tiny")
    done = dativo(tmp_path, "add", "./tap-tiny")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "home" / "dativo" / "config" / "dativo.lock") in done.stdout
    assert not (tmp_path / "dativo.lock").exists()


@pytest.mark.parametrize(
    ("words", "code", "exit"),
    [
        (("./nothing",), "plugin.unknown", 2),
        (("a b",), "usage", 2),
        (("./tap-tiny", "./tap-tiny", "--as", "x"), "usage", 2),
        (("./tap-tiny", "--with", "not a requirement"), "usage", 2),
        (("./tap-tiny", "--kind", "sink"), "plugin.kind", 2),
        (("./broken",), "plugin.start_failed", 3),
    ],
)
def test_what_cannot_be_added(tmp_path, words, code, exit):
    (tmp_path / "dativo.yml").touch()
    tiny.make(tmp_path / "tap-tiny")
    folder = tiny.make(tmp_path / "broken", "tap-broken")
    (folder / "plugin.py").write_text("raise ImportError('no libfoo here')\n")
    done = dativo(tmp_path, "add", *words, "--json")
    error = json.loads(done.stdout)
    assert (error["code"], error["exit"], done.returncode) == (code, exit, exit)
    if code == "plugin.start_failed":
        assert "no libfoo here" in "\n".join(error["details"])
    assert not (tmp_path / "dativo.lock").exists()
    assert (tmp_path / "dativo.yml").read_text() == ""


def test_sync_frozen_says_what_differs(tmp_path):
    (tmp_path / "dativo.yml").write_text("plugins:\n  tap-tiny: {source: ./tap-tiny}\n")
    tiny.make(tmp_path / "tap-tiny")
    done = dativo(tmp_path, "sync", "--frozen")
    assert done.returncode == 3
    assert "error[lock.drift]  dativo.lock does not match dativo.yml" in done.stderr
    assert "tap-tiny" in done.stderr
    assert dativo(tmp_path, "sync").returncode == 0
    assert dativo(tmp_path, "sync", "--frozen").returncode == 0


def test_removing_a_plugin_that_a_job_uses_is_said(tmp_path):
    shop.make(tmp_path)
    (tmp_path / "dativo.yml").write_text(
        (tmp_path / "dativo.yml").read_text() + "jobs:\n  nightly: {steps: [tap-shop, target-shop]}\n"
    )
    done = dativo(tmp_path, "remove", "tap-shop")
    assert done.returncode == 0
    assert "tap-shop is still a step of nightly" in done.stderr


def test_a_changed_script_is_shown_and_refused(tmp_path):
    shop.make(tmp_path)
    (tmp_path / "tap_shop.py").write_text("#!/usr/bin/env python3\n")
    assert "changed since it was locked" in dativo(tmp_path, "list").stdout
    done = dativo(tmp_path, "discover", "tap-shop")
    assert done.returncode == 3
    assert "error[plugin.tampered]" in done.stderr


def test_every_command_of_the_table_can_be_imported():
    from importlib import import_module

    for _, where, _ in COMMANDS.values():
        module, _, attribute = where.partition(":")
        assert hasattr(import_module(module), attribute)
