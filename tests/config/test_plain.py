"""What libyaml reads is what ruamel.yaml reads, data and lines; all else is left to ruamel.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from dativo import errors
from dativo.config import document, plain
from tests.workspace import ROOT

ORDINARY = """\
# a project
version: 1
plugins:
  tap-x:   # with a comment
    config: {host: db.internal, port: 5432, ratio: 0.50, on: [a, "b", 'it''s', 10.0.0.5, 1.2.3], empty: , none: ~}
    select: ["a.*", '!b', -c, 2026-01-31]
    text: |
      two
        lines

    cron: 0 0 * * *
    cut: one
      two
    folded: >-
      one
      two

      three
    yes: no
    url: http://user@host:80/x#y
    odd: a:b
    id: 00000000-0000-0000-0000-000000000001
    hex: 1234567e-1234-5678-9abc-def012345678
    since: 2026-01-31
    "quoted key": null
    dotted.key: true
  target-y:
  - a
  - b: 1
    c: 2
  -
    d: 3
jobs: {}
list: []
"""
READ_WITH_CARE = (
    "a: &x 1\nb: *x\n", "a: !t 1\n", "a: 1\na: 2\n", "<<: {a: 1}\n", "a:\tb\n", "a: 1\r\n", "1: a\n", "true: a\n",
    "~: a\n", "a: 010\n", "a: 0x1f\n", "a: 1_000\n", "a: 1e3\n", "a: .5\n", "a: 5.\n", "a: .inf\n",
    "a: .nan\n", "a: +1\n",
    "a: 12:30:45\n", "a: 12345678901234567890123\n", "a: True\n", "a: NULL\n", "a: =\n", "%YAML 1.1\n---\na: 1\n",
    "a: 1\n---\nb: 2\n", "- a\n", "a\n", "", "# nothing\n", "a: [\n", "a: b: c\n", "? [a]\n: b\n",
    "a: \u2028b\n", "a: \x01\n", "a: " + "[" * 50 + "]" * 50 + "\n", "a: @b\n", "a: `b\n",
)  # fmt: skip


def carefully(text: str, *, dates: bool) -> tuple[dict[str, Any], Any] | str:
    """What ruamel.yaml gives, or that it refuses it."""
    walk = document._Walk(Path("x.yml"), "project.invalid")
    try:
        tree = document.parse_tree(text, Path("x.yml"), dates=dates)
        data = walk.plain(tree, ())
    except errors.DativoError as problem:
        return problem.message
    return data, walk.lines


def typed(value: Any) -> Any:
    """A value in which 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


def same(text: str, *, dates: bool) -> bool:
    """Whether it was read here; it is then what ruamel.yaml reads."""
    found = plain.read(text, dates=dates, most=document.MAX_VALUES, depth=document.MAX_DEPTH)
    if found is None:
        return False
    other = carefully(text, dates=dates)
    if isinstance(other, str) and "a comment stands where" in other:  # no matter to who keeps no comments
        return True
    assert not isinstance(other, str), other
    assert typed(found[0]) == typed(other[0])
    assert list(found[0]) == list(other[0])
    assert found[1] == other[1]
    return True


@pytest.mark.parametrize("dates", [False, True])
def test_an_ordinary_file(dates: bool) -> None:
    assert same(ORDINARY, dates=dates)


@pytest.mark.parametrize("text", READ_WITH_CARE)
def test_what_is_not_ordinary_is_read_with_care(text: str) -> None:
    assert plain.read(text, dates=False, most=50_000, depth=40) is None
    assert plain.read(text, dates=True, most=50_000, depth=40) is None


@pytest.mark.parametrize("text", ["2026-13-01", "2026-1-5", "2026-01-05T10:00:00Z", "2026-01-05 10:00", "20260-01-01x"])
def test_texts_that_could_be_dates(text: str) -> None:
    assert same(f"a: {text}\n", dates=False)
    assert plain.read(f"a: {text}\n", dates=True, most=50_000, depth=40) is None or same(f"a: {text}\n", dates=True)


def test_more_values_than_are_ordinary() -> None:
    assert plain.read("a: [1, 2, 3, 4]\n", dates=False, most=4, depth=40) is None
    assert plain.read("a: [[[1]]]\n", dates=False, most=40, depth=2) is None


def test_every_file_of_this_repository() -> None:
    read = [
        same(path.read_text("utf-8"), dates=dates)
        for folder in ("tests", "examples", "docs", ".")
        for path in sorted((ROOT / folder).rglob("*.yml") if folder != "." else ROOT.glob("*.yml"))
        if path.is_file() and path.stat().st_size < document.MAX_BYTES
        for dates in (False, True)
    ]
    assert sum(read) >= 10


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["yes", "no", "1.0", "0o7", "1e5", "null", "-", "2026-01-31", "a: b", "# x", "~"]),
)  # fmt: skip
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(min_size=1, max_size=8), trees, max_size=5), st.booleans(), st.booleans())
def test_whatever_is_written(data: dict[str, Any], flow: bool, dates: bool) -> None:
    import io

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    out = io.StringIO()
    yaml.dump(data, out)
    same(out.getvalue(), dates=dates)


PIECES = (
    "a", "b c", ": ", ":", "-", "- ", "\n", "\n  ", "\n    ", "#", " #", "{", "}", "[", "]", ", ", '"', "'",
    "|\n", "|-\n", ">\n", ">+\n", "1", "1.5", "2026-01-31", "true", "~", "?", "? ", "!", "&x ", "*x", "%", "@", "--- ",
    "...", "\\", "\\n", "<<", "é", "\U0001f600",
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.booleans())
def test_whatever_is_typed(pieces: list[str], dates: bool) -> None:
    same("k: " + "".join(pieces), dates=dates)
