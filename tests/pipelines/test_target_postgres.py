"""target-postgres on a real server: tables, keys, versions, deletions, names, and ends that come too soon."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.faulty import until
from tests.pipelines.postgres_target import INTEGER, NUMBER, TEXT, TIME, Target, activate, record, schema, state
from tests.servers import postgres
from tests.servers.postgres import Postgres
from tests.workspace import ROOT, Workspace, installed

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1_200)]

ORDERS = schema("orders", {"id": INTEGER, "name": TEXT}, "id")

HELD = """
    select count(*) from pg_locks join pg_database d on d.oid = database
      where locktype = 'advisory' and granted and datname = current_database()
"""


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    plugins = [ROOT / "taps/tap-csv", ROOT / "targets/target-postgres"]
    return installed("ours-postgres", plugins, tmp_path_factory.mktemp("ours-postgres"))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres.cluster() as found:
        yield found


@pytest.fixture
def target(workspace: Workspace, server: Postgres, tmp_path: Path) -> Target:
    database = server.create_database(f"t{uuid.uuid4().hex[:12]}")
    return Target(workspace.executable("target-postgres"), server, database, tmp_path)


def order(number: int, name: str | None = None, version: int | None = None) -> str:
    return record("orders", version, id=number, name=name or f"order {number}")


def names(target: Target) -> dict[int, str]:
    return {row["id"]: row["name"] for row in target.rows('select id, name from "orders" order by id')}


def test_a_new_table_its_key_and_its_bookmark(target: Target) -> None:
    done = target.load(ORDERS, order(1), order(2), state({"id": 2}), job="shop")
    assert done.states == [{"id": 2}]
    assert names(target) == {1: "order 1", 2: "order 2"}
    assert target.types("orders") == {"id": "bigint", "name": "text"}
    key = "select indisprimary from pg_index where indrelid = 'orders'::regclass"
    assert target.sql(key) == "t"
    assert (target.bookmark("shop"), target.bookmark("other")) == ({"id": 2}, None)
    stored = target.rows("select job, value from _dativo_bookmarks")
    assert stored == [{"job": "shop", "value": '{"id": 2}'}]


MANY = 150_000
"""Rows of three batches, which one COPY takes."""


def test_a_key_that_is_there_already_is_found_behind_batches_that_went_straight(target: Target) -> None:
    target.load(ORDERS, order(MANY - 1, "of the run before"))
    target.load(ORDERS, *(order(n) for n in range(MANY)), order(5, "again"), order(MANY, "new"), state(1))
    found = target.rows("select count(*) as rows, count(distinct id) as keys from orders")
    assert found == [{"rows": MANY + 1, "keys": MANY + 1}]
    kept = target.rows(f"select name from orders where id in (4, 5, {MANY - 1}, {MANY}) order by id")
    assert [row["name"] for row in kept] == ["order 4", "again", f"order {MANY - 1}", "new"]


def test_a_row_that_the_server_refuses_is_named_in_whichever_batch_it_is(target: Target) -> None:
    target.load(ORDERS)
    target.sql("alter table orders add check (id <> 100000)")
    refused = target.refuse(ORDERS, *(order(n) for n in range(MANY)), state(1), code=4)
    assert "the row with id = 100000:" in refused and 'violates check constraint "orders_id_check"' in refused
    assert target.sql("select count(*) from orders") == "0"


def test_streams_in_turn_and_a_statement_timeout(target: Target) -> None:
    whose = f"role {target.server.user} in database {target.database}"
    target.sql(f"alter {whose} set statement_timeout = '1ms'")
    lines = schema("lines", {"id": INTEGER, "order": INTEGER})
    turns = [row for n in range(400) for row in (order(n % 100), record("lines", id=n, order=n % 100), state(n))]
    target.load(ORDERS, lines, *turns)
    target.sql(f"set statement_timeout = 0; alter {whose} reset statement_timeout")
    assert target.rows("select (select count(*) from orders) as orders, (select count(*) from lines) as lines") == [
        {"orders": 100, "lines": 400}
    ]


def test_a_stream_without_rows_has_a_table_all_the_same(target: Target) -> None:
    target.load(ORDERS)
    assert (names(target), target.bookmark()) == ({}, None)


def test_a_key_that_is_there_is_replaced_and_the_last_of_several_counts(target: Target) -> None:
    target.load(ORDERS, order(1, "a"), order(2, "b"), order(1, "c"))
    assert names(target) == {1: "c", 2: "b"}
    target.load(ORDERS, order(3, "d"), order(2, "e"), order(2, "f"))
    assert names(target) == {1: "c", 2: "f", 3: "d"}


def test_many_batches_with_and_without_known_keys(target: Target) -> None:
    rows = 140_000  # several batches: straight, then staged, then straight again
    target.load(ORDERS, *(order(n, "old") for n in range(rows)))
    again = [order(n, "new") for n in range(rows // 2, rows * 3 // 2)]
    target.load(ORDERS, *again, order(rows, "newest"))
    counted = target.rows("select name, count(*) as n, sum(id) as ids from orders group by name order by name")
    assert [(row["name"], row["n"]) for row in counted] == [("new", rows - 1), ("newest", 1), ("old", rows // 2)]


def test_append_and_streams_without_a_key(target: Target) -> None:
    target.load(ORDERS, order(1, "a"), order(1, "b"), mode="append")
    target.load(ORDERS, order(1, "c"), mode="append")
    keyless = schema("events", {"n": INTEGER})
    target.load(keyless, record("events", n=1), record("events", n=1), record("events"))
    assert target.sql("select string_agg(name, '' order by name) from orders") == "abc"
    assert target.sql("select count(*), count(n) from events") == "3|2"
    refused = target.refuse(ORDERS, order(1, "d"), code=2)
    assert "error[config.invalid]" in refused
    assert "mode" in refused


def test_a_row_without_its_key_is_refused(target: Target) -> None:
    refused = target.refuse(ORDERS, order(1), record("orders", id=None, name="x"), state(1), code=4)
    assert "error[data.rejected]" in refused
    assert '"orders"' in refused
    assert target.bookmark() is None


def test_overwrite_swaps_the_table_when_the_run_ends_well(target: Target) -> None:
    target.load(ORDERS, order(1), order(2))
    process = target.start(mode="overwrite")
    assert process.stdin is not None
    process.stdin.write(f"{ORDERS}\n{order(3)}\n{state(3)}\n")
    process.stdin.flush()
    until(lambda: target.sql(HELD) == "1", "the run")
    assert set(names(target)) == {1, 2}
    process.send_signal(signal.SIGTERM)
    process.wait()  # its input is open all the while
    stdout, _ = process.communicate()
    assert (process.returncode, stdout) == (143, "")
    assert set(names(target)) == {1, 2}
    assert target.load(ORDERS, order(4), state(4), mode="overwrite").states == [4]
    assert set(names(target)) == {4}
    target.load(ORDERS, order(5), order(5, "again"), mode="overwrite")
    assert names(target) == {5: "again"}
    assert target.bookmark(mode="overwrite") is None


def test_versions(target: Target) -> None:
    first = [order(n, version=1) for n in range(10)]
    target.load(ORDERS, *first, activate("orders", 1))
    target.load(ORDERS, *(order(n, "second", version=2) for n in range(4)), activate("orders", 2))
    assert names(target) == dict.fromkeys(range(4), "second")
    assert target.types("orders")["_sdc_table_version"] == "bigint"
    refused = target.refuse(ORDERS, activate("orders", 3), code=4)
    assert "error[data.delete_share]" in refused
    assert "4 of 4" in refused
    target.load(ORDERS, activate("orders", 3), max_delete_share=1)
    assert names(target) == {}


DELETABLE = schema("orders", {"id": INTEGER, "name": TEXT, "_sdc_deleted_at": TIME}, "id")


@pytest.mark.parametrize("hard", [False, True])
def test_deletions(target: Target, hard: bool) -> None:
    when = "2026-11-01T00:00:00Z"
    target.load(DELETABLE, *(order(n) for n in range(4)))
    gone = [
        record("orders", id=1, _sdc_deleted_at=when),  # keeps its name
        record("orders", id=2, name="bye", _sdc_deleted_at=when),
        order(3, "later"),
        record("orders", id=9, _sdc_deleted_at=when),  # nobody knows it
    ]
    target.load(DELETABLE, *gone, hard_delete=hard)
    kept = target.rows("select id, name, _sdc_deleted_at is not null as gone from orders order by id")
    if hard:
        assert [row["id"] for row in kept] == [0, 3]
    else:
        assert [(row["id"], row["name"], row["gone"]) for row in kept] == [
            (0, "order 0", False),
            (1, "order 1", True),
            (2, "bye", True),
            (3, "later", False),
            (9, None, True),
        ]


def test_columns_widen_come_and_stay(target: Target) -> None:
    declared = {"id": INTEGER, "n": INTEGER, "f": NUMBER, "b": {"type": "boolean"}, "at": TIME, "old": TEXT}
    at = "2026-11-01T02:03:04.5Z"
    target.load(schema("t", declared, "id"), record("t", id=1, n=5, f=0.1, b=True, at=at, old="kept"))
    later = {"id": INTEGER, "n": NUMBER, "f": TEXT, "b": INTEGER, "at": TEXT, "fresh": {"type": "object"}}
    values = {"n": 1.5, "f": "x", "b": 7, "at": "soon", "fresh": {"a": [1.25]}, "extra": "undeclared"}
    target.load(schema("t", later, "id"), record("t", id=2, **values))
    big = 123456789012345678901234567890
    integers = schema("t", {"id": INTEGER, "n": INTEGER}, "id")
    target.load(integers, record("t", id=3, n=2**53 + 1), record("t", id=4, n=big))
    assert target.types("t") == {
        "id": "bigint",
        "n": "numeric",
        "f": "text",
        "b": "text",
        "at": "text",
        "old": "text",
        "fresh": "jsonb",
        "extra": "jsonb",
    }
    found = target.sql("select n, f, b, at, old, fresh, extra from t order by id").splitlines()
    assert found == [
        "5|0.1|true|2026-11-01T02:03:04.500000Z|kept||",
        '1.5|x|7|soon||{"a": [1.25]}|"undeclared"',
        "9007199254740993||||||",
        f"{big}||||||",
    ]


def test_names_are_data(target: Target) -> None:
    long = "é" * 40
    streams = [
        "public-orders",
        "Orders",
        "orders",
        'say "hi"; drop table x',
        "a.b.c",
        long,
        f"{long}x",
        "",
        "_dativo_bookmarks",
    ]
    columns = ["id", "ID", 'q"uo`te', "dots.and spaces", long, f"{long}x", "ctid", "", "ünïcode 🍎", "_dativo_stage_0"]
    messages = []
    for number, stream in enumerate(streams):
        values = {name: f"{number} {name}" for name in columns}
        messages += [schema(stream, dict.fromkeys(columns, TEXT), "ID"), record(stream, **values)]
    for _ in range(2):
        target.load(*messages, state(1))
    tables = target.rows("select tablename as name from pg_tables where schemaname = 'public'")
    found = [row["name"] for row in tables]
    assert len(found) == len(streams) + 1
    assert {"public-orders", "Orders", "orders", 'say "hi"; drop table x', "a.b.c", "_dativo_bookmarks"} <= set(found)
    assert (
        target.sql("select string_agg(nspname, ',') from pg_namespace where nspname !~ '^(pg_|information)'")
        == "public"
    )
    for name in set(found) - {"_dativo_bookmarks"}:
        quoted = '"' + name.replace('"', '""') + '"'
        (row,) = target.rows(f"select * from {quoted}")
        number = row["id"].split(" ")[0]
        assert sorted(row.values()) == sorted(f"{number} {column}" for column in columns)
    assert target.bookmark() == 1


def test_another_schema_and_names_by_a_template(target: Target) -> None:
    target.load(ORDERS, order(1), state(1), default_target_schema="Lake", table_name="raw_{stream}")
    assert target.sql('select name from "Lake".raw_orders') == "order 1"
    assert (target.bookmark(), target.bookmark(default_target_schema="Lake")) == (None, 1)
    assert "table_name" in target.refuse(ORDERS, table_name="x", code=2)


def test_what_a_view_needs_is_not_changed(target: Target) -> None:
    target.load(ORDERS, order(1))
    target.sql("create view seen as select id, name from orders")
    refused = target.refuse(ORDERS, order(2), mode="overwrite", code=2)
    assert "error[config.invalid]" in refused
    assert set(names(target)) == {1}
    target.sql("create view v as select 1")
    assert "no table" in target.refuse(schema("v", {"id": INTEGER}), code=2)


def test_killed_in_the_middle_no_row_is_lost_or_twice(target: Target) -> None:
    rows, sent = 60_000, 0
    keyless = schema("events", {"n": INTEGER, "text": TEXT})
    for attempt in range(4):
        stored = target.bookmark()
        first = 0 if stored is None else stored["n"]
        process = target.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{keyless}\n")
        confirmed = ""
        try:
            for n in range(first, rows):
                process.stdin.write(record("events", n=n, text="x" * 50) + "\n")
                if n % 500 == 499:
                    process.stdin.write(state({"n": n + 1}) + "\n")
                if attempt < 3 and n == first + 15_000:
                    process.stdin.flush()
                    confirmed = process.stdout.readline()  # something is committed
                    break
        except BrokenPipeError:
            pytest.fail(process.communicate()[1])
        if attempt < 3:
            assert confirmed, process.communicate()[1]
            process.kill()
            process.communicate()
            sent += 1
        else:
            assert process.communicate()[1] == "" or process.returncode == 0
    assert sent == 3
    assert target.sql("select count(*), count(distinct n), max(n) from events") == f"{rows}|{rows}|{rows - 1}"
    assert target.bookmark() == {"n": rows}


def test_sigterm_keeps_what_the_last_state_covers(target: Target) -> None:
    process = target.start()
    assert process.stdin is not None
    process.stdin.write("\n".join([ORDERS, order(1), state(1), order(2)]) + "\n")
    process.stdin.flush()
    until(lambda: target.sql("select count(*) from pg_tables where tablename = 'orders'") == "1", "the commit")
    process.send_signal(signal.SIGTERM)
    process.wait()  # its input is open all the while
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (143, "1\n"), stderr
    assert (names(target), target.bookmark()) == ({1: "order 1"}, 1)


def test_two_runs_of_a_job_do_not_mix(target: Target) -> None:
    process = target.start(job="one")
    until(lambda: target.sql(HELD) == "1", "the lock")
    refused = target.run([ORDERS], job="one", lock_timeout=1)
    assert (refused.code, "error[env.locked]" in refused.errors, "lock_timeout" in refused.errors) == (3, True, True)
    target.load(ORDERS, order(1), job="two", lock_timeout=1)
    assert process.communicate("")[1] == ""
    target.load(ORDERS, order(2), job="one", lock_timeout=1)


def test_a_server_that_stops_is_worth_another_try(workspace: Workspace, tmp_path: Path) -> None:
    with postgres.cluster() as server:
        target = Target(workspace.executable("target-postgres"), server, server.database, tmp_path)
        process = target.start()
        assert process.stdin is not None
        process.stdin.write("\n".join([ORDERS, order(1), state(1)]) + "\n")
        process.stdin.flush()
        until(lambda: target.sql("select count(*) from pg_tables where tablename = 'orders'") == "1", "the commit")
        server.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'target-postgres'")
        _, stderr = process.communicate(f"{order(2)}\n{state(2)}\n")
        assert (process.returncode, "error[database.unreachable]" in stderr) == (1, True), stderr
        assert target.bookmark() == 1
        target.load(ORDERS, order(2), state(2))
        assert set(names(target)) == {1, 2}
    refused = target.refuse(ORDERS, order(3), code=1)
    assert "error[database.unreachable]" in refused
    assert "Connection refused" in refused


def test_who_may_not_come_in_learns_which_setting(target: Target) -> None:
    refused = target.refuse(ORDERS, password="geheim-falsch", code=2)
    assert ("`password`" in refused, "geheim" in refused) == (True, False), refused
    assert "`dbname`" in target.refuse(ORDERS, dbname="nowhere", code=2)
    target.sql("create role poor login password 'poor'; revoke create on schema public from public")
    assert "`user`" in target.refuse(ORDERS, user="poor", password="poor", code=2)


def test_under_dativo_in_the_strict_sandbox(workspace: Workspace, target: Target, tmp_path: Path) -> None:
    project = workspace.branch(tmp_path / "project")
    (project.folder / "people.csv").write_text("id,name\n1,Ana\n2,Bruno\n", "utf-8")
    settings = json.loads(target.config().read_text("utf-8"))
    tap = {"files": ["people.csv"], "key_properties": {"people": ["id"]}}
    network = [f"{target.server.host}:{target.server.port}"]
    project.configure({"tap-csv": {"config": tap}, "target-postgres": {"config": settings}})
    project.dativo("allow", "target-postgres", "--network", *network)
    for number in (2, 3):
        project.dativo("run", "tap-csv", "target-postgres", "--sandbox", "strict", "--job", "people").expect()
        assert target.sql("select count(*) from people") == str(number)
        with (project.folder / "people.csv").open("a") as file:
            file.write("3,Cem\n")
    assert project.bookmark("people") == target.bookmark("people")
