"""tap-postgres against a real server: full and incremental loads, what an interruption costs, what is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipelines.tap_postgres import Tap, connection, exact
from tests.servers.postgres import Postgres
from tests.workspace import unique

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

ROWS = 50
EVENTS = f"""
    create table events (id bigint primary key, at timestamptz, place int not null, note text);
    insert into events select n, timestamptz '2026-01-01' + n / 4 * interval '1 minute', n / 4, 'row ' || n
      from generate_series(1, {ROWS}) as n;
    insert into events values (1000, null, 1000, 'no time')
"""
# 40 MB, so that it is cut into parts.
BIG = """
    create table big (id int primary key, filler text);
    insert into big select n, repeat(md5(n::text), 25) from generate_series(1, 45000) as n
"""


@pytest.fixture
def tap(program: Path, source: Postgres, tmp_path: Path) -> Tap:
    return Tap(program, tmp_path, connection(source, source.create_database(unique("tap"))))


def fill(tap: Tap, source: Postgres, *statements: str) -> None:
    for statement in statements:
        source.sql(statement, database=tap.config["dbname"])


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def test_a_full_load_has_a_version_of_its_own(tap: Tap, source: Postgres) -> None:
    fill(tap, source, EVENTS)
    first = tap.run().expect()
    assert first.order == "SARAT"  # at the first run what is there of other versions goes at once
    (version,) = first.versions["public-events"]
    assert {one["version"] for one in first.messages if one["type"] == "ACTIVATE_VERSION"} == {version}
    assert first.states == [{"bookmarks": {"public-events": {"version": version}}}]
    assert sorted(ids(first.records["public-events"])) == [*range(1, ROWS + 1), 1000]
    second = tap.run(state=first.states[-1]).expect()
    assert second.order == "SRAT"
    (newer,) = second.versions["public-events"]
    assert newer is not None and version is not None and newer > version


def test_an_incremental_run_goes_on_wherever_it_was_stopped(tap: Tap, source: Postgres) -> None:
    fill(tap, source, EVENTS)
    for key, inclusive in (("at", True), ("at", False), ("place", True), ("id", False)):
        settings: dict[str, Any] = {"batch_rows": 3, "replication_key_inclusive": inclusive}
        catalog = tap.catalog("public-events", replication_method="INCREMENTAL", replication_key=key)
        whole = tap.run(catalog=catalog, **settings).expect()
        rows = whole.records["public-events"]
        assert sorted(ids(rows)) == [*range(1, ROWS + 1), 1000]
        assert whole.schemas["public-events"]["bookmark_properties"] == [key]
        sent, seen = 0, set()
        for message in whole.messages:
            if message["type"] == "RECORD":
                sent += 1
            elif message["type"] == "STATE":
                again = tap.run(catalog=catalog, state=message["value"], **settings).expect()
                missing = set(ids(rows[sent:])) - set(ids(again.records.get("public-events", [])))
                assert missing == set(), f"{key} {inclusive}: a run from {message['value']} lacks {missing}"
                seen.add(str(message["value"]))
        assert len(seen) > 3
        last = whole.states[-1]["bookmarks"]["public-events"]
        assert last["replication_key"] == key
        after = tap.run(catalog=catalog, state=whole.states[-1], **settings).expect()
        boundary = [row for row in rows if inclusive and row[key] == rows[-1][key]]
        assert sorted(ids(after.records.get("public-events", []))) == sorted(ids(boundary))
        assert after.states[-1] == whole.states[-1]


def test_new_rows_come_and_another_key_starts_anew(tap: Tap, source: Postgres) -> None:
    fill(tap, source, EVENTS)
    catalog = tap.catalog("public-events", replication_method="INCREMENTAL", replication_key="id")
    state = tap.run(catalog=catalog).expect().states[-1]
    assert state == {"bookmarks": {"public-events": {"replication_key": "id", "replication_key_value": 1000}}}
    fill(tap, source, "insert into events values (1001, now(), 0, 'new')")
    assert ids(tap.run(catalog=catalog, state=state).expect().records["public-events"]) == [1000, 1001]
    other = tap.catalog("public-events", replication_method="INCREMENTAL", replication_key="place")
    again = tap.run(catalog=other, state=state).expect()
    assert len(again.records["public-events"]) == ROWS + 2
    assert "another replication key" in again.stderr


def test_several_workers_read_the_same_rows_under_one_snapshot(tap: Tap, source: Postgres) -> None:
    fill(tap, source, BIG)
    alone = tap.run().expect().records["public-big"]
    process = tap.start(workers=3, batch_rows=50)
    assert process.stdout is not None and process.stderr is not None
    head = [process.stdout.readline() for _ in range(3)]
    # Its snapshot is taken, most rows are not read: nobody reads its pipe. What changes now is of another time.
    fill(tap, source, "update big set filler = 'changed'", "delete from big where id % 2 = 0")
    fill(tap, source, "insert into big select n, 'new' from generate_series(50001, 60000) as n")
    rest = process.stdout.read()
    assert process.wait() == 0, process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    messages = [exact(line) for line in b"".join([*head, rest]).splitlines()]
    rows = [one["record"] for one in messages if one["type"] == "RECORD"]
    assert sorted(rows, key=lambda row: row["id"]) == sorted(alone, key=lambda row: row["id"])


def test_a_full_load_in_the_order_of_its_key_goes_on(tap: Tap, source: Postgres) -> None:
    fill(tap, source, EVENTS)
    settings: dict[str, Any] = {"resume_full_table": True, "batch_rows": 7}
    whole = tap.run(**settings).expect()
    (version,) = whole.versions["public-events"]
    rows, sent = ids(whole.records["public-events"]), 0
    assert rows == [*range(1, ROWS + 1), 1000]
    for message in whole.messages:
        if message["type"] == "RECORD":
            sent += 1
        elif message["type"] == "STATE" and sent < len(rows):
            again = tap.run(state=message["value"], **settings).expect()
            assert ids(again.records["public-events"]) == rows[sent:]
            assert again.versions["public-events"] == {version}
            assert again.order.endswith("AT") and not again.order.startswith("SA")
    # Without the setting the load starts anew, with another version.
    anew = tap.run(state=whole.states[0]).expect()
    assert len(anew.records["public-events"]) == len(rows)
    assert version not in anew.versions["public-events"]


def test_memory_does_not_grow_with_the_table(tap: Tap, source: Postgres) -> None:
    fill(
        tap, source, BIG, "insert into big select n, repeat(md5(n::text), 25) from generate_series(45001, 200000) as n"
    )
    process = tap.start()
    assert process.stdout is not None
    peak = 0
    while process.stdout.read(4 << 20):
        with contextlib.suppress(psutil.NoSuchProcess):
            peak = max(peak, psutil.Process(process.pid).memory_info().rss)
    process.communicate()
    assert 0 < peak < 64 << 20


def test_what_is_offered(tap: Tap, source: Postgres) -> None:
    fill(
        tap,
        source,
        EVENTS,
        "create schema other; create view other.recent as select id, note from events",
        "create materialized view other.kept as select id from events",
        "create table unique_only (a int not null, b int not null, c int, unique (a, b))",
        "create table parted (id int primary key, x int) partition by range (id)",
        "create table parted_1 partition of parted for values from (0) to (10); insert into parted values (3, 4)",
        "create table nothing ()",
    )
    offered = tap.discover()
    names = {"other-kept", "other-recent", "public-events", "public-parted", "public-unique_only"}
    assert set(offered) == names
    assert offered["public-unique_only"]["key_properties"] == ["a", "b"]
    assert offered["other-recent"]["key_properties"] == []
    assert offered["other-recent"]["metadata"][0]["metadata"]["is-view"] is True
    assert set(tap.discover(filter_schemas=["other"])) == {"other-kept", "other-recent"}
    sent = tap.run().expect()
    assert sent.records["public-parted"] == [{"id": 3, "x": 4}]
    assert len(sent.records["other-recent"]) == ROWS + 1


def test_only_what_is_selected_and_allowed_is_read(tap: Tap, source: Postgres) -> None:
    fill(tap, source, EVENTS)
    catalog = tap.catalog("public-events")
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] in (["properties", "note"], ["properties", "at"]):
            entry["metadata"]["selected"] = False
    sent = tap.run(catalog=catalog).expect()
    assert set(sent.records["public-events"][0]) == {"id", "place"}
    assert set(sent.schemas["public-events"]["schema"]["properties"]) == {"id", "place"}
    user = unique("reader").replace("-", "_")
    fill(tap, source, f"create user {user} password 'p'; grant select (place, note) on events to {user}")
    limited = tap.discover(user=user, password="p")["public-events"]
    assert set(limited["schema"]["properties"]) == {"place", "note"}
    assert limited["key_properties"] == []


def test_what_is_refused(tap: Tap, source: Postgres) -> None:
    fill(tap, source, EVENTS)
    stale = tap.catalog("public-events")
    stale["streams"][0]["schema"]["properties"]["gone"] = {"type": "string"}
    logged = tap.catalog("public-events", replication_method="LOG_BASED")
    wrong = {"bookmarks": {"public-events": {"replication_key": "at", "replication_key_value": "yesterday-ish"}}}
    by_time = tap.catalog("public-events", replication_method="INCREMENTAL", replication_key="at")
    url = f"postgresql://{source.user}:secret%2Fword@{source.host}:{source.port}/{tap.config['dbname']}"
    cases: list[tuple[int, str, dict[str, Any]]] = [
        (2, "config.invalid", {"password": "secret/word"}),
        (2, "config.invalid", {"url": url}),
        (2, "config.invalid", {"dbname": "no_such_database"}),
        (2, "config.invalid", {"sslmode": "require"}),
        (1, "database.unreachable", {"port": 1}),
        (2, "catalog.invalid", {"catalog": stale}),
        (2, "catalog.invalid", {"catalog": logged}),
        (2, "state.invalid", {"catalog": by_time, "state": wrong}),
        (2, "config.invalid", {"workers": 0}),
    ]
    for code, name, settings in cases:
        refused = tap.run(**settings).expect(code)
        assert f"error[{name}]" in refused.stderr, settings
        assert "  hint: " in refused.stderr
        assert "secret" not in refused.stderr
        assert refused.records == {}
