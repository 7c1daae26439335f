"""The tables of the benches: the same rows everywhere, and the same rows in both files."""

import csv
import hashlib
import json

import pytest

from tests.bench.tables import MAKER, TABLES, made

ORDERS_100 = "e4e75e6d3835d71f3eeafb5f074b8a0c79c3dbca95ea11cf3d6f1cf52a5de7ed"


@pytest.mark.parametrize("name", TABLES)
def test_both_files_hold_the_same_rows(name, tmp_path):
    table = TABLES[name]
    files = made(table, 40, tmp_path)
    messages = [json.loads(line) for line in files.singer.read_text("utf-8").splitlines()]
    records = [one["record"] for one in messages if one["type"] == "RECORD"]
    assert [one["type"] for one in messages] == ["SCHEMA", *["RECORD"] * 40, "STATE"]
    assert messages[0]["stream"] == files.stream
    assert [record["id"] for record in records] == list(range(1, 41))
    names = [column for column, _ in table.columns]
    assert list(messages[0]["schema"]["properties"]) == names
    assert all(list(record) == names for record in records)
    csv.field_size_limit(1 << 20)
    with files.csv.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 40
    for row, record in zip(rows, records, strict=True):
        for column, sql in table.columns:
            cell, value = row[column], record[column]
            if value is None:
                assert cell == ""
            elif sql == "jsonb":
                assert json.loads(cell) == value
            elif isinstance(value, bool):
                assert cell == ("t" if value else "f")
            else:
                assert cell == str(value)


def test_the_rows_are_the_same_on_every_machine(tmp_path):
    files = made(TABLES["orders"], 100, tmp_path)
    assert hashlib.sha256(files.csv.read_bytes()).hexdigest() == ORDERS_100


def test_the_widest_table_has_200_columns():
    assert {name: len(table.columns) for name, table in TABLES.items()} == {
        "orders": 20,
        "wide": 200,
        "nested": 4,
        "texts": 4,
    }


def test_files_are_made_once(tmp_path):
    first = made(TABLES["orders"], 5, tmp_path)
    stamp = first.csv.stat().st_mtime_ns
    assert made(TABLES["orders"], 5, tmp_path).csv.stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [f"orders-5-{MAKER}"]
