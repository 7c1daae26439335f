"""The grammar of references: one way to write each, everything else refused, no text quoted."""

import pytest

from dativo import errors
from dativo.secrets.reference import BACKENDS, Reference, found, is_reference, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret://env/NAME", Reference("env", "NAME")),
        ("secret://vault/kv/shop#password", Reference("vault", "kv/shop", "password")),
        ("secret://file/secrets/shop.json#db.password", Reference("file", "secrets/shop.json", "db.password")),
        ("secret://file//run/secrets/token", Reference("file", "/run/secrets/token")),
        ("secret://aws/arn:aws:secretsmanager:eu-1:1:secret:a/b-AbCdEf#k", None),
        ("secret://gcp/projects/p/secrets/s/versions/3", None),
        ("secret://keyring/my service/me@example.org", None),
    ],
)
def test_parsed_and_written_again(text, expected):
    reference = parse(text)
    assert expected is None or reference == expected
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "secret://", "secret://env", "secret://env/", "secret://nope/x", "secret://ENV/X", "SECRET://env/X", " secret://env/X",
        "secret://env/X ", "secret://env/X#", "secret://vault/kv/../b/x", "secret://vault/kv/./x", "secret://vault/kv//x",
        "secret://vault/kv/x/", "secret://vault/kv/%2e%2e/x", "secret://vault/kv/x?version=1", "secret://vault/kv/*",
        "secret://file/a\\b", "secret://file/a\nb", "secret://file/..", "secret://file///etc/x", "secret://env/[A]",
        "secret://file/" + "x" * 2000, "secret://vault//kv/x", "secret://hunter2hunter2",
    ],
)  # fmt: skip
def test_refused(text):
    assert is_reference(text)
    with pytest.raises(errors.ConfigError) as caught:
        parse(text, "tap-x: password")
    assert caught.value.code == "secret.invalid"
    assert caught.value.message.startswith("tap-x: password ")


def test_the_nearest_backend_is_named():
    with pytest.raises(errors.ConfigError) as caught:
        parse("secret://valt/kv/x")
    assert "secret://vault/" in caught.value.remedy
    assert set(BACKENDS) == {"env", "file", "keyring", "vault", "aws", "gcp", "azure", "exec"}


def test_found_anywhere_in_a_config():
    config = {"a": "secret://env/A", "b": [{"c": "secret://env/C"}, "plain", 3], "d": "postgres://secret://env/no"}
    assert dict(found(config)) == {("a",): "secret://env/A", ("b", 0, "c"): "secret://env/C"}
