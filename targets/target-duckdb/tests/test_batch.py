"""BATCH messages: Arrow, parquet and jsonl files in, their lines given back in order, and what is wrong with files."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

KEYED = {"keys": ["id"]}
DELETED = "_sdc_deleted_at"


def rows(target, what: str = "*", table: str = "t") -> list[tuple]:
    return target.sql(f'SELECT {what} FROM "{table}" ORDER BY ALL')


def table(ids: range | list[int | None], text: str = "a") -> pa.Table:
    return pa.table({"id": pa.array(list(ids), pa.int64()), "v": [text] * len(ids)})


def of(form: str, *uris: str, compression: str | None = None) -> str:
    encoding = {"format": form, "compression": compression}
    return json.dumps({"type": "BATCH", "stream": "t", "encoding": encoding, "manifest": uris}) + "\n"


def test_lines_are_given_back_as_they_came_and_in_order(target, singer, spool) -> None:
    first, second = spool.batch(table(range(3))), spool.batch(table(range(3, 5)), table(range(5, 9)))
    odd = "  " + spool.batch(table([9])).strip().replace('"type": ', '"\\u0074ype" :  ') + " \t"
    text = singer.schema() + first + singer.state({"at": 1}) + second + odd + "\n" + singer.state({"at": 2})
    result = target.load(text)
    assert result.code == 0, result.err
    lines = [line for line in result.out.split("\n") if line not in ('{"at": 1}', '{"at": 2}')]
    assert lines == [first.strip(), second.strip(), odd, ""]
    assert result.out.endswith('{"at": 2}\n')
    assert rows(target) == [(at, "a") for at in range(10)]


def test_a_line_is_given_back_before_anything_is_committed_and_the_file_is_let_go(target, singer, spool) -> None:
    lines = [spool.batch(table(range(at * 10, at * 10 + 10))) for at in range(3)]
    text = [singer.schema() + lines[0], lines[1] + singer.state({"next": 20}), lines[2]]
    with target.start(max_batch_age=3600) as process:
        for sent, line in zip(text, lines, strict=True):  # in the transaction, then behind a STATE that waits in it
            process.stdin.write(sent.encode())
            process.stdin.flush()
            assert process.stdout.readline().decode() == line
            while ".arrow" in Path(f"/proc/{process.pid}/maps").read_text():  # a thread of Arrow's may be the last
                assert process.poll() is None
        for path in spool.folder.iterdir():
            path.unlink()
        out, err = process.communicate()
    assert (process.returncode, out) == (0, b'{"next": 20}\n'), err
    assert rows(target, "id") == [(at,) for at in range(30)]


@pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
def test_records_and_files_keep_their_order(target, singer, spool, batch_rows) -> None:
    text = singer.schema(**KEYED)
    for at in range(5):
        text += singer.record(f'{{"id":1,"v":"record {at}"}}')
        text += spool.batch(table([1, 2, 2], f"file {at}")) + singer.record(f'{{"id":2,"v":"record {at}"}}')
        text += singer.state({"at": at}) if at % 2 else ""
    assert target.load(text, batch_rows=batch_rows).code == 0
    assert rows(target) == [(1, "file 4"), (2, "record 4")]


def test_large_files_are_taken_in_parts_and_small_record_batches_together(target, singer, spool) -> None:
    big = table(range(10_000))
    small = pa.Table.from_batches(table(range(10_000, 20_000)).to_batches(max_chunksize=7))
    text = (
        singer.schema() + spool.batch(big, small) + singer.state({"a": 1}) + spool.batch(table(range(20_000, 20_300)))
    )
    for settings in ({"batch_rows": 300}, {"batch_bytes": 2000}, {}):
        assert target.load(text, mode="overwrite", **settings).code == 0
        assert rows(target, "count(*), count(DISTINCT id), max(id)") == [(20_300, 20_300, 20_299)]


def test_empty_files_and_files_without_columns(target, singer, spool) -> None:
    empty = table([])
    bare = pa.Table.from_batches([pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))])
    text = singer.schema() + spool.batch(empty) + spool.batch() + spool.batch(bare) + singer.state({"a": 1})
    result = target.load(text)
    assert (result.code, len(result.given_back), result.states) == (0, 3, ['{"a": 1}']), result.err
    assert rows(target) == [(None, None)] * 2


def test_a_thousand_columns(target, singer, spool) -> None:
    kinds = [[1], [0.5], ["x"], [True], [Decimal("1.10")]]
    names = [f"c{at}" for at in range(1000)]
    columns = [pa.array([*kinds[at % 5], None]) for at in range(1000)]
    result = target.load(singer.schema({"c7": {"type": "string"}}) + spool.batch(pa.table(columns, names=names)))
    assert result.code == 0, result.err
    assert len(target.columns("t")) == 1000
    assert [row[:5] for row in target.sql("SELECT c0, c1, c2, c3, c4 FROM t")] == [
        (1, 0.5, "x", True, Decimal("1.10")),
        (None,) * 5,
    ]


def test_versions_and_metadata(target, singer, spool) -> None:
    def full(version: int, ids: range) -> str:
        activate = {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}
        return singer.schema() + spool.batch(table(ids), version=version) + json.dumps(activate) + "\n"

    assert target.load(full(1, range(10))).code == target.load(full(2, range(4)), add_record_metadata=True).code == 0
    assert rows(target, "id, _sdc_table_version, _sdc_sequence > 0") == [(at, 2, True) for at in range(4)]


def test_deletions_keep_the_rest_of_the_row(target, singer, spool) -> None:
    when = dt.datetime(2026, 11, 23, 6, tzinfo=dt.UTC)
    assert target.load(singer.schema(**KEYED) + spool.batch(table([1, 2, 5]))).code == 0
    stamp = pa.array([when, None, when, when, None], pa.timestamp("us", "UTC"))
    gone = pa.table({"id": [2, 5, 5, 4, 6], DELETED: stamp})
    assert target.load(singer.schema(**KEYED) + spool.batch(gone, partial=True)).code == 0
    assert rows(target, f"id, v, {DELETED} IS NULL") == [
        (1, "a", True),
        (2, "a", False),
        (4, None, False),
        (5, None, False),  # a row that is whole came before its deletion
        (6, None, True),
    ]
    twice = pa.table({"id": [1, 1, 9, 9], DELETED: pa.array([when, when + dt.timedelta(1)] * 2, stamp.type)})
    assert target.load(singer.schema(**KEYED) + spool.batch(twice, partial=True)).code == 0
    assert rows(target, f"id, v, day({DELETED})")[0] == (1, "a", 24)
    assert rows(target, f"id, v, day({DELETED})")[-1] == (9, None, 24)
    assert target.load(singer.schema(**KEYED) + spool.batch(twice, partial=True), hard_delete=True).code == 0
    assert rows(target, "id") == [(2,), (4,), (5,), (6,)]


@pytest.mark.parametrize("broken", [table([2, None]), pa.table({"v": ["b"]})], ids=["null", "lacking"])
def test_rows_without_their_key_end_the_run_at_the_last_state(target, singer, spool, broken) -> None:
    text = singer.schema(**KEYED) + spool.batch(table([1])) + singer.state({"at": 1}) + spool.batch(broken)
    result = target.load(text)
    assert (result.code, result.states, len(result.given_back)) == (4, ['{"at": 1}'], 1)
    assert "error[data.rejected]  line 4: " in result.err
    assert '2.arrow: a record of "t" lacks its key "id"' in result.err
    assert rows(target) == [(1, "a")]


def test_undeclared_fields(target, singer, spool) -> None:
    text = singer.schema() + spool.batch(pa.table({"id": [1], "zz": ["x"], "none": pa.nulls(1)}))
    refused = target.load(text, extra="fail")
    assert (refused.code, 'a record of "t" has "zz"' in refused.err) == (4, True)
    assert target.load(text, extra="ignore").code == 0
    assert list(target.columns("t")) == ["id", "v"]
    assert target.load(text).code == 0
    assert list(target.columns("t")) == ["id", "v", "zz"]


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "offsets":  # the first text would begin 1 GiB behind the buffer
        at = data.index((0).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(4, "little"))
        data = data[: at + 4] + (1 << 30).to_bytes(4, "little") + data[at + 8 :]
    elif how == "utf8":
        data = data.replace(b"aaaaaaaa", b"aaa\xffaaaa")
    path.write_bytes({"truncated": data[:-20], "empty": b"", "noise": b"x" * 5000}.get(how, data))


@pytest.mark.parametrize("how", ["truncated", "empty", "noise", "offsets", "utf8", "gone"])
def test_a_damaged_file_is_named_and_ends_the_run_at_the_last_state(target, singer, spool, how) -> None:
    path = spool.seal(table(range(100)))
    if how == "gone":
        path.unlink()
    else:
        damaged(path, how)
    text = singer.schema() + spool.batch(table([1])) + singer.state({"at": 1}) + spool.line(path)
    result = target.load(text + singer.state({"at": 2}))
    assert (result.code, result.states, len(result.given_back)) == (4, ['{"at": 1}'], 1), result.err
    assert f"error[data.bad_message]  line 4: {path} cannot be read" in result.err
    assert rows(target) == [(1, "a")]


def test_texts_that_are_no_json_are_refused(target, singer, spool) -> None:
    result = target.load(singer.schema({"j": {"type": "object"}}) + spool.batch(spool.json_table(j=["{}", "{]"])))
    assert (result.code, '1.arrow cannot be read: "j" holds a text that is no JSON' in result.err) == (4, True)


def test_times_that_no_record_holds_are_refused(target, singer, spool) -> None:
    stamps = pa.array([0, 2**62], pa.timestamp("us", "UTC"))
    result = target.load(singer.schema() + spool.batch(pa.table({"at": stamps})))
    assert (result.code, '"at" holds a timestamp outside the years 1 to 9999' in result.err) == (4, True)


def test_jsonl_and_parquet(target, singer) -> None:
    zipped = target.folder / "a b.jsonl.gz"
    zipped.write_bytes(gzip.compress(b'{"id":1,"v":"a"}\n{"id":18446744073709551616,"v":"b"}\n'))
    path = target.folder / "c.parquet"
    day = dt.date(2026, 11, 23)
    parquet.write_table(pa.table({"id": [3], "v": ["c"], "day": [day], "n": [Decimal("1.10")], "l": [[1, 2]]}), path)
    text = singer.schema(**KEYED) + of("jsonl", zipped.as_uri(), compression="gzip")
    text += of("parquet", str(path)) + singer.state({"a": 1})
    result = target.load(text)
    assert (result.code, result.states, len(result.given_back)) == (0, ['{"a": 1}'], 2), result.err
    assert rows(target) == [
        (1, "a", None, None, None),
        (3, "c", day, Decimal("1.10"), "[1,2]"),
        (2**64, "b", None, None, None),
    ]
    path.write_bytes(b"no parquet")
    assert f"{path} cannot be read" in target.load(text).err


@pytest.mark.parametrize(
    "line",
    [
        of("jsonl", "s3://bucket/x.jsonl"),
        of("feather", "file:///x.feather"),
        json.dumps({"type": "BATCH", "stream": "t", "filepath": "/x", "format": "csv"}) + "\n",
    ],
)
def test_batch_refused(target, singer, line) -> None:
    result = target.load(singer.schema() + line + singer.state({"a": 1}))
    assert (result.code, result.out) == (4, "")
    assert "error[data.batch_refused]  line 2" in result.err
