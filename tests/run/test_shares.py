"""How the streams of a catalog are divided, and what each tap is handed of the bookmark."""

from __future__ import annotations

import json
from typing import Any

from dativo.run.isolate import selected
from dativo.run.shares import PER_TAP, divided


def entry(name: str, *, chosen: bool = True, **metadata: Any) -> dict[str, Any]:
    """A stream whose id and name differ, as those of tap-postgres do."""
    root = {"breadcrumb": [], "metadata": {"selected": chosen, **metadata}}
    return {"tap_stream_id": f"public-{name}", "stream": name, "schema": {}, "metadata": [root]}


def catalog(*entries: dict[str, Any]) -> str:
    return json.dumps({"streams": list(entries)})


def names(text: str, taps: int = 2, **options: Any) -> list[tuple[str, ...]]:
    return [one.streams for one in divided(text, taps, **options)]


def test_each_stream_is_alone_and_unselected_ones_are_nobodys():
    shares = divided(catalog(entry("a"), entry("b", chosen=False), entry("c")), 2)
    assert [one.streams for one in shares] == [("a",), ("c",)]
    assert [selected(one.catalog) for one in shares] == [["a"], ["c"]]
    assert shares[0].others == {"b", "public-b", "c", "public-c"}


def test_children_are_with_their_parent_however_far_below():
    text = catalog(
        entry("items", **{"parent-tap-stream-id": "public-orders"}),
        entry("lines", parent_tap_stream_id="public-items"),
        entry("others"),
        entry("orders"),
    )
    assert names(text) == [("items", "lines", "orders"), ("others",)]


def test_children_of_a_parent_that_is_not_selected_are_together():
    text = catalog(entry("p", chosen=False), entry("a", parent="p"), entry("b", parent="p"), entry("c"))
    assert names(text) == [("a", "b"), ("c",)]


def test_what_the_job_says_belongs_together():
    text = catalog(entry("a"), entry("b_1"), entry("b_2"), entry("c"))
    assert names(text, together=[["b_*"], ["public-a", "c"]]) == [("a", "c"), ("b_1", "b_2")]


def test_very_many_streams_share_taps():
    shares = divided(catalog(*(entry(f"s{at}") for at in range(100))), 2)
    assert len(shares) == 2 * PER_TAP
    assert sorted(name for one in shares for name in one.streams) == sorted(f"s{at}" for at in range(100))


def test_a_tap_is_handed_its_own_part_and_what_is_nobodys():
    share = divided(catalog(entry("a"), entry("b")), 2)[0]
    text = (
        '{"bookmarks": {"public-a": {"n": 1.50}, "b": {"n": 2}, "public-b": {"n": 2}, "gone": 3}, '
        '"currently_syncing": "b", "version": 12345678901234567890123}'
    )
    assert share.state(text) == '{"bookmarks":{"public-a":{"n":1.50},"gone":3},"version":12345678901234567890123}'
    assert share.state('{"bookmarks": {"b": 1}, "currently_syncing": "b"}') is None
    assert share.state(None) is None
