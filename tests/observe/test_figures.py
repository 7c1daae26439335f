from __future__ import annotations

import pytest

from dativo.observe import figures


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "row", "0 rows"), (1, "row", "1 row"), (336776, "row", "336,776 rows"), (367687, "", "367,687")],
)
def test_counts(number, noun, text):
    assert figures.count(number, noun) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1234, "1.2 k"), (412_345, "412 k"), (1_300_000, "1.3 M"), (2e9, "2.0 G")],
)
def test_three_digits_are_enough(number, text):
    assert figures.scaled(number) == text


def test_a_rate_needs_time():
    assert figures.rate(412_000, 1.0) == "412 k/s"
    assert figures.rate(0, 10) == ""
    assert figures.rate(20, 0.01) == ""
    assert figures.rate(5_000_000, 1, "B") == "5.0 MB/s"


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (1.31, "1.3 s"), (41.4, "41 s"), (125, "2 min 05 s"), (11520, "3 h 12 min")]
)
def test_durations(value, text):
    assert figures.seconds(value) == text


def test_control_characters_are_shown_not_obeyed():
    """I12"""
    assert figures.clean("a\x1b[31mb\rc\x07") == "a\\x1b[31mb\\rc\\x07"
    assert figures.clean("a\tb é 漢") == "a    b é 漢"
    assert figures.clean("\ud800") == "\\ud800"
    assert figures.short("a\nb   c") == "a b c"
    assert len(figures.short("x" * 100)) == figures.WIDTH


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, ""),
        ("{}", ""),
        ("[1]", ""),
        ("nonsense", ""),
        ('{"bookmarks":{"u":{"id":1}}}', ""),
        ('{"bookmarks":{"t":{"id":19}}}', "id:19"),
        ('{"bookmarks":{"t":{"replication_key":"updated_at","replication_key_value":"2026-11-22"}}}', "2026-11-22"),
        ('{"bookmarks":{"t":{"files":{"a.csv":3,"b.csv":9}}}}', "b.csv:9"),
        ('{"bookmarks":{"t":{"lsn":5,"xmin":null,"version":2}}}', "lsn 5 version 2"),
        ('{"bookmarks":{"t":{"partitions":[1]}}}', '{"partitions": [1]}'),
        ('{"bookmarks":{"t":"2026"}}', "2026"),
        ('{"bookmarks":{"t":null}}', "None"),
        ("[" * 100_000, ""),
    ],
)
def test_where_a_stream_stands(text, shown):
    assert figures.bookmark(text, "t") == shown


def test_times_are_local():
    assert len(figures.local_time("2026-11-23T06:10:00.123Z")) == len("2026-11-23 06:10")
    assert figures.local_time("yesterday") == "yesterday"
    assert figures.local_time(None) == "the last run"
