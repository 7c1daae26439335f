"""Resolving a config: once, everywhere in it, never twice, nothing unhidden."""

import pytest

from dativo import errors
from dativo.secrets.redact import REDACTOR, Redactor
from tests.secrets.conftest import CANARY, read


def test_all_of_a_config(resolver, tmp_path):
    config = {"a": "secret://env/A", "b": [{"c": "secret://env/J#n"}, "plain"], "d": 1}
    found = resolver(variable={"A": CANARY, "J": '{"n": {"m": "deep-secret"}}'}.get).resolve(config, "tap-x")
    assert found.config == {"a": CANARY, "b": [{"c": {"m": "deep-secret"}}, "plain"], "d": 1}
    assert {at: str(one) for at, one in found.origins.items()} == {
        ("a",): "secret://env/A",
        ("b", 0, "c"): "secret://env/J#n",
    }
    assert config["a"] == "secret://env/A"
    assert REDACTOR.text(f"{CANARY} deep-secret plain") == "*** *** plain"
    assert CANARY not in repr(found)


def test_a_value_is_no_reference(resolver):
    assert read(resolver(variable={"A": "secret://env/B", "B": "x"}.get), "secret://env/A") == "secret://env/B"


def test_read_once_in_a_run(resolver, tmp_path):
    asked = []

    def variable(name):
        asked.append(name)
        return '{"a": "one-value", "b": "two-value"}'

    found = resolver(variable=variable)
    found.resolve({"a": "secret://env/X#a", "b": "secret://env/X#b"})
    found.resolve({"a": "secret://env/X#a"})
    assert asked == ["X"]


def test_an_error_names_the_setting(resolver):
    with pytest.raises(errors.ConfigError) as caught:
        resolver().resolve({"auth": {"token": "secret://env/NOT_SET"}}, "tap-x")
    assert caught.value.message == "tap-x: auth.token: env/NOT_SET: the variable is not set"


@pytest.mark.parametrize(
    ("reference", "module", "extra"),
    [("keyring/a/b", "keyring", "keyring"), ("vault/kv/a#b", "hvac", "vault"), ("aws/a", "boto3", "aws"),
     ("gcp/a", "google.cloud", "gcp"), ("azure/a", "azure.identity", "azure")],
)  # fmt: skip
def test_a_missing_sdk_is_named(resolver, monkeypatch, reference, module, extra):
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    settings = {
        "vault": {"address": "http://127.0.0.1:9", "auth": {"token": "a-token-it-is"}, "version": 2},
        "gcp": {"project": "p"},
        "azure": {"vault": "v"},
        "aws": {"region": "eu-central-1"},
    }
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver(settings), f"secret://{reference}")
    assert caught.value.code == "secret.backend"
    assert caught.value.remedy == f"pip install 'dativo[{extra}]'"


def test_inline_tokens_of_backends_are_hidden(resolver):
    redactor = Redactor()
    auth = {"method": "approle", "role_id": "reader", "secret_id": "an-inline-secret-id"}
    resolver({"vault": {"auth": auth}}, redactor=redactor)
    assert redactor.text("an-inline-secret-id approle reader") == "*** approle reader"
