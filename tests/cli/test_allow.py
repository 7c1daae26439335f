"""allow and inspect as a user sees them."""

from __future__ import annotations

import json

import pytest

from tests.cli import shop
from tests.cli.terminal import dativo


@pytest.fixture
def folder(tmp_path):
    return shop.make(tmp_path)


def inspected(folder):
    return shop.answer(dativo(folder, "inspect", "tap-shop", "--json"))


def test_inspect_says_it_in_words(folder):
    dativo(folder, "config", "tap-shop", "set", "password", "${PW}")
    done = dativo(folder, "inspect", "tap-shop", PW="x")
    assert done.returncode == 0, done.stderr
    lines = [line.split(None, 2) for line in done.stdout.splitlines()]
    assert done.stdout.splitlines()[0].endswith("· sandbox standard")
    assert ["may", "read", "its own environment, nothing else"] in lines
    assert ["may", "write", "its scratch space (256 MB)"] in lines
    assert ["may", "reach", "h:5432 (from its config)"] in lines
    assert ["may", "use", "2 GB memory, 64 processes, no time limit"] in lines
    assert ["is", "given", "host, password (secret)"] in lines
    assert "of 10 (tap-shop unconfined: 9.6)" in done.stdout


def test_the_score_grows_with_the_grants(folder):
    before = inspected(folder)
    assert before["exposure"] < 1
    assert dativo(folder, "allow", "tap-shop", "--network", "any", "--read", "/srv").returncode == 0
    after = inspected(folder)
    assert before["exposure"] + 1 < after["exposure"] < after["unconfined"] == before["unconfined"]


def test_allow_writes_the_project_file_and_keeps_its_comments(folder):
    done = dativo(folder, "allow", "tap-shop", "--network", "DB2:5432", "--read", "in", "--pass-env", "TZ")
    assert done.returncode == 0, done.stderr
    assert "db2:5432 (dativo.yml)" in done.stdout
    text = (folder / "dativo.yml").read_text()
    assert text.startswith("# the shop\n")
    found = inspected(folder)
    assert found["network"] == ["h:5432", "db2:5432"]
    assert found["read"] == [str(folder / "in")]
    assert found["env"] == ["TZ"]
    assert "./in" in text
    dativo(folder, "allow", "tap-shop", "--network", "db2:5432", "--network", "*.x.com:443")
    assert inspected(folder)["network"] == ["h:5432", "db2:5432", "*.x.com:443"]


def test_revoke(folder):
    dativo(folder, "allow", "tap-shop", "--network", "a:1", "--network", "b:2", "--write", "out")
    assert dativo(folder, "allow", "tap-shop", "--network", "a:1", "--revoke").returncode == 0
    assert inspected(folder)["network"] == ["h:5432", "b:2"]
    assert dativo(folder, "allow", "tap-shop", "--revoke").returncode == 0
    assert (inspected(folder)["network"], inspected(folder)["write"]) == (["h:5432"], [])
    assert "sandbox" not in (folder / "dativo.yml").read_text()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "usage"),
        (("--network", "db"), "permissions.invalid"),
        (("--write", "/"), "permissions.invalid"),
        (("--write", ".dativo"), "permissions.invalid"),
        (("--pass-env", "A=b"), "usage"),
        (("--profile", "off"), "usage"),
    ],
)
def test_what_cannot_be_allowed_changes_nothing(folder, words, code):
    before = (folder / "dativo.yml").read_text()
    done = dativo(folder, "allow", "tap-shop", *words, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, code)
    assert (folder / "dativo.yml").read_text() == before


def test_an_upgrade_that_asks_for_more(folder):
    script = folder / "tap_shop.py"
    script.write_text(script.read_text().replace('"version": "1.0"', '"version": "2.0", "sandbox": {"network": "any"}'))
    done = dativo(folder, "add", "./tap_shop.py")
    assert done.returncode == 2
    assert "error[permissions.more]  tap-shop 2.0 asks for more than was approved; nothing was changed" in done.stderr
    assert "+ reach  any host" in done.stderr
    script.write_text(script.read_text().replace("2.0", "2.1"))
    assert dativo(folder, "add", "./tap_shop.py", "--approve").returncode == 0
    assert inspected(folder)["network"] == "any"


def test_approving_beforehand(folder):
    script, old = folder / "tap_shop.py", (folder / "tap_shop.py").read_text()
    new = old.replace('"version": "1.0"', '"version": "2.0", "sandbox": {"network": "any"}')
    script.write_text(new)
    assert dativo(folder, "add", "./tap_shop.py").returncode == 2
    script.write_text(old)
    done = dativo(folder, "allow", "tap-shop", "--approve")
    assert done.returncode == 0, done.stderr
    assert "+ reach  any host" in done.stdout
    script.write_text(new)
    assert dativo(folder, "add", "./tap_shop.py").returncode == 0


def test_off_is_loud_and_recorded(folder):
    sets = ("--set", "tap-shop.rows=3", "--sandbox", "off")
    done = dativo(folder, "run", "tap-shop", "target-shop", "--confirm", "never", *sets, "--json")
    assert done.returncode == 0, done.stderr
    assert "SANDBOX OFF: tap-shop runs with all your rights" in done.stderr
    assert json.loads(done.stdout)["sandbox"] == "off"
    plan = shop.answer(dativo(folder, "run", "tap-shop", "target-shop", "--dry-run", "--json"))
    assert [child["sandbox"]["profile"] for child in plan["children"]] == ["standard"] * 2
