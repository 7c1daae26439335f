"""A destination made with the real airbyte-cdk, as a target: from our tap and from a real source, in `standard`."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests import processes
from tests.airbyte.test_sources import FAKER
from tests.workspace import Answer, Workspace

PATIENCE = 120.0
BOATS = {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "x": {}}}


class Notes:
    """A project, and the SQLite file that it loads into."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.folder = workspace.folder / "loaded"
        self.folder.mkdir()
        self.file = self.folder / "notes.db"
        self.data = workspace.folder / "data"
        self.data.mkdir()
        self.configure()
        workspace.configure({"tap-csv": {"config": {"files": "data/*.csv"}}})
        workspace.configure({"source-faker": {"config": {**FAKER, "count": 300}}})

    def configure(self, **config: Any) -> None:
        section = {"config": {"path": str(self.file), **config}, "sandbox": {"write": [str(self.folder)]}}
        self.workspace.configure({"destination-notes": section})

    def csv(self, name: str, rows: int) -> None:
        lines = "".join(f"{number},{name} {number}\n" for number in range(rows))
        (self.data / f"{name}.csv").write_text(f"id,name\n{lines}")

    def run(self, tap: str, *words: str) -> Answer:
        return self.workspace.dativo("run", tap, "airbyte:destination-notes", *words)

    def loaded(self, tap: str, *words: str) -> Any:
        """The records of a run that goes well."""
        return self.run(tap, "--json", *words).expect().json["records"]

    def rows(self, table: str, *, distinct: bool = False) -> int:
        database = sqlite3.connect(self.file)
        what = "DISTINCT data" if distinct else "*"
        try:
            found: int = database.execute(f'SELECT count({what}) FROM "{table}"').fetchone()[0]
            return found
        finally:
            database.close()

    def starts(self, table: str) -> list[tuple[str, int, int, int]]:
        """What it was told of a table at each start: mode, generation, the least that stays, the run's number."""
        database = sqlite3.connect(self.file)
        query = "SELECT mode, generation, minimum, sync FROM starts WHERE name = ? ORDER BY rowid"
        try:
            return database.execute(query, (table,)).fetchall()
        finally:
            database.close()


@pytest.fixture
def notes(notes_project: Workspace, tmp_path: Path) -> Notes:
    """With bookmarks and data of its own."""
    return Notes(notes_project.branch(tmp_path / "project"))


def catalog(place: Path, *streams: dict[str, Any]) -> Path:
    place.write_text(json.dumps({"streams": list(streams)}))
    return place


def stream(name: str, *, schema: str | None = None, **root: Any) -> dict[str, Any]:
    metadata = {"selected": True, **({"schema-name": schema} if schema else {}), **root}
    return {
        "tap_stream_id": name,
        "stream": name,
        "schema": BOATS,
        "key_properties": ["id"],
        "metadata": [{"breadcrumb": [], "metadata": metadata}],
    }


def singer(place: Path, name: str, *records: str, state: str = '{"bookmarks":{"n":1}}') -> Path:
    """A file as a foreign tap writes it."""
    schema = {"type": "SCHEMA", "stream": name, "schema": BOATS, "key_properties": ["id"]}
    lines = [json.dumps(schema), *(f'{{"type":"RECORD","stream":"{name}","record":{one}}}' for one in records)]
    place.write_text("\n".join([*lines, f'{{"type":"STATE","value":{state}}}']) + "\n")
    return place


def test_from_our_tap(notes: Notes) -> None:
    notes.csv("boats", 400)
    notes.csv("crews", 100)
    assert notes.loaded("tap-csv") == 500
    assert (notes.rows("boats"), notes.rows("crews")) == (400, 100)
    assert notes.loaded("tap-csv") == 0
    notes.csv("boats", 420)
    assert notes.loaded("tap-csv") == 20
    assert (notes.rows("boats"), notes.rows("boats", distinct=True)) == (420, 420)


def test_in_a_shell_pipe(notes: Notes) -> None:
    notes.csv("boats", 250)
    line = "dativo tap-csv | dativo airbyte:destination-notes"
    assert "250 read = 250 written" in notes.workspace.shell(line).expect().stderr
    assert "nothing new" in notes.workspace.shell(line).expect().stderr
    assert notes.rows("boats") == 250


def test_from_a_source(notes: Notes) -> None:
    assert notes.loaded("airbyte:source-faker") == 700
    assert notes.loaded("airbyte:source-faker") == 0
    assert (notes.rows("users"), notes.rows("purchases"), notes.rows("products")) == (300, 300, 100)
    assert notes.loaded("airbyte:source-faker", "--full-refresh", "--stream", "users") == 300
    assert notes.rows("users") == 300  # by their key


def test_full_table_overwrites_unless_another_mode_is_chosen(notes: Notes) -> None:
    told = {"replication-method": "FULL_TABLE"}
    notes.workspace.configure({"source-faker": {"select": ["users.*"], "metadata": {"users": told}}})
    for _ in range(2):
        assert notes.loaded("airbyte:source-faker") == 300
        assert notes.rows("users") == 300
    (first, *one), (second, *other) = notes.starts("users")
    assert (first, second) == ("overwrite", "overwrite")
    assert len(set(one)) == len(set(other)) == 1 and one[0] < other[0], "generation, minimum and run are one number"
    notes.workspace.configure({"source-faker": {"metadata": {"users": {**told, "destination-sync-mode": "append"}}}})
    assert notes.loaded("airbyte:source-faker") == 300
    assert notes.rows("users") == 600
    notes.workspace.configure({"source-faker": {"metadata": {"users": {**told, "destination-sync-mode": "mix"}}}})
    answer = notes.run("airbyte:source-faker").expect(2)
    assert "error[catalog.invalid]" in answer.stderr
    assert "append or overwrite or append_dedup" in answer.stderr


@pytest.mark.parametrize("retries", ["0", "2"])
def test_killed_in_the_middle(notes: Notes, retries: str) -> None:
    """It had read 400 rows of boats, which it had committed, and some of crews, which it had not."""
    notes.csv("boats", 400)
    notes.csv("crews", 5000)
    notes.configure(die_at=2400)
    answer = notes.run("tap-csv", "--retries", retries).expect(0 if retries == "2" else 1)
    if retries == "0":
        assert "killed" in answer.stderr
        done = notes.rows("crews")
        assert notes.loaded("tap-csv") == 5000 - done
    assert (notes.rows("boats"), notes.rows("boats", distinct=True)) == (400, 400)
    assert (notes.rows("crews"), notes.rows("crews", distinct=True)) == (5000, 5000)
    assert notes.loaded("tap-csv") == 0


def test_started_again_it_does_not_overwrite_what_it_has(notes: Notes) -> None:
    """Rows before a bookmark of this run are not sent again: `overwrite` is for the first start only."""
    told = {name: {"replication-method": "FULL_TABLE"} for name in ("users", "products", "purchases")}
    notes.workspace.configure({"source-faker": {"metadata": told}})
    notes.configure(die_at=250)
    answer = notes.run("airbyte:source-faker", "--json", "--retries", "2").expect()
    assert "started again in place" in " ".join(answer.json["notes"])
    assert (notes.rows("users"), notes.rows("purchases"), notes.rows("products")) == (300, 300, 100)
    starts = notes.starts("users")
    assert [one[0] for one in starts] == ["overwrite", "append_dedup"]
    assert len({one[1:] for one in starts}) == 1 and starts[0][1] == starts[0][2], (
        "of one generation, older ones may go"
    )


def test_generations_grow_with_what_is_read_anew(notes: Notes) -> None:
    notes.csv("boats", 10)
    for words in ((), (), ("--full-refresh",), ()):
        notes.loaded("tap-csv", *words)
    runs = [sync for *_, sync in notes.starts("boats")]
    assert runs == sorted(set(runs)) and runs[0] > 0
    first, third = runs[0], runs[2]
    assert [one[:3] for one in notes.starts("boats")] == [
        ("append", first, 0), ("append", first, 0), ("append", third, 0), ("append", third, 0),
    ]  # fmt: skip
    numbers = [one["number"] for one in notes.workspace.dativo("state", "log", "tap-csv-to-destination-notes", "--json")
               .expect().json]  # fmt: skip
    assert sorted(numbers) == runs, "they are the runs' own numbers"


def test_a_bookmark_of_rows_that_are_gone_is_not_gone_on_from(notes: Notes) -> None:
    """`--full-refresh` empties the table and is killed before a bookmark: the old one tells of what is no more."""
    notes.workspace.configure({"tap-csv": {"metadata": {"*": {"replication-method": "FULL_TABLE"}}}})
    notes.csv("boats", 400)
    assert notes.loaded("tap-csv") == 400
    assert notes.loaded("tap-csv") == 0
    notes.configure(die_at=200)
    assert "killed" in notes.run("tap-csv", "--full-refresh", "--retries", "0").expect(1).stderr
    answer = notes.run("tap-csv", "--json").expect().json
    assert (answer["records"], notes.rows("boats"), notes.rows("boats", distinct=True)) == (400, 400, 400)
    assert "boats is read anew" in " ".join(answer["notes"])
    assert notes.loaded("tap-csv") == 0


def test_all_is_killed_at_once(notes: Notes) -> None:
    notes.workspace.configure({"source-faker": {"config": {"count": 3000}}})
    line = "exec dativo run airbyte:source-faker airbyte:destination-notes --stream users --retries 0"
    process = notes.workspace.start(line)
    job, until = "source-faker-to-destination-notes", time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        answer = notes.workspace.dativo("state", "get", job)
        if answer.code == 0 and "loop_offset" in answer.stdout:
            break
    processes.kill_all(process.pid)
    process.communicate()
    assert notes.run("airbyte:source-faker", "--stream", "users", "--json").expect().json["verdict"] == "done"
    assert (notes.rows("users"), notes.rows("users", distinct=True)) == (3000, 3000)


def test_beside_a_foreign_tap_it_is_told_its_streams(notes: Notes, tmp_path: Path) -> None:
    given = singer(tmp_path / "given", "public-boats", '{"id":1,"name":"é"}', '{"id":2,"name":"b"}')
    line = f"cat {given} | dativo airbyte:destination-notes --job foreign"
    answer = notes.workspace.shell(line).expect(2)
    assert "error[catalog.invalid]" in answer.stderr and "--catalog FILE" in answer.stderr
    told = catalog(tmp_path / "catalog.json", stream("public-boats", schema="public"))
    notes.workspace.shell(f"{line} --catalog {told}").expect()
    assert notes.rows("public.boats") == 2  # namespace and name
    assert notes.workspace.bookmark("foreign") == {"bookmarks": {"n": 1}}
    told = catalog(tmp_path / "other.json", stream("crews"))
    answer = notes.workspace.shell(f"{line} --catalog {told}").expect(2)
    assert "error[catalog.invalid]" in answer.stderr
    assert '"public-boats", which destination-notes was not told of' in answer.stderr


def test_digits_come_through(notes: Notes, tmp_path: Path) -> None:
    state = '{"bookmarks":{"boats":{"at":12345678901234567890123.10,"n":null,"s":"\\ud800"}}}'
    given = singer(tmp_path / "given", "boats", '{"id":1,"x":18446744073709551615}', state=state)
    told = catalog(tmp_path / "catalog.json", stream("boats"))
    notes.workspace.shell(f"cat {given} | dativo airbyte:destination-notes --job digits --catalog {told}").expect()
    answer = notes.workspace.dativo("state", "get", "digits").expect()
    assert "12345678901234567890123.10" in answer.stdout
    database = sqlite3.connect(notes.file)
    assert json.loads(database.execute("SELECT data FROM boats").fetchone()[0])["x"] == 18446744073709551615
    database.close()


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud800"'])
def test_what_the_cdk_would_pass_over_is_a_bad_record(notes: Notes, tmp_path: Path, value: str) -> None:
    given = singer(tmp_path / "given", "boats", '{"id":1}', f'{{"id":2,"x":{value}}}', '{"id":3}')
    told = catalog(tmp_path / "catalog.json", stream("boats"))
    line = f"cat {given} | dativo airbyte:destination-notes --job bad --catalog {told}"
    answer = notes.workspace.shell(line).expect(4)
    assert "error[data.invalid_json]" in answer.stderr
    answer = notes.workspace.shell(f"{line} --on-bad-record quarantine --json").expect()
    assert (answer.json["records"], answer.json["rejected"]) == (2, 1)
    assert notes.rows("boats") == 2
    assert notes.workspace.bookmark("bad") == {"bookmarks": {"n": 1}}


def test_what_the_cdk_does_pass_over_fails_the_run(notes: Notes, tmp_path: Path) -> None:
    """A number beyond what a double holds: the CDK logs that it ignores the line, and would confirm the STATE."""
    given = singer(tmp_path / "given", "boats", '{"id":1}', '{"id":2,"x":1e400}')
    told = catalog(tmp_path / "catalog.json", stream("boats"))
    answer = notes.workspace.shell(f"cat {given} | dativo airbyte:destination-notes --job over --catalog {told}")
    assert "error[data.rejected]" in answer.expect(4).stderr
    assert "passed over a line" in answer.stderr
    assert notes.workspace.bookmark("over") is None


def test_what_it_is(notes: Notes) -> None:
    (about,) = (
        one for one in notes.workspace.dativo("list", "--json").expect().json if one["name"] == "destination-notes"
    )
    assert (about["kind"], about["engine"]) == ("target", "airbyte")
    shown = notes.workspace.dativo("inspect", "destination-notes").expect().stdout
    assert "speaks     Airbyte, with airbyte-cdk" in shown and "loads      by append, overwrite, append_dedup" in shown
    assert "says that it can load" in notes.workspace.dativo("config", "destination-notes", "test").expect().stdout
    notes.configure(path="/nowhere/at/all/notes.db")
    answer = notes.workspace.dativo("config", "destination-notes", "test").expect(2)
    assert "error[config.refused]  destination-notes: there is no such folder" in answer.stderr
    helped = notes.workspace.dativo("airbyte:destination-notes", "--help").expect().stdout
    assert "--path" in helped and "--catalog" in helped


def test_streams_by_other_names(notes: Notes) -> None:
    notes.csv("boats", 5)
    answer = notes.run("tap-csv", "--stream-name", "raw_{name}", "--json").expect().json
    assert (answer["records"], notes.rows("raw_boats")) == (5, 5)
    assert notes.loaded("tap-csv", "--stream-name", "raw_{name}") == 0, "the bookmark has the tap's own names"
    line = "dativo tap-csv --full-refresh | dativo airbyte:destination-notes --stream-name 'x-{stream}'"
    notes.workspace.shell(line).expect()
    assert notes.rows("x-boats") == 5
    notes.csv("fleet-boats", 1)
    answer = notes.run("tap-csv", "--full-refresh", "--stream-name", "{table}").expect(4)
    assert "error[data.stream_name]" in answer.stderr
    assert notes.run("tap-csv", "--dry-run", "--json").expect().json["children"][1]["argv"][1] == "write"


def test_letters_are_replayed_into_it(notes: Notes, tmp_path: Path) -> None:
    """Into the table that the job loads, by name and by a pipe, without a catalog: the letters have their SCHEMAs."""
    told = catalog(tmp_path / "catalog.json", stream("public-boats", schema="public"))
    line = f"dativo airbyte:destination-notes --job boats --catalog {told} --on-bad-record quarantine"
    words = ["--to", "airbyte:destination-notes"]
    section = {"steps": ["tap-csv", "airbyte:destination-notes"], "policy": {"check": "envelope"}}
    file = notes.workspace.folder / "dativo.yml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "jobs": {"boats": section}}))
    for number, replay in enumerate(("dativo dlq replay boats", f"dativo dlq replay boats {' '.join(words)}"), 1):
        given = singer(tmp_path / "given", "public-boats", f'{{"id":{number},"name":5}}', f'{{"id":{number + 9}}}')
        notes.workspace.shell(f"cat {given} | {line}").expect()
        assert notes.rows("public.boats") == 2 * number - 1
        before = notes.workspace.bookmark("boats")
        assert "1 read = 1 written" in notes.workspace.shell(replay).expect().stderr
        assert notes.rows("public.boats") == 2 * number
        assert "no letter waits" in notes.workspace.shell(replay).expect().stderr
        assert notes.workspace.bookmark("boats") == before
    first, again, second, once_more = [one[1:3] for one in notes.starts("public.boats")]
    assert (first, second) == (again, once_more), "a replay begins no generation"
    given = singer(tmp_path / "given", "public-boats", '{"id":3,"name":5}')
    notes.workspace.shell(f"cat {given} | {line}").expect()
    notes.workspace.shell("dativo dlq replay boats | dativo airbyte:destination-notes --no-validate").expect()
    assert notes.rows("public.boats") == 5
    assert notes.workspace.dativo("dlq", "list", "--json").expect().json == []


def test_a_tape_is_replayed_into_it(notes: Notes, tmp_path: Path) -> None:
    notes.csv("boats", 5)
    tape = tmp_path / "boats.tape.zst"
    notes.run("tap-csv", "--record", str(tape)).expect()
    told = catalog(tmp_path / "catalog.json", stream("boats"))
    words = ("replay", tape, "--to", "airbyte:destination-notes", "--catalog", told)
    assert "5 read = 5 written" in notes.workspace.dativo(*words).expect().stderr
    assert notes.rows("boats") == 10
