from __future__ import annotations

import json

import pytest

from dativo import errors
from dativo.run import settings
from dativo.run.settings import Given

SCHEMA = {
    "type": "object",
    "required": ["host"],
    "properties": {
        "host": {"type": "string"},
        "port": {"type": ["integer", "null"]},
        "ratio": {"type": "number"},
        "tls": {"type": "boolean"},
        "tables": {"type": "array", "items": {"type": "string"}},
        "limits": {"type": "object", "properties": {"rows": {"type": "integer"}}},
        "token": {"type": "string", "secret": True, "minLength": 8},
        "a.b": {"type": "string"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    },
}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("host", "5432", "5432"),
        ("host", "true", "true"),
        ("port", "5432", 5432),
        ("port", "x", "x"),
        ("ratio", "0.5", 0.5),
        ("ratio", "2", 2),
        ("tls", "true", True),
        ("tables", "a", ["a"]),
        ("tables", '["a","b"]', ["a", "b"]),
        ("limits", '{"rows":1}', {"rows": 1}),
        ("either", "7", 7),
        ("either", "seven", "seven"),
    ],
)
def test_text_becomes_a_typed_value(key, text, value):
    assert settings.parse(SCHEMA["properties"][key], text) == value


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("x", "x"), ('{"a":1}', {"a": 1}), ("null", None)])
def test_without_a_type_it_is_json_or_text(text, value):
    assert settings.parse({}, text) == value


def test_precedence(monkeypatch, tmp_path):
    monkeypatch.setenv("TAP_X_PORT", "2")
    monkeypatch.setenv("TAP_X_HOST", "env")
    monkeypatch.setenv("TAP_X_UNKNOWN", "no setting")
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    one.write_text('{"host": "one", "ratio": 1}')
    two.write_text('{"host": "two"}')
    configured = {"host": "project", "tls": True, "limits": {"rows": 1}}
    given = Given(flags={"port": 9}, sets=[("limits.rows", "5"), ("a.b", "x")], files=["ENV", str(one), str(two)])
    assert settings.resolve("tap-x", SCHEMA, configured, given) == {
        "host": "two",
        "tls": True,
        "limits": {"rows": 5},
        "ratio": 1,
        "port": 9,
        "a.b": "x",
    }
    assert configured["limits"] == {"rows": 1}  # what the project says is not changed


def test_a_good_config_needs_no_jsonschema(monkeypatch):
    monkeypatch.setattr(settings, "_check_all", lambda *_: pytest.fail("asked jsonschema"))
    plain = {**SCHEMA, "properties": {k: v for k, v in SCHEMA["properties"].items() if k not in ("token", "either")}}
    settings.check("tap-x", plain, {"host": "h", "port": None, "tables": ["a"], "limits": {"rows": 1}, "other": 1})


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({}, "config.missing", "tap-x needs host"),
        ({"host": None}, "config.missing", "tap-x needs host"),
        ({"host": 1}, "config.invalid", "host must be string"),
        ({"host": "h", "port": True}, "config.invalid", "port must be integer or null"),
        ({"host": "h", "tables": [1]}, "config.invalid", "tables.0 must be string"),
        ({"host": "h", "limits": {"rows": "x"}}, "config.invalid", "limits.rows must be integer"),
    ],
)
def test_a_bad_config_is_named_by_setting(config, code, words):
    with pytest.raises(errors.ConfigError) as caught:
        settings.check("tap-x", SCHEMA, config)
    assert caught.value.code == code
    assert words in caught.value.message


def test_the_hint_names_the_flag():
    with pytest.raises(errors.ConfigError) as caught:
        settings.check("tap-x", {"required": ["db_name"], "properties": {"db_name": {}}}, {})
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("give --db-name")
    with pytest.raises(errors.ConfigError) as caught:
        settings.check("tap-x", SCHEMA, {}, flag="--set tap-x.{}=…")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("give --set tap-x.host=…")


def test_what_has_a_default_is_not_missing():
    """As target-universal-file's file_name_format: required, and with a default."""
    settings.check("tap-x", {"required": ["form"], "properties": {"form": {"type": "string", "default": "a"}}}, {})


def test_no_error_quotes_a_value():
    """I13"""
    for config in ({"host": "h", "token": "hunter2"}, {"host": "h", "token": ["hunter2"]}):
        with pytest.raises(errors.ConfigError) as caught:
            settings.check("tap-x", SCHEMA, config)
        assert "hunter" not in json.dumps(caught.value.as_dict())


def test_a_plugin_that_describes_itself_wrongly_checks_itself():
    settings.check("tap-x", {"properties": {"a": {"type": "strange", "minLength": 3}}}, {"a": "x"})


def test_hidden():
    assert settings.hidden(SCHEMA, {"host": "h", "token": "t"}) == {"host": "h", "token": "***"}
