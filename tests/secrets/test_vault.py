"""secret://vault against a stand-in on loopback: KV 1 and 2, token and AppRole, compare-and-set."""

import threading

import pytest

from dativo import errors
from tests.secrets.conftest import CANARY, read
from tests.secrets.standins import VaultService, serving


@pytest.fixture
def vault():
    with serving(VaultService()) as service:
        service.versions["kv/shop"] = [{"password": "before"}, {"password": CANARY, "port": 5432}]
        service.versions["team/kv/shop"] = [{"only": "one"}]
        service.old["old/shop"] = {"password": "of-version-1"}
        yield service


def settings(vault, **more):
    return {"vault": {"address": vault.address, "auth": {"token": vault.token}, **more}}


def test_both_versions_of_the_store(vault, resolver):
    found = resolver(settings(vault))
    assert read(found, "secret://vault/kv/shop#password") == CANARY
    assert read(found, "secret://vault/kv/shop#port") == 5432
    assert read(found, "secret://vault/old/shop#password") == "of-version-1"
    assert read(found, "secret://vault/old/shop") == "of-version-1"  # the only key
    assert sum("kv/data/shop" in one for one in vault.requests) == 1  # both keys from one answer
    assert found.can_replace(found.checked("secret://vault/kv/shop#password", ""))
    assert not found.can_replace(found.checked("secret://vault/old/shop#password", ""))
    assert read(resolver(settings(vault, mount="team/kv")), "secret://vault/team/kv/shop#only") == "one"
    assert read(resolver(settings(vault, version=1)), "secret://vault/old/shop#password") == "of-version-1"


def test_token_of_the_environment(vault, resolver):
    variables = {"VAULT_ADDR": vault.address, "VAULT_TOKEN": vault.token}
    assert read(resolver(variable=variables.get), "secret://vault/kv/shop#password") == CANARY


def test_approle_whose_secret_is_itself_one(vault, resolver):
    auth = {"method": "approle", "role_id": vault.role[0], "secret_id": "secret://env/SECRET_ID"}
    section = {"vault": {"address": vault.address, "auth": auth}}
    assert (
        read(resolver(section, variable={"SECRET_ID": vault.role[1]}.get), "secret://vault/kv/shop#password") == CANARY
    )
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(section, variable={"SECRET_ID": "wrong-secret-id"}.get), "secret://vault/kv/shop#password")
    assert "AppRole login was refused" in caught.value.message
    assert "wrong-secret-id" not in str(caught.value.as_dict())


def test_a_backend_that_needs_itself(vault, resolver):
    auth = {"token": "secret://vault/kv/shop#password"}
    with pytest.raises(errors.ConfigError) as caught:
        read(resolver({"vault": {"address": vault.address, "auth": auth}}), "secret://vault/kv/shop#password")
    assert caught.value.code == "secret.invalid"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("secret://vault/kv/nothing#x", "secret.unknown"),
        ("secret://vault/kv/shop#nothing", "secret.unknown"),
        ("secret://vault/kv", "secret.unknown"),
        ("secret://vault/kv/shop", "secret.invalid"),
    ],
)
def test_what_is_not_there(vault, resolver, text, code):
    with pytest.raises(errors.ConfigError) as caught:
        read(resolver(settings(vault)), text)
    assert caught.value.code == code
    assert CANARY not in str(caught.value.as_dict())


def test_refusals(vault, resolver, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for section, said in (
        ({"vault": {"address": vault.address, "auth": {"token": "a-wrong-token"}}}, "forbids it (403)"),
        ({"vault": {"address": vault.address}}, "secrets.vault.auth.token is not set"),
        ({}, "secrets.vault.address is not set"),
        ({"vault": {"address": "http://127.0.0.1:9", "auth": {"token": "a-token"}}}, "cannot be reached"),
    ):
        with pytest.raises(errors.EnvironmentFault) as caught:
            read(resolver(section), "secret://vault/kv/shop#password")
        assert said in caught.value.message
        assert "token" not in caught.value.message or "a-wrong-token" not in caught.value.message


def test_compare_and_set(vault, resolver):
    found = resolver(settings(vault))
    reference = found.checked("secret://vault/kv/shop#password", "")
    # Another key of the secret changes right before the write: no conflict, and it is kept.
    vault.before_write = lambda versions: versions.append({**versions[-1], "port": 1})
    found.replace(reference, CANARY, "after")
    assert vault.versions["kv/shop"][-1] == {"password": "after", "port": 1}
    # The very key changes right before the write.
    vault.before_write = lambda versions: versions.append({**versions[-1], "password": "theirs"})
    with pytest.raises(errors.RunError) as caught:
        found.replace(reference, "after", "ours")
    assert caught.value.code == "secret.conflict"
    assert vault.versions["kv/shop"][-1]["password"] == "theirs"


def test_of_two_writers_one_wins(vault, resolver):
    won = []

    def race(number):
        found = resolver(settings(vault))
        try:
            found.replace(found.checked("secret://vault/kv/shop#password", ""), CANARY, f"of-{number}")
            won.append(number)
        except errors.RunError as problem:
            assert problem.code == "secret.conflict"

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert vault.versions["kv/shop"][-1]["password"] == f"of-{won[0]}"
    assert len(vault.versions["kv/shop"]) == 3
