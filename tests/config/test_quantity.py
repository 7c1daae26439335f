"""Sizes and durations."""

import pytest

from dativo.config.quantity import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1G", 1 << 30), ("64M", 64 << 20), ("64 MiB", 64 << 20), ("1.5k", 1536), ("7", 7), (12, 12), ("0", 0)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("250ms", 0.25),
        ("1h30m", 5400),
        (3, 3),
        (0.5, 0.5),
        ("7", 7),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "G", "-1", "1X", "1,5G", None, True, [], "1e400", -3])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="a size is expected"):
        parse_size(text)
    with pytest.raises(ValueError, match="a duration is expected"):
        parse_duration(text)
