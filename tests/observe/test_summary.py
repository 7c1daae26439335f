from __future__ import annotations

import json

from dativo.observe.summary import Summary

MARK = '{"bookmarks":{"flights":{"row":336776}}}'


def summary(**changes) -> Summary:
    known = {
        "verdict": "done",
        "run": "r-1",
        "job": "tap-csv-to-target-duckdb",
        "seconds": 1.3,
        "streams": {"flights": {"records": 336_776, "bytes": 9}, "weather": {"records": 26_115, "bytes": 9}},
        "bytes": 18,
        "bookmark": MARK,
        "moved": True,
        "states": 2,
        "confirmed": 2,
        "covered": 362_891,
    }
    return Summary(**{**known, **changes})


def test_a_run_that_moved_rows():
    assert list(summary().lines()) == [
        "flights  336,776 rows  259 k/s  bookmark row:336776",
        "weather   26,115 rows   20 k/s",
        "done in 1.3 s · 362,891 read = 362,891 written · 0 rejected · job tap-csv-to-target-duckdb",
    ]


def test_a_run_that_moved_nothing():
    lines = list(
        summary(streams={"a": {"records": 0}, "b": {}}, moved=False, since="2026-11-23T06:10:00Z", covered=0).lines()
    )
    assert len(lines) == 1
    assert lines[0].startswith("nothing new since 2026-11-")
    assert lines[0].endswith("· 2 streams at their bookmarks · job tap-csv-to-target-duckdb")
    assert list(summary(streams={}, moved=False, since=None).lines()) == [
        "nothing to move · job tap-csv-to-target-duckdb"
    ]


def test_what_the_next_run_reads_again():
    assert "1 record came after the last STATE: the next run reads them again" in summary(covered=362_890).lines()
    assert (
        "the target printed no STATE: the old bookmark stays, the next run reads again"
        in summary(confirmed=0, moved=False).lines()
    )
    assert (
        "the tap sent no STATE: there is no bookmark to keep, the next run reads again"
        in summary(states=0, confirmed=0, moved=False).lines()
    )


def test_an_interrupted_run():
    *_, last = summary(verdict="interrupted", covered=300_000).lines()
    assert last == "interrupted after 1.3 s · 362,891 read · 300,000 committed · job tap-csv-to-target-duckdb"
    *_, last = summary(verdict="interrupted", moved=False).lines()
    assert "bookmark unchanged" in last


def test_junk_and_notes():
    *_, junk, note = summary(junk={"blank": 2, "unknown_type": 1, "bom": 0}, notes=["a\x1bb"]).lines()
    assert junk == "lines between the messages left out: 2 blank, 1 unknown type"
    assert note == "a\\x1bb"


def test_beside_a_foreign_program():
    lines = list(summary(keeps_bookmark=False, job=None, covered=0).lines())
    assert lines[-1] == "done in 1.3 s · 362,891 rows passed on"
    assert "bookmark" not in "".join(lines)


def test_many_streams():
    streams = {f"s{n}": {"records": n % 40} for n in range(80)}
    lines = list(summary(streams=streams, covered=10**6).lines())
    assert "… 48 more streams" in lines
    assert "2 streams had nothing new" in lines


def test_the_object_is_raw():
    found = json.loads(json.dumps(summary().as_dict()))
    assert found["records"] == 362_891
    assert found["bookmark"] == {"moved": True, "states": 2, "confirmed": 2, "covered": 362_891, "doubled": 0}
    assert (found["verdict"], found["run"], found["rejected"]) == ("done", "r-1", 0)
