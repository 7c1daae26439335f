"""discover and select against a tap that is really asked."""

import json

import pytest

from tests.cli import shop
from tests.cli.terminal import dativo


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    return shop.make(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def folder(stocked):
    before = (stocked / "dativo.yml").read_text()
    yield stocked
    (stocked / "dativo.yml").write_text(before)


def select(folder, *words):
    return dativo(folder, "select", "tap-shop", *words)


def chosen(done):
    return {row["stream"]: row["columns"] for row in shop.answer(done)["streams"] if row["selected"]}


def test_discover(folder):
    done = dativo(folder, "discover", "tap-shop")
    assert done.returncode == 0, done.stderr
    assert "orders" in done.stdout
    assert "2 streams" in done.stdout
    catalog = shop.answer(dativo(folder, "discover", "tap-shop", "--json"))
    assert [one["tap_stream_id"] for one in catalog["streams"]] == ["orders", "users"]
    done = dativo(folder, "discover", "tap-shop", "--stream", "users", "--output", "out.json")
    assert done.returncode == 0, done.stderr
    assert [one["stream"] for one in json.loads((folder / "out.json").read_text())["streams"]] == ["users"]


@pytest.mark.parametrize(
    ("words", "exit", "said"),
    [
        (("tap-shop", "--stream", "user"), 2, "did you mean users?"),
        (("target-shop",), 2, "cannot discover"),
        (("tap-shop", "--set", "host=down"), 1, "could not connect to down"),
        (("tap-shop", "--set", "host"), 2, "KEY=VALUE"),
        (("tap-none",), 2, "error[plugin.unknown]"),
    ],
)
def test_discover_fails_with_a_reason(folder, words, exit, said):
    done = dativo(folder, "discover", *words)
    assert done.returncode == exit, done.stderr
    assert said in done.stderr


def test_without_patterns_everything_is_read(folder):
    done = select(folder)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 streams are read" in done.stdout
    assert "no patterns: everything" in done.stdout


def test_patterns_replace_add_and_clear(folder):
    assert chosen(select(folder, "orders.*", "!orders.card_number", "--json")) == {"orders": ["id", "total"]}
    assert "without card_number" in select(folder).stdout
    assert "!orders.card_number" in (folder / "dativo.yml").read_text()
    assert set(chosen(select(folder, "--add", "users", "--json"))) == {"orders", "users"}
    assert chosen(select(folder, "users.*", "--json")) == {"users": ["id", "name"]}
    assert set(chosen(select(folder, "--clear", "--json"))) == {"orders", "users"}
    assert "select" not in (folder / "dativo.yml").read_text()


def test_a_pattern_that_matches_nothing_is_said(folder):
    done = select(folder, "order.*")
    assert done.returncode == 0
    assert "order.* matches nothing" in done.stderr


def test_replication(folder):
    words = ("--stream", "orders", "--replication-method", "incremental", "--replication-key", "total", "--json")
    done = select(folder, *words)
    assert done.returncode == 0, done.stderr
    (row,) = shop.answer(done)["streams"]
    assert (row["replication_method"], row["replication_key"]) == ("INCREMENTAL", "total")
    assert "replication-method: INCREMENTAL" in (folder / "dativo.yml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--replication-key", "id"), "need --stream"),
        (("--stream", "ordes", "--replication-key", "id"), "did you mean orders?"),
        (("--stream", "orders", "--replication-key", "totl"), "did you mean total?"),
        (("--clear", "x"), "--clear goes without patterns"),
        (("--add",), "--add needs a pattern"),
        (("!",), "a pattern is empty"),
    ],
)
def test_refused(folder, words, said):
    before = (folder / "dativo.yml").read_text()
    done = select(folder, *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert (folder / "dativo.yml").read_text() == before
