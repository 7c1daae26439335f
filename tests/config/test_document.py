"""YAML as data with lines, and everything that is refused."""

from pathlib import Path

import pytest

from dativo import errors
from dativo.config.document import MAX_BYTES, load, parse

FILE = Path("dativo.yml")


def refused(text, path=FILE):
    with pytest.raises(errors.ConfigError) as caught:
        parse(text, path)
    assert caught.value.code == "project.invalid"
    return caught.value.message


def test_plain_data_and_lines():
    found = parse("a: 1\nb:\n  c: [x, y]\n  d: 2024-01-01\n  e: 1.5\n  g: on\n  h: |\n    long\n    text\n", FILE)
    assert found.data == {"a": 1, "b": {"c": ["x", "y"], "d": "2024-01-01", "e": 1.5, "g": "on", "h": "long\ntext\n"}}
    assert found.where(("b", "d")) == "dativo.yml:4"
    assert found.where(("b", "c", 1)) == "dativo.yml:3"
    assert found.where(("b", "missing", "deeper")) == "dativo.yml:2"
    assert found.where(("nowhere",)) == "dativo.yml"


def test_comments_that_the_round_trip_cannot_keep():
    """Ordinary text is read for all that; what needs the careful reader is an error with a line to change."""
    assert parse("k: #\n  |\n\n", FILE).data == {"k": ""}
    assert "a comment stands where it cannot be kept" in refused("k: #\n  |\n\na: &x 1\n")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_empty_is_an_empty_mapping(text):
    assert parse(text, FILE).data == {}


def test_aliases_and_merges_are_understood():
    found = parse("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3\n", FILE).data
    assert found["c"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'dativo.yml:3: duplicate key "a"'),
        ("x: 1\na: !!python/object:os.system x\n", "dativo.yml:2: the tag"),
        ("a: !mine {b: 1}\n", "dativo.yml:1: the tag !mine is not allowed"),
        ("a: !!binary aGk=\n", "dativo.yml:1:"),
        ("a: [1\n", "dativo.yml:2:"),
        ("a:\tb\n", "dativo.yml:1:"),
        ("a: .nan\n", "dativo.yml:1: infinity and NaN"),
        ("x:\n  1: a\n", "dativo.yml:1: the key 1 is not text"),
        ("- a\n", "dativo.yml:1: a mapping of keys is expected, not a list"),
        ("hello", "dativo.yml:1: a mapping of keys is expected, not text"),
        ("a: 1\n---\nb: 2\n", "dativo.yml:2:"),
        ("a: \x01\n", "dativo.yml: not YAML"),
        ("a: " + "[" * 3000, "dativo.yml: nested too deeply"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 40 levels deep"),
    ],
)
def test_refused(text, said):
    assert said in refused(text)


def test_a_duplicate_key_shows_no_value():
    assert "hunter2" not in refused("password: hunter2\npassword: hunter3\n")


def test_a_bomb_of_aliases_is_refused_quickly():
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join(['*' + before] * 9)}]")
    assert "more than 50,000 values" in refused("\n".join(lines))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(errors.ConfigError, match="does not exist"):
        load(tmp_path / "none.yml")
    file = tmp_path / "latin.yml"
    file.write_bytes(b"a: 1\nb: \xe4\n")
    with pytest.raises(errors.ConfigError, match=r"latin.yml:2: not UTF-8"):
        load(file)
    file.write_bytes(b"a: " + b"x" * MAX_BYTES)
    with pytest.raises(errors.ConfigError, match="at most"):
        load(file)
