"""Ways of writing: append, upsert, overwrite, deletions, versions, undeclared properties, names."""

from __future__ import annotations

import json

import pytest


def rows(target, what: str = "*", table: str = "t") -> list[tuple]:
    return target.sql(f'SELECT {what} FROM "{table}" ORDER BY ALL')


def test_append_without_keys(target, singer) -> None:
    lines = singer.schema() + singer.record('{"id":1,"v":"a"}')
    assert target.load(lines).code == target.load(lines).code == 0
    assert rows(target) == [(1, "a"), (1, "a")]


def test_append_with_keys_on_request(target, singer) -> None:
    lines = singer.schema(keys=["id"]) + singer.record('{"id":1,"v":"a"}') + singer.record('{"v":"b"}')
    assert target.load(lines, mode="append").code == 0
    assert rows(target) == [(1, "a"), (None, "b")]


def test_an_empty_record_is_a_row(target, singer) -> None:
    lines = singer.schema() + singer.record("{}") + singer.record('{"v":null}')
    assert target.load(lines).code == target.load(singer.schema() + singer.record("{}")).code == 0
    assert rows(target) == [(None, None)] * 3
    nothing = target.load(singer.schema({}, stream="none") + singer.record("{}", stream="none"))
    assert (nothing.code, "error[data.rejected]" in nothing.err) == (4, True)


def test_upsert_last_wins_within_and_across_batches(target, singer) -> None:
    lines = singer.schema(keys=["id"])
    for at in range(50):
        lines += singer.record(f'{{"id":{at % 7},"v":"{at}"}}')
    assert target.load(lines, batch_rows=1).code == 0
    wanted = [(key, str(max(at for at in range(50) if at % 7 == key))) for key in range(7)]
    assert rows(target) == wanted
    assert target.load(singer.schema(keys=["id"]) + singer.record('{"id":3,"v":"new"}')).code == 0
    assert rows(target, "v") == sorted([("new",), *((v,) for k, v in wanted if k != 3)])


def test_upsert_on_several_keys_compares_values_not_texts(target, singer) -> None:
    properties = {"k": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}, "v": {"type": "string"}}
    lines = singer.schema(properties, ["k", "at"])
    lines += singer.record('{"k":1,"at":"2026-11-23T06:00:00Z","v":"old"}')
    lines += singer.record('{"k":1,"at":"2026-11-23T08:00:00+02:00","v":"new"}')
    lines += singer.record('{"k":1,"at":null,"v":"x"}') + singer.record('{"k":1,"at":null,"v":"y"}')
    assert target.load(lines).code == 0
    assert rows(target, "v") == [("new",), ("y",)]


@pytest.mark.parametrize("broken", ['{"v":"b"}', '{"id":null,"v":"b"}'])
def test_a_record_without_its_key_ends_the_run_at_the_last_state(target, singer, broken) -> None:
    lines = singer.schema(keys=["id"]) + singer.record('{"id":1,"v":"a"}') + singer.state({"at": 1})
    result = target.load(lines + singer.record('{"id":2,"v":"a"}') + singer.record(broken))
    assert result.code == 4
    assert 'error[data.rejected]  line 5: a record of "t" lacks its key "id"' in result.err
    assert result.states == ['{"at": 1}']
    assert rows(target) == [(1, "a")]


def test_overwrite_replaces_the_table_at_the_end_only(target, singer) -> None:
    old = singer.schema({"gone": {"type": "string"}}) + singer.record('{"gone":"x"}') + singer.state({"at": 1})
    assert target.load(old).code == 0
    new = singer.schema() + "".join(
        singer.record(f'{{"id":{at},"v":"a"}}') + singer.state({"at": at}) for at in range(9)
    )
    broken = target.load(new + "{", mode="overwrite", batch_rows=2)
    assert (broken.code, broken.out) == (4, "")
    assert rows(target) == [("x",)]
    assert target.bookmark(mode="overwrite").out == ""  # a table that is overwritten starts from the beginning
    result = target.load(new, mode="overwrite", batch_rows=2)
    assert (result.code, result.states) == (0, ['{"at": 8}'])
    assert rows(target, "id") == [(at,) for at in range(9)]
    assert list(target.columns("t")) == ["id", "v"]


def test_activate_version_deletes_older_rows(target, singer) -> None:
    def full(version: int, count: int) -> str:
        lines = singer.schema()
        for at in range(count):
            lines += singer.record(f'{{"id":{at},"v":"{version}"}}', version=version)
        return lines + json.dumps({"type": "ACTIVATE_VERSION", "stream": "t", "version": version}) + "\n"

    assert target.load(full(1, 10)).code == target.load(full(2, 7)).code == 0
    assert rows(target, "count(*), min(v)") == [(7, "2")]
    assert target.columns("t")["_sdc_table_version"] == "BIGINT"
    # one that comes after the last STATE does nothing in a run that breaks off
    broken = target.load(full(3, 2).replace('"record":{"id":1', '"record":{"idx":1,"id":1') + "{")
    assert broken.code == 4
    assert rows(target, "count(*), min(v)") == [(7, "2")]


def activation(singer, version: int, rows: range, keys: list[str] | None = None) -> str:
    lines = singer.schema(keys=keys) + "".join(singer.record(f'{{"id":{at}}}', version=version) for at in rows)
    activate = json.dumps({"type": "ACTIVATE_VERSION", "stream": "t", "version": version}) + "\n"
    return lines + activate + singer.state({"version": version})


def test_activate_version_asks_before_it_empties_a_table(target, singer) -> None:
    assert target.load(activation(singer, 1, range(1_000), ["id"])).code == 0
    nearly_empty = activation(singer, 2, range(99), ["id"])
    refused = target.load(nearly_empty)
    assert (refused.code, refused.out) == (4, "")
    assert "error[data.delete_share]  ACTIVATE_VERSION would delete 901 of 1,000 rows" in refused.err
    assert "max_delete_share" in refused.err.splitlines()[-1]
    assert target.sql("SELECT count(*) FROM t") == [(1_000,)]
    assert target.bookmark().out == '{"version": 1}\n'
    assert target.load(nearly_empty, max_delete_share=0.95).code == 0
    assert target.sql("SELECT count(*) FROM t") == [(99,)]


def test_activate_version_does_not_ask_for_a_refresh_or_when_told_not_to(target, singer) -> None:
    assert target.load(activation(singer, 1, range(10))).code == 0
    assert target.load(activation(singer, 2, range(10, 20))).code == 0  # without keys the old half goes
    assert target.sql("SELECT min(id), count(*) FROM t") == [(10, 10)]
    one_left = activation(singer, 3, range(1))
    assert target.load(one_left).code == 4
    assert target.load(one_left, max_delete_share=0.5).code == 4
    assert target.sql("SELECT count(*) FROM t") == [(10,)]
    assert target.load(one_left, max_delete_share=1).code == 0
    assert target.sql("SELECT count(*) FROM t") == [(1,)]


def test_a_share_is_a_share(target, singer) -> None:
    result = target.load(singer.schema(), max_delete_share=1.5)
    assert (result.code, "max_delete_share is 1.5" in result.err) == (2, True)


def test_activate_version_keeps_rows_that_were_never_versioned(target, singer) -> None:
    lines = singer.schema() + singer.record('{"id":1}') + singer.record('{"id":2}', version=5)
    activate = json.dumps({"type": "ACTIVATE_VERSION", "stream": "t", "version": 5}) + "\n"
    assert target.load(lines + activate).code == 0
    assert rows(target, "id") == [(1,), (2,)]


def test_deletions_keep_the_rest_of_the_row(target, singer) -> None:
    lines = singer.schema(keys=["id"]) + singer.record('{"id":1,"v":"a"}') + singer.record('{"id":2,"v":"b"}')
    assert target.load(lines).code == 0
    gone = singer.schema(keys=["id"])
    gone += singer.record('{"id":3,"v":"c"}')
    for key in (2, 3, 4):
        gone += singer.record(f'{{"id":{key},"_sdc_deleted_at":"2026-11-23T06:00:00Z"}}')
    assert target.load(gone).code == 0
    assert rows(target, "id, v, _sdc_deleted_at IS NULL") == [
        (1, "a", True),
        (2, "b", False),
        (3, "c", False),
        (4, None, False),
    ]
    assert target.columns("t")["_sdc_deleted_at"] == "TIMESTAMP WITH TIME ZONE"


def test_hard_delete(target, singer) -> None:
    lines = singer.schema(keys=["id"]) + "".join(singer.record(f'{{"id":{key},"v":"a"}}') for key in range(4))
    assert target.load(lines).code == 0
    gone = singer.schema(keys=["id"]) + singer.record('{"id":2,"_sdc_deleted_at":"2026-11-23T06:00:00Z"}')
    gone += singer.record('{"id":3,"v":"z","_sdc_deleted_at":"2026-11-23T06:00:00Z"}')
    assert target.load(gone, hard_delete=True).code == 0
    assert rows(target, "id") == [(0,), (1,)]


def test_columns_are_added(target, singer) -> None:
    lines = singer.schema() + singer.record('{"id":1,"v":"a"}')
    wider = {"id": {"type": "integer"}, "w": {"type": "number"}}
    lines += singer.schema(wider) + singer.record('{"id":2,"w":1.5,"x":true,"y":null}')
    assert target.load(lines).code == 0
    assert rows(target) == [(1, "a", None, None), (2, None, 1.5, True)]
    assert target.columns("t") == {"id": "BIGINT", "v": "VARCHAR", "w": "DOUBLE", "x": "BOOLEAN"}


def test_undeclared_properties_ignored_or_refused(target, singer) -> None:
    lines = singer.schema() + singer.record('{"id":1,"zz":[1]}')
    assert target.load(lines, extra="ignore").code == 0
    assert list(target.columns("t")) == ["id", "v"]
    refused = target.load(lines, extra="fail")
    assert refused.code == 4
    assert 'line 2: a record of "t" has "zz"' in refused.err


HOSTILE = ["a.b", "A.B", 'x"; DROP TABLE t; --', "", "nul\0", "ü", "Ü", "select", "../../x", "{stream}", "%s"]


def test_hostile_columns(target, singer) -> None:
    text = {"type": "string"}
    record = {name: f"value of {name!r}" for name in HOSTILE}
    assert target.load(singer.schema(dict.fromkeys(HOSTILE, text)) + singer.record(json.dumps(record))).code == 0
    assert target.sql("SELECT * FROM t") == [tuple(record.values())]
    # the same properties in another order, and one that is new, find their columns again
    other = singer.schema(dict.fromkeys([*reversed(HOSTILE), "A.b"], text)) + singer.record(
        json.dumps({**record, "A.b": "3"})
    )
    assert target.load(other).code == 0
    assert target.sql("SELECT * FROM t") == [(*record.values(), None), (*record.values(), "3")]


def test_hostile_streams(target, singer) -> None:
    streams = [*HOSTILE, "_dativo_bookmarks", "_dativo_names", "T", "t"]
    lines = "".join(singer.schema(stream=name) + singer.record('{"id":1}', stream=name) for name in streams)
    for _ in range(2):
        result = target.load(lines + singer.state({"a": 1}))
        assert result.code == 0, result.err
    found = {str(name) for (name,) in target.sql("SELECT table_name FROM duckdb_tables()")}
    tables = found - {"_dativo_bookmarks", "_dativo_names"}
    assert len(tables) == len(streams)
    assert all(target.sql("SELECT count(*) FROM " + '"' + name.replace('"', '""') + '"') == [(2,)] for name in tables)
    assert {path.name for path in target.folder.iterdir()} == {"config.json", "t.duckdb"}


def test_schema_and_table_name(target, singer) -> None:
    settings = {"schema": 'my "raw" data', "table_name": "raw_{stream}"}
    lines = singer.schema() + singer.record('{"id":1}') + singer.state({"a": 1})
    assert target.load(lines, **settings).code == 0
    assert target.sql('SELECT id FROM "my ""raw"" data".raw_t') == [(1,)]
    assert target.bookmark(**settings).out == '{"a": 1}\n'
    assert target.bookmark().out == ""


def test_record_metadata(target, singer) -> None:
    lines = singer.schema() + singer.record('{"id":1}', time_extracted="2026-11-23T06:00:00Z")
    assert target.load(lines, add_record_metadata=True).code == 0
    assert target.sql("SELECT epoch(_sdc_extracted_at), _sdc_received_at > '2000-01-01', _sdc_sequence > 0 FROM t") == [
        (1795413600.0, True, True)
    ]
