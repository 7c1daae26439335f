"""secret://azure: the real SDK against a stand-in on loopback."""

import pytest

from dativo import errors
from tests.secrets.conftest import CANARY, read
from tests.secrets.standins import AzureService, certified, serving


@pytest.fixture
def azure(tmp_path):
    certificate = certified(tmp_path)
    with serving(AzureService(), certificate) as service:
        service.values = {"shop-token": CANARY, "db": '{"password": "deep"}'}
        yield service


def settings(azure):
    return {"azure": {"vault": azure.address, "ca": "server.pem"}}


def test_text_and_key(azure, resolver):
    found = resolver(settings(azure))
    assert read(found, "secret://azure/shop-token") == CANARY
    assert read(found, "secret://azure/Shop-Token") == CANARY
    assert read(found, "secret://azure/db#password") == "deep"
    with pytest.raises(errors.ConfigError) as caught:
        read(found, "secret://azure/none")
    assert caught.value.code == "secret.unknown"


def test_compare_and_set(azure, resolver):
    found = resolver(settings(azure))
    reference = found.checked("secret://azure/shop-token", "")
    found.replace(reference, CANARY, "after")
    assert azure.values["shop-token"] == "after"
    with pytest.raises(errors.RunError) as caught:
        found.replace(reference, CANARY, "again")
    assert caught.value.code == "secret.conflict"


def test_what_is_missing(resolver):
    for section, said in (
        ({}, "secrets.azure.vault is not set"),
        ({"azure": {"vault": "http://example.org"}}, "no https address"),
        ({"azure": {"vault": "https://127.0.0.1:9"}, "timeout": 1.0}, "cannot be reached"),
    ):
        with pytest.raises(errors.EnvironmentFault) as caught:
            read(resolver(section), "secret://azure/shop-token")
        assert said in caught.value.message
