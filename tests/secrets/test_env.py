"""secret://env."""

import pytest

from dativo import errors
from tests.secrets.conftest import CANARY, read


def test_a_variable(resolver):
    found = resolver(variable={"A_KEY": CANARY, "A_JSON": '{"a": {"b": "deep"}, "a.c": 5}', "EMPTY": ""}.get)
    assert read(found, "secret://env/A_KEY") == CANARY
    assert read(found, "secret://env/A_JSON#a.b") == "deep"
    assert read(found, "secret://env/A_JSON#a.c") == 5
    for name in ("EMPTY", "NOT_SET", "A_JSON#x", "A_KEY#x"):
        with pytest.raises(errors.ConfigError) as caught:
            read(found, f"secret://env/{name}")
        assert caught.value.code == "secret.unknown"
        assert CANARY not in str(caught.value.as_dict())
    assert not found.can_replace(found.checked("secret://env/A_KEY", ""))
