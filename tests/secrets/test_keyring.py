"""secret://keyring, with a keyring in a file, and on a machine that has none."""

import json
import threading

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked

from dativo import errors
from tests.secrets.conftest import CANARY, read


class InFile(KeyringBackend):
    """Keeps passwords in a JSON file."""

    priority = 1

    def __init__(self, path):
        super().__init__()
        self.path = path

    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, username):
        return self._all().get(f"{service}|{username}")

    def set_password(self, service, username, password):
        self.path.write_text(json.dumps({**self._all(), f"{service}|{username}": password}))


@pytest.fixture
def kept(tmp_path):
    before = keyring.get_keyring()
    mine = InFile(tmp_path / "keyring.json")
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


def test_a_password(kept, resolver):
    kept.set_password("shop", "reader", CANARY)
    kept.set_password("dativo", "reader", "of-dativo")
    kept.set_password("team", "reader", "of-team")
    assert read(resolver(), "secret://keyring/shop/reader") == CANARY
    assert read(resolver(), "secret://keyring/reader") == "of-dativo"
    assert read(resolver({"keyring": {"service": "team"}}), "secret://keyring/reader") == "of-team"
    with pytest.raises(errors.ConfigError) as caught:
        read(resolver(), "secret://keyring/shop/nobody")
    assert caught.value.code == "secret.unknown"
    assert caught.value.remedy == "keyring set shop nobody"


def test_of_two_writers_one_wins(kept, resolver):
    kept.set_password("shop", "token", "start")
    won = []

    def race(number):
        found = resolver()
        try:
            found.replace(found.checked("secret://keyring/shop/token", ""), "start", f"of-{number}")
            won.append(number)
        except errors.RunError as problem:
            assert problem.code == "secret.conflict"

    threads = [threading.Thread(target=race, args=(number,)) for number in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert kept.get_password("shop", "token") == f"of-{won[0]}"


@pytest.mark.parametrize("none", [fail.Keyring, null.Keyring])
def test_a_headless_machine_is_told_so(kept, resolver, none):
    keyring.set_keyring(none())
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(), "secret://keyring/shop/reader")
    assert "this machine has no keyring" in caught.value.message
    assert "secret://file" in caught.value.remedy


def test_a_locked_one(kept, resolver, monkeypatch):
    def locked(*_):
        raise KeyringLocked("no")

    monkeypatch.setattr(InFile, "get_password", locked)
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(), "secret://keyring/shop/reader")
    assert "KeyringLocked" in caught.value.message
