"""Which texts of a config are secret although they stand in it themselves."""

from dativo.secrets.names import inline


def test_inline_values():
    schema = {
        "properties": {
            "seed": {"type": "string", "secret": True},
            "token_kind": {"type": "string", "enum": ["long", "short"]},
            "password": {"secret": False},
        }
    }
    config = {
        "seed": "of-the-schema",
        "api_token": "by-name-1",
        "host": "db.internal",
        "password": "declared-public",
        "token_kind": "long",
        "auth": {"type": "oauth2", "user": "me", "client_secret": "deep-secret", "pin": "1-2-3"},
        "tokens": ["first-one", "secret://env/X"],
        "url": "postgres://me:in-the-url@host/db",
        "auth_method": "basic",
        "connection_secret": 5,
    }
    assert set(inline("", config, schema)) == {
        "of-the-schema", "by-name-1", "deep-secret", "1-2-3", "first-one", "in-the-url"
    }  # fmt: skip
