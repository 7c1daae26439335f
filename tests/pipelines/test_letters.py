"""Dead letters with real processes: looked at, replayed once and only once, dropped."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.fixtures.faulty import Faulty, codes, errors_in

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}}


class Box:
    """The letters of one run of a job, as the data plane writes them."""

    def __init__(self, faulty: Faulty, job: str, run: str, ids: list[int], stream: str = "t") -> None:
        self.path = faulty.folder / ".dativo" / "dead-letters" / job / f"{run}.jsonl"
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.run = run
        self.add({"type": "SCHEMA", "stream": stream, "schema": SCHEMA, "key_properties": ["id"]})
        for number in ids:
            about = {
                "run": run,
                "reason": f"v of row {number} is not text",
                "rule": "type",
                "path": "/v",
                "line": number,
            }
            self.add({"type": "RECORD", "stream": stream, "record": {"id": number, "v": None}, "dead_letter": about})

    def add(self, line: dict[str, object]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


@pytest.fixture
def box(faulty: Faulty) -> Box:
    """Three letters of a run of the job `fault`, which has loaded its twenty rows."""
    faulty.configure({"target-fault": {"config": {"path": str(faulty.out)}}})
    file = faulty.folder / "dativo.yml"
    jobs = {"fault": {"steps": ["tap-fault", "target-fault"]}}
    file.write_text(json.dumps({**json.loads(file.read_text()), "jobs": jobs}))
    faulty.dativo("run", "fault").expect()
    run = faulty.dativo("state", "log", "fault", "--json").expect().json[0]["run"]
    faulty.out.unlink()
    return Box(faulty, "fault", run, [100, 101, 102])


def waiting(faulty: Faulty) -> dict[str | None, int]:
    return {one["stream"]: one["count"] for one in faulty.dativo("dlq", "list", "--json").expect().json}


def test_they_are_listed_and_shown(faulty: Faulty, box: Box):
    raw = base64.b64encode(b"hello").decode()
    box.add({"type": "DEAD_LETTER", "stream": None, "raw": raw, "dead_letter": {"reason": "no JSON", "line": 9}})
    listed = faulty.dativo("dlq", "list").expect().stdout
    assert "run 1  t             3" in listed and "v of row 100 is not text" in listed
    assert waiting(faulty) == {"t": 3, None: 1}
    shown = faulty.dativo("dlq", "show", "1", "--limit", "2").expect()
    assert "t  row 100, column v, rule type: v of row 100 is not text" in shown.stdout
    assert '{"id": 101, "v": null}' in shown.stdout and "102" not in shown.stdout
    assert "2 more: --limit 4" in shown.stderr
    whole = faulty.dativo("dlq", "show", "fault", "--stream", "t", "--json").expect().json
    assert [one["record"]["id"] for one in whole] == [100, 101, 102]
    assert whole[0]["dead_letter"]["rule"] == "type"
    near = faulty.dativo("dlq", "show", "falt").expect(2)
    assert errors_in(near) == ["letters.unknown"] and "did you mean fault?" in near.stderr


def test_a_replay_loads_them_once_through_a_mapper(faulty: Faulty, box: Box):
    bookmark = faulty.bookmark("fault")
    answer = faulty.dativo("dlq", "replay", "1", "map-fault").expect()
    assert "3 letters replayed" in answer.stderr and "next run reads" not in answer.stderr
    assert faulty.rows() == [100, 101, 102]
    assert '"mapped": true' in faulty.out.read_text()
    assert "dead_letter" not in faulty.out.read_text()
    assert waiting(faulty) == {}
    again = faulty.dativo("dlq", "replay", "1").expect()
    assert "no letter waits" in again.stderr
    assert faulty.rows() == [100, 101, 102]
    assert faulty.bookmark("fault") == bookmark
    box.add({"type": "RECORD", "stream": "t", "record": {"id": 103}, "dead_letter": {"reason": "late"}})
    faulty.dativo("dlq", "replay", box.run).expect()
    assert faulty.rows() == [100, 101, 102, 103]
    assert [one["replayed"] for one in faulty.dativo("dlq", "list", "--all", "--json").expect().json] == [4]


def test_a_replay_that_fails_loses_and_marks_none(faulty: Faulty, box: Box):
    dies = ["--set", "target-fault.mode=die1", "--set", "target-fault.after=2"]
    assert errors_in(faulty.dativo("dlq", "replay", "1", *dies).expect(1)) == ["plugin.exited"]
    assert waiting(faulty) == {"t": 3}
    faulty.out.unlink(missing_ok=True)
    faulty.dativo("dlq", "replay", "1").expect()
    assert faulty.rows() == [100, 101, 102]


def test_some_of_them_are_replayed(faulty: Faulty, box: Box):
    Box(faulty, "fault", "r-20990101T000000Z-00000000", [7, 8], stream="u")
    assert waiting(faulty) == {"t": 3, "u": 2}
    done = faulty.dativo("dlq", "replay", "fault", "--until", "2", "--json").expect().json
    assert (done["replayed"], done["records"], done["verdict"]) == (2, 2, "done")
    assert waiting(faulty) == {"t": 1, "u": 2}
    faulty.dativo("dlq", "replay", "fault", "--stream", "u").expect()
    assert waiting(faulty) == {"t": 1}
    faulty.dativo("dlq", "replay", "fault").expect()
    assert faulty.rows() == [100, 101, 7, 8, 102]


def test_in_a_shell_pipe_they_are_a_tap(faulty: Faulty, box: Box):
    fixed = faulty.folder / "fixed.txt"
    pipe = "dativo dlq replay 1 | dativo map-fault | dativo target-fault --path {} {}; echo codes ${{PIPESTATUS[*]}}"
    failed = faulty.shell(pipe.format(faulty.folder / "half.txt", "--mode die1 --after 2")).expect()
    assert codes(failed)[2] == 1
    assert waiting(faulty) == {"t": 3}
    answer = faulty.shell(pipe.format(fixed, "")).expect()
    assert codes(answer) == [0, 0, 0], answer.stderr
    assert [json.loads(line)["id"] for line in fixed.read_text().splitlines()] == [100, 101, 102]
    assert waiting(faulty) == {}
    assert faulty.runtime() == []


def test_printed_they_are_not_marked(faulty: Faulty, box: Box):
    printed = faulty.dativo("dlq", "replay", "1", "--to", "-").expect()
    assert [json.loads(line)["type"] for line in printed.stdout.splitlines()] == [
        "SCHEMA",
        "RECORD",
        "RECORD",
        "RECORD",
    ]
    assert "not marked" in printed.stderr
    assert waiting(faulty) == {"t": 3}


def test_another_target_and_a_job_without_one(faulty: Faulty, box: Box):
    Box(faulty, "adhoc", "r-20990101T000000Z-00000001", [5])
    answer = faulty.dativo("dlq", "replay", "adhoc").expect(2)
    assert "--to TARGET" in answer.stderr
    ledger = ["--to", "target-ledger", "--set", f"target-ledger.path={faulty.ledger}"]
    bookmark = faulty.bookmark("fault")
    faulty.dativo("dlq", "replay", "1", *ledger).expect()
    assert faulty.kept() == [100, 101, 102]
    assert faulty.bookmark("fault") == bookmark


def test_dropping_asks(faulty: Faulty, box: Box):
    asked = faulty.dativo("dlq", "drop", "1").expect(2)
    assert "3 of them not replayed" in asked.stderr and "--yes" in asked.stderr
    assert waiting(faulty) == {"t": 3}
    faulty.dativo("dlq", "drop", "1", "--yes").expect()
    assert waiting(faulty) == {} and not Path(box.path).exists()
    assert "no dead letters" in faulty.dativo("dlq", "list").expect().stderr
