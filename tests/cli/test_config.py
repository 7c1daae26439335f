"""config: what is shown, what is hidden, what is stored, and starting the plugin to see."""

import pytest

from dativo.cli.masking import HIDDEN, is_secret, masked
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


def config(folder, *words, **more):
    return dativo(folder, "config", "tap-shop", *words, **more)


def test_set_show_unset(folder):
    assert config(folder, "set", "port", "5433").stdout == "  tap-shop: port = 5433 in dativo.yml\n"
    assert config(folder, "set", "flags", '["a", "b"]').returncode == 0
    assert config(folder, "set", "tunnel.enabled", "true").returncode == 0
    text = (folder / "dativo.yml").read_text()
    assert text.startswith("# the shop\n")
    assert "port: 5433\n" in text
    shown = config(folder).stdout
    assert "5433" in shown
    assert '["a", "b"]' in shown
    assert '{"enabled": true}' in shown
    rows = {row["setting"]: row for row in shop.answer(config(folder, "--json"))["settings"]}
    assert (rows["port"]["value"], rows["port"]["default"], rows["rows"]["set"]) == (5433, 5432, False)
    assert config(folder, "unset", "port").returncode == 0
    assert config(folder, "unset", "port").returncode == 2


def test_secrets_are_hidden_and_the_safer_way_is_said(folder):
    done = config(folder, "set", "password", "hunter2")
    assert done.returncode == 0
    assert "hunter2" not in done.stdout + done.stderr
    assert "${TAP_SHOP_PASSWORD}" in done.stderr
    for words in ((), ("--origin",), ("-v",), ("--json",)):
        assert "hunter2" not in config(folder, *words).stdout
    assert HIDDEN in config(folder).stdout
    done = config(folder, "set", "tunnel.key", "k3y")
    assert "k3y" not in done.stdout + config(folder).stdout
    done = config(folder, "set", "password", "${SHOP_PASSWORD}")
    assert done.stderr == ""
    assert "${SHOP_PASSWORD}" in config(folder).stdout


def test_origin(folder):
    config(folder, "set", "password", "${SHOP_PASSWORD}")
    shown = config(folder, "--origin", SHOP_PASSWORD="x").stdout
    assert "dativo.yml:7 · ${SHOP_PASSWORD} from environment" in shown
    assert "x" not in shown.split()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "prot", "1"), "config.unknown", "did you mean port?"),
        (("set", "port", "many"), "config.invalid", "port must be integer or null"),
        (("set", "tunnel.enable", "true"), "config.unknown", "did you mean tunnel.enabled?"),
        (("set", "port"), "usage", "KEY VALUE"),
        (("unset",), "usage", "KEY"),
        (("show", "port"), "usage", "show"),
    ],
)
def test_refused(folder, words, code, said):
    before = (folder / "dativo.yml").read_text()
    done = config(folder, *words)
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr
    assert said in done.stderr
    assert (folder / "dativo.yml").read_text() == before


def test_a_wrong_value_is_not_repeated(folder):
    done = config(folder, "set", "port", "hunter2")
    assert "hunter2" not in done.stderr


def test_unknown_plugin(folder):
    done = dativo(folder, "config", "tap-shp")
    assert (done.returncode, "did you mean tap-shop?" in done.stderr) == (2, True)


def test_a_dollar_is_kept(folder):
    config(folder, "set", "host", "a$$b${")
    from dativo.config.project import Project

    assert Project.find(folder).plugin("tap-shop").config["host"] == "a$$b${"


def test_test_waits_for_the_first_record_and_stops_the_endless_tap(folder):
    done = config(folder, "test", "--json")
    assert done.returncode == 0, done.stderr
    assert shop.answer(done)["stream"] == "orders"


def test_test_of_a_tap_without_records_and_of_a_target(folder):
    config(folder, "set", "rows", "0")
    done = config(folder, "test")
    assert done.returncode == 0, done.stderr
    assert "had no record to give" in done.stdout
    done = dativo(folder, "config", "target-shop", "test")
    assert done.returncode == 0, done.stderr
    assert "ends with its input" in done.stdout


def test_test_says_why_it_failed(folder):
    config(folder, "set", "host", "down")
    done = config(folder, "test")
    assert done.returncode == 1
    assert "could not connect to down" in done.stderr
    config(folder, "unset", "host")
    done = config(folder, "test")
    assert done.returncode == 2
    assert "error[config.missing]" in done.stderr


@pytest.mark.parametrize(
    ("key", "described", "secret"),
    [
        ("password", {}, True),
        ("db_passwd", {}, True),
        ("api_key", {}, True),
        ("apikey", {}, True),
        ("refresh_token", {}, True),
        ("client_secret", {}, True),
        ("sqlalchemy_url", {}, True),
        ("passenger", {}, False),
        ("author", {}, False),
        ("host", {"secret": True}, True),
        ("x", {"writeOnly": True}, True),
        ("token_url", {"secret": False}, False),
    ],
)
def test_what_is_secret(key, described, secret):
    assert is_secret(key, described) is secret


def test_masking_reaches_into_values():
    value = {"url": "https://me:pw@h/x", "list": [{"token": "t"}], "on": True, "none": None}
    shown = masked("x", value, {})
    assert shown == {"url": f"https://me:{HIDDEN}@h/x", "list": [{"token": HIDDEN}], "on": True, "none": None}
    assert masked("password", "${A}", {}) == "${A}"
    assert masked("password", "${A:-pw}", {}) == HIDDEN
    assert masked("password", "pre${A}", {}) == HIDDEN


def test_a_number_from_a_variable_is_a_number_for_the_plugin(folder):
    config(folder, "set", "rows", "${SHOP_ROWS}")
    done = config(folder, "test", "--json", SHOP_ROWS="3")
    assert done.returncode == 0, done.stderr
    assert shop.answer(done)["stream"] == "orders"
    done = config(folder, "test", SHOP_ROWS="hunter2")
    assert done.returncode == 2
    assert "rows must be integer" in done.stderr
    assert "hunter2" not in done.stderr
    done = config(folder, "test")
    assert "error[config.variable]" in done.stderr
