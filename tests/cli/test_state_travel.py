"""Comparing, rewinding and moving bookmarks, as a user types it."""

from __future__ import annotations

import json

import pytest

EXACT = '{"bookmarks": {"a": {"v": 1.10, "n": 12345678901234567890.5}, "b": {"id": 7}}}'
TAP_KEY = '{"replication_key": "updated_at", "replication_key_value": "%s", "v": 1.10}'


def orders(day, other=5):
    return f'{{"bookmarks": {{"orders": {TAP_KEY % day}, "users": {{"id": {other}}}}}}}'


@pytest.fixture
def shop(store):
    """Three runs of shop: 10, 200 and 3,000 orders."""
    days = ("2026-11-01T00:00:00Z", 10), ("2026-11-02T00:00:00Z", 200), ("2026-11-03T00:00:00Z", 3000)
    for number, (day, rows) in enumerate(days, 1):
        lease = store.acquire("shop")
        name = store.start_run(lease)
        store.commit(lease, orders(day, number), rows, rows)
        store.end_run(name, "done", None, {"streams": {"orders": {"records": rows}, "users": {"records": 1}}})
        store.release(lease)
    return store


def test_diff_shows_what_moved_by_stream(run, shop):
    said = run("state", "diff", "shop").out.splitlines()
    assert [line.split() for line in said] == [
        ["run:2", "now"],
        ["orders", "updated_at", "2026-11-02T00:00:00Z", "→", "updated_at", "2026-11-03T00:00:00Z"],
        ["users", "id", "2", "→", "id", "3"],
    ]
    found = json.loads(run("state", "diff", "shop", "run:1", "run:2", "--stream", "users", "--json").out)
    assert found == {
        "job": "shop",
        "from": "run:1",
        "to": "run:2",
        "streams": [{"stream": "users", "from": '{"id": 1}', "to": '{"id": 2}'}],
    }
    assert "run:3 and now are the same" in run("state", "diff", "shop", "run:3").err
    assert run("state", "diff", "shop", "log:3", "log:1", "--stream", "users").out.split()[-1] == "3"


def test_diff_takes_times_and_files(run, shop, tmp_path):
    (tmp_path / "old.json").write_text('{"completed": {"singer_state": {"bookmarks": {"users": {"id": 3}}}}}')
    rows = json.loads(run("state", "diff", "shop", "old.json", "--json").out)["streams"]
    assert [(row["stream"], row["from"]) for row in rows] == [("orders", None)]
    rows = json.loads(run("state", "diff", "shop", "at:2001-01-01", "now", "--json").out)["streams"]
    assert [(row["stream"], row["from"]) for row in rows] == [("orders", None), ("users", None)]
    for word, says in (
        ("run:9", "shop has no run:9 in its history"),
        ("log:0", "shop has no log:0"),
        ("at:noon", "at:noon names no time"),
        ("nope", "nope is no moment and no file"),
    ):
        said = run("state", "diff", "shop", word, code=2).err
        assert says in said and "hint" not in said.split("\n")[0]
    assert "did you mean shop?" in run("state", "diff", "shp", code=2).err


def test_rewind_says_what_it_costs_and_keeps_the_rest(run, shop):
    said = run("state", "rewind", "shop", "--stream", "orders", "--to", "run:1", code=2).err
    assert "would re-read about 3,200 rows (runs 3, 2)" in said
    assert "if its target does not overwrite by key, rows come twice" in said
    assert "give --yes" in said
    assert shop.bookmark("shop").text == orders("2026-11-03T00:00:00Z", 3)
    said = run("state", "rewind", "shop", "--stream", "orders", "--to", "run:1", "--dry-run")
    assert "3,200 rows" in said.err
    assert shop.bookmark("shop").origin == "run"
    run("state", "rewind", "shop", "--stream", "orders", "--to", "run:1", "--yes")
    assert shop.bookmark("shop").text == orders("2026-11-01T00:00:00Z", 3)  # every other byte stays
    newest = shop.log("shop")[0]
    assert (newest.origin, newest.reason) == ("set", "rewound to run:1")
    assert "it stands there already" in run("state", "rewind", "shop", "--stream", "orders", "--to", "run:1").err


def test_rewind_to_a_value(run, shop):
    answer = json.loads(
        run("state", "rewind", "shop", "--stream", "orders", "--to", "2026-11-02T00:00:00Z", "--yes", "--json").out
    )
    assert (answer["changed"], answer["runs"]) == (True, [3])
    assert shop.bookmark("shop").text == orders("2026-11-02T00:00:00Z", 3)
    run("state", "rewind", "shop", "--stream", "users", "--to", "2", "--yes")
    assert shop.bookmark("shop").text == orders("2026-11-02T00:00:00Z", 2)
    run("state", "rewind", "shop", "--stream", "users", "--to", '{"id": 1, "x": 1.0}', "--yes")
    assert '"users": {"id": 1, "x": 1.0}' in shop.bookmark("shop").text


def test_rewind_to_a_time_and_to_before_everything(run, shop):
    run("state", "rewind", "shop", "--to", "at:2001-01-01", "--yes")
    assert (shop.bookmark("shop").text, shop.bookmark("shop").origin) == ("{}", "clear")
    run("state", "rewind", "shop", "--to", "run:3", "--yes")  # forward again: the whole bookmark as it stood
    assert shop.bookmark("shop").text == orders("2026-11-03T00:00:00Z", 3)
    run("state", "rewind", "shop", "--stream", "users", "--to", "2001-01-01", "--yes")  # users counts: that is a time
    assert "users" not in json.loads(shop.bookmark("shop").text)["bookmarks"]


def test_rewind_refuses_what_would_lose_rows(run, shop):
    said = run("state", "rewind", "shop", "--stream", "orders", "--to", "2027-01-01", "--yes", code=2).err
    assert "is ahead of it" in said and "dativo state set" in said
    assert "add --stream NAME" in run("state", "rewind", "shop", "--to", "7", code=2).err
    assert "streams: orders, users" in run("state", "rewind", "shop", "--stream", "x", "--to", "run:1", code=2).err
    for stream, value, kind in (("users", "x7", "number"), ("orders", "7", "time")):
        said = run("state", "rewind", "shop", "--stream", stream, "--to", value, "--yes", code=2).err
        assert f"{value} is no {kind}, and the bookmark of {stream} holds one" in said
    lease = shop.acquire("shop")
    assert "error[job.busy]" in run("state", "rewind", "shop", "--to", "run:1", "--yes", code=5).err
    shop.release(lease)
    assert shop.bookmark("shop").text == orders("2026-11-03T00:00:00Z", 3)


def test_export_and_import_keep_every_byte(run, shop, tmp_path):
    shop.set("other", EXACT)
    text = run("state", "export").out
    document = json.loads(text)
    assert list(document["jobs"]) == ["other", "shop"]
    assert (document["jobs"]["shop"]["origin"], document["jobs"]["shop"]["records"]) == ("run", 3000)
    (tmp_path / "all.json").write_text(text)
    run("state", "clear", "shop", "--yes")
    said = run("state", "import", "all.json")
    assert "other: is there already" in said.err
    assert run("state", "get", "other").out == EXACT + "\n"
    assert shop.bookmark("shop").text == orders("2026-11-03T00:00:00Z", 3)
    assert shop.log("shop")[0].reason == "imported from all.json"
    run("state", "set", "shop", "{}", "--yes")
    assert list(json.loads(run("state", "export", "shop").out)["jobs"]) == ["shop"]
    assert "error[state.unknown]" in run("state", "export", "nope", code=2).err


@pytest.mark.parametrize(
    "given",
    [
        EXACT,
        f'{{"type": "STATE", "value": {EXACT}}}',
        f'{{"singer_state": {EXACT}}}',
        f'{{"state_id": "dev:x", "completed": {{"singer_state": {EXACT}}}, "partial": {{}}}}',
    ],
    ids=["bare", "message", "meltano", "meltano-3"],
)
def test_import_takes_other_tools_states(run, tmp_path, given):
    (tmp_path / "s.json").write_text(given)
    assert "say whose it is: --job NAME" in run("state", "import", "s.json", code=2).err
    run("state", "import", "s.json", "--job", "j")
    assert run("state", "get", "j").out == EXACT + "\n"
    run("state", "set", "j", "{}", "--yes")
    run("state", "set", "j", '{"n": 1}')
    said = run("state", "import", "s.json", "--job", "j", code=2).err
    assert "replace the bookmark of j: nobody is here to answer" in said
    assert run("state", "get", "j").out == '{"n": 1}\n'


def test_import_refuses_what_it_does_not_know(run, tmp_path):
    (tmp_path / "s.json").write_text('{"dativo": "bookmarks", "format": 99, "jobs": {}}')
    assert "newer Dativo" in run("state", "import", "s.json", code=2).err
    (tmp_path / "s.json").write_text('{"dativo": "bookmarks", "format": 1, "jobs": {"a": {"bookmark": {"n": 1}}}}')
    assert "it has: a" in run("state", "import", "s.json", "--job", "b", code=2).err
    assert json.loads(run("state", "import", "s.json", "--dry-run", "--json").out)[0]["to"] == '{"n": 1}'
    assert "a has no bookmark" in run("state", "get", "a", code=2).err
