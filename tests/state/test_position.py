import pytest

from dativo import errors
from dativo.state import position

SDK = '{"replication_key": "at", "replication_key_value": "2026-11-01T00:00:00Z", "n": 1.10}'


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (SDK, "2026-11-01T00:00:00Z"),
        ('{"id": 7}', 7),
        ('{"id": 7, "files": {"a": 1}}', 7),
        ('{"id": 7, "at": 8}', None),
        ('{"files": {"a": 1}}', None),
        ('{"flag": true}', None),
        ('{"replication_key": "id", "replication_key_value": null}', None),
        ("7", None),
        (None, None),
    ],
)
def test_a_position_is_a_single_value(part, value):
    assert position.of(part) == value


def test_only_the_value_is_replaced():
    assert position.at(SDK, "2026-10-01", "s") == SDK.replace("2026-11-01T00:00:00Z", "2026-10-01")
    assert position.at('{"id":  7.0}', "12345678901234567890.10", "s") == '{"id":  12345678901234567890.10}'
    assert position.at('{"name": "b"}', 'a"', "s") == '{"name": "a\\""}'
    assert position.at(None, '{"id": 1.0}', "s") == '{"id": 1.0}'
    for part, value in ((None, "1"), ('{"a": 1, "b": 2}', "1"), ('{"id": 7}', "x"), (SDK, "7")):
        with pytest.raises(errors.ConfigError):
            position.at(part, value, "s")


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        (7, "10", -1),
        ("9", "10", -1),
        ("2026-11-01T00:00:00Z", "2026-11-01T01:00:00+01:00", 0),
        ("2026-11-01", "2026-11-01T00:00:01", -1),
        ("b", "a", 1),
        (7, "x", None),
        ("2026-11-01", "x", None),
        ("2026-11-01", "7", None),
        (None, 7, None),
        ("NaN", 7, None),
    ],
)
def test_values_are_compared_as_what_they_are(one, other, order):
    assert position.compare(one, other) == order
