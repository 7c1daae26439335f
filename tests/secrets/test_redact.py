"""A value is hidden in whatever form it appears, whole or in pieces, and nothing else is."""

import base64
import json
import time
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dativo.secrets.redact import HIDDEN, Redactor, Shown

VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=8, max_size=40
)
AROUND = st.binary(max_size=7)


def knows(*values, **more):
    redactor = Redactor()
    for value in values:
        redactor.add(value, **more)
    return redactor


@given(VALUES, st.text(max_size=20), st.text(max_size=20))
def test_plain_json_and_repr(value, before, after):
    redactor = knows(value)
    for shown in (
        f"{before}{value}{after}",
        json.dumps({"k": value}),
        json.dumps({"k": value}, ensure_ascii=False),
        json.dumps(json.dumps({"k": value})),
        repr({"k": value}),
    ):
        assert value not in redactor.text(shown)
        assert HIDDEN in redactor.text(shown)
    assert json.dumps(value)[1:-1] not in redactor.text(json.dumps({"k": value}))


@given(VALUES)
def test_percent_encoded(value):
    redactor = knows(value)
    for encoded in (
        urllib.parse.quote(value),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        urllib.parse.urlencode({"password": value}).removeprefix("password="),
    ):
        assert redactor.text(f"https://host/?p={encoded}&x=1") == f"https://host/?p={HIDDEN}&x=1"


def test_percent_encoded_with_small_hex_digits():
    assert knows("a/b?c+d e").text("x=a%2fb%3fc%2bd%20e") == f"x={HIDDEN}"


@given(VALUES, AROUND, AROUND)
def test_inside_a_longer_base64_text(value, before, after):
    redactor = knows(value)
    for encode, decode in ((base64.b64encode, base64.b64decode), (base64.urlsafe_b64encode, base64.urlsafe_b64decode)):
        whole = encode(before + value.encode() + after).decode()
        for shown in (whole, whole.rstrip("=")):
            hidden = redactor.text(shown)
            assert HIDDEN in hidden
            left = "".join(part for part in hidden.split(HIDDEN))
            # What is left over decodes to nothing of the value but, at most, one character's worth at either end.
            assert len(left) <= len(whole) - (len(value.encode()) - 1) * 4 // 3 + 2


@given(VALUES)
def test_basic_authorization(value):
    header = base64.b64encode(f"reader:{value}".encode()).decode()
    assert header not in knows(value).text(f"Authorization: Basic {header}")


@given(st.lists(VALUES, min_size=1, max_size=3), st.lists(st.text(max_size=12), max_size=4), st.data())
def test_split_anywhere(values, between, data):
    """The pieces, put together again, are what the whole would have become."""
    redactor = knows(*values)
    text = "".join(
        piece for pair in zip([*between, "", "", "", ""], [*values, "", "", ""], strict=False) for piece in pair
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    stream, shown = redactor.stream(), ""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        shown += stream.feed(text[start:end])
        assert not any(value in shown for value in values)
    assert shown + stream.finish() == redactor.text(text)


def test_character_by_character():
    redactor = knows("abcabcabd", "cabd-long-one", "ab", referenced=True)
    text = "xabcabcabcabd-long-one ab cab ab."
    stream = redactor.stream()
    shown = "".join(stream.feed(char) for char in text) + stream.finish()
    assert shown == redactor.text(text)
    assert "abcabcabd" not in shown
    assert shown.endswith(f" {HIDDEN} cab {HIDDEN}.")


def test_overlapping_values_leave_no_rest():
    assert knows("xxab1", "ab1cdefgh").text("-xxab1cdefgh-") == f"-{HIDDEN}-"


def test_lines_of_a_key():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nshort\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    redactor = knows(key)
    assert redactor.text("line MIIEvQIBADANBgkq in a log") == f"line {HIDDEN} in a log"
    assert redactor.text("short") == "short"
    assert redactor.text(json.dumps(key)) == f'"{HIDDEN}"'
    assert "MIIEvQIBADANBgkq" in redactor.values()


def test_short_values_are_words():
    assert knows("abc").text("abc") == "abc"  # inline: it could be anything
    redactor = knows("abc", 17, referenced=True)
    assert redactor.text("abc abcd (abc) 17 170") == f"{HIDDEN} abcd ({HIDDEN}) {HIDDEN} 170"
    assert redactor.values() == ()
    assert knows("", "  ", None, True, referenced=True).empty


def test_objects_and_keys():
    redactor = knows({"user": "somebody-1", "n": [123456]})
    assert redactor.deep({"somebody-1": ["x 123456", 5, None]}) == {HIDDEN: [f"x {HIDDEN}", 5, None]}


def test_results_keep_everyday_words():
    redactor = knows("shop", "a-long-password")
    assert redactor.text("table shop a-long-password", sure=True) == f"table shop {HIDDEN}"
    assert redactor.text("table shop") == f"table {HIDDEN}"


def test_a_stream_for_people(capsys):
    import sys

    redactor = knows("hunter2hunter2")
    out = Shown(sys.stdout, redactor)
    print("password: hunter2", end="", file=out, flush=True)
    assert capsys.readouterr().out == "password: "
    print("hunter2", file=out)
    print("and a hunt", end="", file=out)
    assert capsys.readouterr().out == f"{HIDDEN}\nand a "
    out.release()
    assert capsys.readouterr().out == "hunt"
    with pytest.raises(TypeError):
        out.write(b"")


def test_a_large_value_is_no_brake():
    redactor = knows("\n".join(f"{number:064d}" for number in range(100)))
    began = time.monotonic()
    for number in range(300):
        redactor.text(f"an ordinary line {number} of a plugin, some eighty characters long, with nothing in it")
    assert time.monotonic() - began < 5
