"""The algebra of bookmarks holds for any value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dativo_protocol import clear_stream, decode, encode, get_stream, merge, same, set_stream
from dativo_protocol.bookmark import is_empty

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["boats", "ferries", "a.b", ""])
BOOKMARKS = st.fixed_dictionaries(
    {"bookmarks": st.dictionaries(NAMES, JSON, max_size=3)}, optional={"currently_syncing": NAMES}
)
ANY = st.one_of(BOOKMARKS, JSON)


@given(ANY)
def test_an_empty_update_changes_nothing(value):
    for empty in (None, {}, {"bookmarks": None}):
        assert same(merge(value, empty), value)


@given(ANY)
def test_merging_is_idempotent(value):
    once = merge(None, value)
    assert same(merge(once, value), once) or is_empty(value)


@given(BOOKMARKS, BOOKMARKS)
def test_each_stream_is_the_updates_or_the_bases(base, update):
    merged = merge(base, update)
    for stream in {*base["bookmarks"], *update["bookmarks"]}:
        owner = update if stream in update["bookmarks"] else base
        assert same(get_stream(merged, stream), get_stream(owner, stream))
    assert merged.get("currently_syncing") == update.get("currently_syncing")


@given(BOOKMARKS, BOOKMARKS, BOOKMARKS)
def test_merging_is_associative(a, b, c):
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))


@given(BOOKMARKS, NAMES, JSON)
def test_set_get_clear(value, stream, entry):
    before = encode(value)
    assert same(get_stream(set_stream(value, stream, entry), stream), entry)
    cleared = clear_stream(value, stream)
    assert stream not in cleared["bookmarks"]
    assert cleared.get("currently_syncing") != stream
    assert encode(value) == before


@given(ANY)
def test_a_value_is_the_same_in_any_spelling(value):
    loose = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True).encode()
    assert same(decode(loose), value)


@given(ANY, ANY)
def test_sameness_is_equality_of_types_too(a, b):
    assert same(a, b) == same(b, a)
    if same(a, b):
        assert a == b


@pytest.mark.parametrize("opaque", [{"cursor": 1}, [1], "page", {"bookmarks": [1]}])
def test_an_opaque_bookmark_has_no_streams(opaque):
    assert get_stream(opaque, "boats") is None
    with pytest.raises(ValueError, match="as a whole"):
        set_stream(opaque, "boats", {})
    with pytest.raises(ValueError, match="as a whole"):
        clear_stream(opaque, "boats")


def test_an_empty_bookmark_takes_streams():
    assert set_stream(None, "boats", 1) == {"bookmarks": {"boats": 1}}
    assert clear_stream({}, "boats") == {"bookmarks": {}}
