import pytest

from dativo import errors
from dativo.state import bookmark

EXACT = (
    '{ "bookmarks" : {"a": {"v": 1.10, "big": 12345678901234567890.12345678901234567890},\n'
    ' "b":{"x":[1,{"y":"}"}]}}, "currently_syncing": null }'
)


def test_a_text_is_kept_byte_for_byte_and_a_mapping_keeps_its_digits():
    assert bookmark.exact_text(f" {EXACT}\n") == EXACT
    again = bookmark.exact_text(bookmark.parse(EXACT))
    assert "1.10" in again
    assert "12345678901234567890.12345678901234567890" in again
    assert bookmark.parse(again) == bookmark.parse(EXACT)


def test_numbers_longer_than_python_converts_survive():
    text = '{"n": ' + "9" * 6000 + ', "e": 1E400}'
    assert bookmark.exact_text(text) == text
    assert "9" * 6000 in bookmark.exact_text(bookmark.parse(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[1]", "a list"),
        ("null", "null"),
        ('"x"', "a string"),
        ("7", "a number"),
        ("true", "true or false"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1', "not JSON"),
        ('{"a": 1} {"b": 2}', "not JSON"),
        ('{"a": "\udcff"}', "UTF-8"),
        ("[" * 200_000, "too deeply"),
    ],
)
def test_anything_but_an_object_is_refused(text, says):
    with pytest.raises(errors.ConfigError) as caught:
        bookmark.exact_text(text)
    assert caught.value.code == "state.invalid"
    assert says in caught.value.message


def test_streams_are_the_members_of_bookmarks():
    assert bookmark.streams(EXACT) == {
        "a": '{"v": 1.10, "big": 12345678901234567890.12345678901234567890}',
        "b": '{"x":[1,{"y":"}"}]}',
    }
    assert bookmark.streams('{"bookmarks": null}') == {}
    assert bookmark.streams('{"cursor": 1}') == {}
    assert bookmark.streams('{"bookmarks": {"a": 1, "a": {"x": 2}}}') == {"a": '{"x": 2}'}


def test_replacing_a_stream_touches_nothing_else():
    changed = bookmark.with_stream(EXACT, "b", '{"x": 1.50}')
    assert changed == EXACT.replace('{"x":[1,{"y":"}"}]}', '{"x": 1.50}')
    added = bookmark.with_stream(EXACT, "c/ü", '{"z": 0}')
    assert bookmark.streams(added)["c/ü"] == '{"z": 0}'
    assert EXACT[EXACT.index('"a"') :] in added
    assert bookmark.with_stream("{}", "s", "{}") == '{"bookmarks": {"s": {}}}'
    assert bookmark.with_stream('{"bookmarks": {}}', "s", "{}") == '{"bookmarks": {"s": {}}}'


def test_removing_a_stream_removes_each_of_its_duplicates():
    text = '{"bookmarks": {"a": 1, "b": {"k": 1.0}, "a": 2}, "x": 1e0}'
    assert bookmark.without_stream(text, "a") == '{"bookmarks": {"b": {"k": 1.0}}, "x": 1e0}'
    with pytest.raises(errors.ConfigError) as caught:
        bookmark.without_stream(text, "c")
    assert caught.value.code == "state.unknown"
    assert caught.value.details == ("streams: a, b",)


@pytest.mark.parametrize("text", ['{"cursor": 1}', '{"bookmarks": [1]}'])
def test_a_bookmark_without_streams_takes_no_stream(text):
    with pytest.raises(errors.ConfigError) as caught:
        bookmark.with_stream(text, "a", "{}")
    assert caught.value.code == "state.invalid"


@pytest.mark.parametrize(
    ("text", "stream", "line"),
    [
        (None, None, "-"),
        ("{}", None, "-"),
        ('{"bookmarks":{"s":{"replication_key":"id","replication_key_value":7}}}', None, "s: id 7"),
        ('{"bookmarks":{"s":{"replication_key":"id","replication_key_value":7}}}', "s", "id 7"),
        ('{"bookmarks":{"s":{"lsn":713381696}}}', "s", "lsn 713381696"),
        ('{"bookmarks":{"s":{}}}', "s", "{}"),
        ('{"bookmarks":{"s":{}}}', "t", "-"),
        ('{"bookmarks":{"s":{},"t":{}}}', None, "2 streams"),
        ('{"cursor":\n  "x"}', None, '{"cursor": "x"}'),
        ('{"cursor":"' + "x" * 100 + '"}', None, '{"cursor":"' + "x" * 48 + "…"),
    ],
)
def test_description(text, stream, line):
    assert bookmark.describe(text, stream) == line
