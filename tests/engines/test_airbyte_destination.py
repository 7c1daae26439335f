"""The catalog of a destination: names, keys, and the mode that each stream gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dativo import errors
from dativo.engines.airbyte_destination import Start, capabilities, configured
from dativo.engines.airbyte_generations import Loads
from dativo.run.adapting import renaming

ALL = frozenset({"append", "overwrite", "upsert"})


def stream(name: str = "boats", *, keys: tuple[str, ...] = ("id",), method: str = "FULL_TABLE", **more: Any) -> Any:
    root = {"selected": True, "replication-method": method, **more.pop("root", {})}
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "card": {"type": "string"}}}
    given = {"tap_stream_id": name, "stream": name, "schema": schema, "key_properties": list(keys)}
    return {**given, "metadata": [{"breadcrumb": [], "metadata": root}, *more.pop("columns", ())], **more}


def modes(*streams: Any, can: frozenset[str] = ALL, **start: Any) -> list[str]:
    found = configured(Start({"streams": list(streams)}, **start), can, "destination-x")
    return [one["destination_sync_mode"] for one in found.catalog["streams"]]


def refused(*streams: Any, can: frozenset[str] = ALL, **start: Any) -> errors.ConfigError:
    with pytest.raises(errors.ConfigError) as problem:
        modes(*streams, can=can, **start)
    assert problem.value.code == "catalog.invalid"
    return problem.value


BOOKMARK = json.dumps({"bookmarks": {"boats": {"id": 7}}})
OTHERS = json.dumps({"bookmarks": {"crews": {"id": 7}, "boats": {}}})
STOPPED = json.dumps({"bookmarks": {"crews": {"id": 7}}, "currently_syncing": "crews"})
STRANGE = json.dumps({"at": 7})
OF_AIRBYTE = json.dumps({"bookmarks": {"boats": {"stream_state": {}}}, "airbyte": {"type": "STREAM"}})


@pytest.mark.parametrize(
    ("given", "start", "mode"),
    [
        (stream(), {}, "overwrite"),
        (stream(keys=()), {}, "overwrite"),
        (stream(), {"begun": True}, "append_dedup"),
        (stream(keys=()), {"begun": True}, "append"),
        (stream(), {"state": BOOKMARK}, "append_dedup"),
        (stream(), {"state": OTHERS}, "overwrite"),
        (stream(), {"state": STOPPED}, "append_dedup"),
        (stream(), {"state": STRANGE}, "append_dedup"),
        (stream(), {"state": OF_AIRBYTE}, "overwrite"),
        (stream(), {"state": "{}"}, "overwrite"),
        (stream(method="INCREMENTAL"), {}, "append_dedup"),
        (stream(method="LOG_BASED", keys=()), {}, "append"),
        (stream(method=""), {}, "append_dedup"),
        (stream(root={"destination-sync-mode": "append"}), {}, "append"),
        (stream(root={"destination-sync-mode": "overwrite"}), {"begun": True}, "append_dedup"),
        (stream(root={"destination-sync-mode": "overwrite"}), {"state": BOOKMARK}, "overwrite"),
        (stream(keys=(), root={"table-key-properties": ["id"]}, method="INCREMENTAL"), {}, "append_dedup"),
    ],
)
def test_modes(given: Any, start: dict[str, Any], mode: str) -> None:
    assert modes(given, **start) == [mode]


def generation(given: Any, loads: Loads, can: frozenset[str] = ALL, **start: Any) -> tuple[int, int, int]:
    found = configured(Start({"streams": [given]}, loads=loads, **start), can, "destination-x").catalog["streams"][0]
    return found["generation_id"], found["minimum_generation_id"], found["sync_id"]


def test_a_generation_begins_where_a_stream_is_read_anew() -> None:
    kept: list[Any] = []
    known = {"boats": {"generation": 4, "minimum": 4}}
    assert generation(stream(), Loads(7, known, kept.append)) == (7, 7, 7)
    assert kept == [{"boats": {"generation": 7, "minimum": 7, "name": "boats", "namespace": None}}], "before it starts"
    assert generation(stream(), Loads(7, known, kept.append), frozenset({"append"})) == (7, 0, 7)
    assert generation(stream(method="INCREMENTAL"), Loads(7, known, kept.append)) == (7, 0, 7)
    kept.clear()
    for start in ({"begun": True}, {"state": BOOKMARK}, {"state": STOPPED}):
        assert generation(stream(), Loads(7, known, kept.append), **start) == (4, 4, 7)
    assert generation(stream(), Loads(7, {}, kept.append), begun=True) == (0, 0, 7), "of before they were counted"
    assert generation(stream(), Loads(7, known, kept.append, goes_on=True), frozenset({"append"})) == (4, 4, 7)
    assert [one["boats"]["generation"] for one in kept] == [4, 4, 4, 0, 4]
    chosen = stream(root={"destination-sync-mode": "overwrite"})
    assert generation(chosen, Loads(7, known), state=BOOKMARK) == (7, 7, 7)


def test_another_attempt_is_of_the_same_generation() -> None:
    loads = Loads(7, {})
    assert generation(stream(), loads) == (7, 7, 7)
    assert generation(stream(), loads) == (7, 7, 7)
    assert generation(stream(), loads, begun=True) == (7, 7, 7)
    behind = Loads(2, {"boats": {"generation": 9, "minimum": 0}})
    assert generation(stream(), behind) == (10, 10, 2), "never one that was used"


def test_other_names() -> None:
    """As the data plane makes them for Singer targets (adapt/names.rs); no namespace is left beside them."""
    for template, name, made in (
        ("{table}", "public-air-lines", "air-lines"),
        ("{table}", "users", "users"),
        ("raw_{schema}_{table}", "public-x", "raw_public_x"),
        ("{name}", "a.b-c/é", "a_b_c_é"),
        ("x{stream}", "a-b", "xa-b"),
    ):
        given = stream(name, root={"schema-name": "public"}, stream=name)
        found = configured(Start({"streams": [given]}, renamed=renaming(template)), ALL, "destination-x")
        assert (found.catalog["streams"][0]["stream"]["name"], found.streams[0]["name"]) == (made, made)
        assert (found.streams[0]["namespace"], found.streams[0]["stream"]) == (None, name)
        assert "namespace" not in found.catalog["streams"][0]["stream"]
    for names, template in ((("a-t", "b-t"), "{table}"), (("a-",), "{table}")):
        with pytest.raises(errors.DataError) as problem:
            configured(Start({"streams": [*map(stream, names)]}, renamed=renaming(template)), ALL, "destination-x")
        assert problem.value.code == "data.stream_name"


def test_what_it_lacks() -> None:
    assert modes(stream(), can=frozenset({"append"})) == ["append"]
    assert modes(stream(), can=frozenset({"append", "upsert"})) == ["append_dedup"]
    only = refused(stream(method="INCREMENTAL"), can=frozenset({"overwrite"}))
    assert "it only overwrites" in only.message and "FULL_TABLE" in only.hint
    assert "needs a key" in refused(stream(keys=(), method="INCREMENTAL"), can=frozenset({"upsert"})).message
    wrong = refused(stream(root={"destination-sync-mode": "overwrite"}), can=frozenset({"append"}))
    assert "it cannot do that" in wrong.message and wrong.hint == "it offers append"
    no_key = refused(stream(keys=(), root={"destination-sync-mode": "append_dedup"}))
    assert "the stream has no key" in no_key.message
    part = refused(stream(method="INCREMENTAL", root={"destination-sync-mode": "overwrite"}))
    assert "read in full" in part.message
    assert "has no catalog to tell them by" in str(refused_without_catalog())


def refused_without_catalog() -> errors.ConfigError:
    with pytest.raises(errors.ConfigError) as problem:
        configured(Start(None), ALL, "destination-x")
    return problem.value


def test_names() -> None:
    """SCHEMA-TABLE of SQL taps, the AirbyteStream of a source, and what PipelineWise's taps call their streams."""
    sql = stream("public-boats", root={"schema-name": "public"})
    own = stream("shop-crews", airbyte_stream={"name": "crews", "namespace": "shop", "supported_sync_modes": []})
    wise = {**stream("db-harbour-quays", root={"schema-name": "harbour"}), "stream": "quays"}
    plain = stream("a-b")
    found = configured(Start({"streams": [sql, own, wise, plain]}), ALL, "destination-x")
    told = [(one["namespace"], one["name"], one["stream"], one["also"]) for one in found.streams]
    assert told == [
        ("public", "boats", "public-boats", ["public-public-boats"]),
        ("shop", "crews", "shop-crews", []),
        ("harbour", "quays", "quays", ["db-harbour-quays", "harbour-quays"]),
        (None, "a-b", "a-b", []),
    ]
    assert found.catalog["streams"][0]["stream"]["namespace"] == "public"
    assert "namespace" not in found.catalog["streams"][3]["stream"]


def test_a_name_is_one_streams() -> None:
    one = {**stream("db-quays", root={"schema-name": "a"}), "stream": "quays"}
    found = configured(Start({"streams": [one, stream("a-quays"), stream("db-quays2")]}), ALL, "destination-x")
    assert [each["also"] for each in found.streams] == [["db-quays"], [], []]


def test_only_what_is_selected() -> None:
    hidden = {"breadcrumb": ["properties", "card"], "metadata": {"selected": False}}
    left = stream("crews", root={"selected": False})
    found = configured(Start({"streams": [stream(columns=[hidden]), left]}), ALL, "destination-x")
    (boats,) = found.catalog["streams"]
    assert set(boats["stream"]["json_schema"]["properties"]) == {"id"}
    assert (boats["sync_mode"], boats["primary_key"]) == ("full_refresh", [["id"]])
    cursor = stream(method="INCREMENTAL", root={"replication-key": "id"})
    (boats,) = configured(Start({"streams": [cursor]}), ALL, "destination-x").catalog["streams"]
    assert (boats["sync_mode"], boats["cursor_field"]) == ("incremental", ["id"])


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["append", "append_dedup", "overwrite"], ["append", "overwrite", "upsert"]),
        (["overwrite", "update", 7], ["overwrite"]),
        ([], ["append"]),
        (None, ["append"]),
        ("append_dedup", ["append"]),
    ],
)
def test_capabilities(said: Any, found: list[str]) -> None:
    assert capabilities({"supported_destination_sync_modes": said}) == found
