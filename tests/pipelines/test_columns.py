"""Rows as columns on the bus: gathered from RECORDs, checked, kept until they are given back, and nowhere left over."""

from __future__ import annotations

import fcntl
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dativo.run import rundirs
from tests.fixtures.faulty import HERE, Faulty, appeared, ended, errors_in, members, until
from tests.workspace import Answer, Workspace


class Columns(Faulty):
    """A project with the taps and the target of these tests."""

    def columns(self, tap: str, *words: str, **sets: Any) -> Answer:
        """`dativo run TAP target-columns`; `sets` are the tap's, or the target's with `to_` in front."""
        return self.dativo(*self.words(tap, *words, **sets))

    def words(self, tap: str, *words: str, **sets: Any) -> list[str]:
        """The words of that command line."""
        found = ["run", tap, "target-columns", "--job", self.job, "--set", f"target-columns.path={self.ledger}"]
        for key, value in sets.items():
            whose = "target-columns" if key.startswith("to_") else tap
            found += ["--set", f"{whose}.{key.removeprefix('to_')}={value}"]
        return [*found, *words]

    def start_words(self, words: list[str]) -> subprocess.Popen[str]:
        """Start them."""
        return self.start(shlex.join(["dativo", *words]))

    @property
    def noted(self) -> dict[str, Any]:
        """What the target has written down."""
        return dict(json.loads(self.ledger.read_text()))


@pytest.fixture(scope="session")
def column_plugins(fault_plugins: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The project of the fault plugins with the two that speak Arrow: they run with the tests' own Python."""
    folder = tmp_path_factory.mktemp("columns")
    workspace = fault_plugins.branch(folder / "project")
    for name in ("tap-columns", "target-columns"):
        script = folder / name
        script.write_text((HERE / name).read_text().replace("/usr/bin/env python3", sys.executable, 1))
        script.chmod(0o755)
        workspace.dativo("add", script, "--as", name, "--kind", name.partition("-")[0]).expect()
        workspace.dativo("allow", name, "--read", sys.prefix).expect()
    return workspace


@pytest.fixture
def run(column_plugins: Workspace, tmp_path: Path) -> Iterator[Columns]:
    """A branch of it; what it leaves in the spools' folder is a failure."""
    plain = column_plugins.branch(tmp_path / "project")
    branch = Columns(plain.folder, plain.home)
    before = abandoned()
    yield branch
    branch.close()
    assert abandoned() <= before


def abandoned() -> set[Path]:
    """Spools that no data plane holds."""
    return {one for one in Path(rundirs.spool_dir(1)).parent.iterdir() if not held(one)}


def held(spool: Path) -> bool:
    """Whether a data plane holds its lock."""
    with (spool / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def ids(rows: list[dict[str, Any]]) -> list[int]:
    """The rows' ids, in their order."""
    return [row["id"] for row in rows]


def test_records_are_gathered_and_a_state_covers_what_came_before_it(run: Columns):
    answer = run.columns("tap-fault", "--json", rows=2_500, every=1_000).expect()
    assert ids(run.noted["rows"]) == list(range(2_500))
    assert sum(run.noted["batches"]) == 2_500
    assert len(run.noted["batches"]) < 20
    assert answer.json["records"] == 2_500
    assert run.position() == 2_499


@pytest.mark.parametrize("encoding", ["records", "arrow"])
def test_both_encodings_have_the_same_rows_rejected(run: Columns, encoding: str):
    words = ("--json", "--on-bad-record", "quarantine", "--encoding", encoding)
    for tap in ("tap-fault", "tap-columns"):
        run.ledger.unlink(missing_ok=True)
        run.job = f"{tap}-{encoding}"
        answer = run.columns(tap, *words, rows=30, poison="[3,13,29]").expect()
        assert ids(run.noted["rows"]) == [i for i in range(30) if i not in (3, 13, 29)]
        assert (answer.json["records"], answer.json["rejects"]) == (27, {"t": 3})
        assert bool(run.noted["batches"]) == (encoding == "arrow")
        letters = [json.loads(line) for line in Path(answer.json["dead_letters"]).read_text().splitlines()]
        assert ids([one["record"] for one in letters if one["type"] == "RECORD"]) == [3, 13, 29]
        assert run.position() == 29


def test_columns_pass_and_their_files_go(run: Columns):
    answer = run.columns("tap-columns", "--json", rows=1_000, size=100, width=100).expect()
    assert answer.json["bytes"] > 1_000 * 100  # the files, not only the lines that name them
    assert ids(run.noted["rows"]) == list(range(1_000))
    assert run.noted["rows"][7] == {"id": 7, "v": "x" * 100, "n": 3.5}
    assert run.noted["batches"] == [100] * 10


@pytest.mark.parametrize("retries", ["0", "2"])
def test_a_spool_is_bounded_also_when_no_state_comes_before_the_end(run: Columns, retries: str):
    project = run.folder / "dativo.yml"
    small = {"steps": ["tap-columns", "target-columns"], "spool": "1M"}
    project.write_text(json.dumps({**YAML(typ="safe").load(project), "jobs": {"small": small}}))
    run.job = "small"
    sets = ["--set", f"target-columns.path={run.ledger}", "--set", "target-columns.slow=0.01"]
    sets += ["--set", "tap-columns.width=10000", "--set", "tap-columns.rows=1000", "--set", "tap-columns.size=20"]
    run.dativo("run", "small", "--retries", retries, "--set", "tap-columns.states=false", *sets).expect()
    assert ids(run.noted["rows"]) == list(range(1_000))
    assert max(run.noted["lay"]) <= 1_500_000
    assert run.position() == 999


def test_a_tap_without_a_spool_sends_records(run: Columns):
    run.columns("tap-columns", "--encoding", "records").expect()
    assert ids(run.noted["rows"]) == list(range(20))
    assert run.noted["batches"] == []


def test_no_file_but_those_in_the_spool(run: Columns):
    answer = run.columns("tap-columns", outside="/etc/passwd").expect(4)
    assert errors_in(answer) == ["data.batch_outside"]


@pytest.mark.parametrize("tap", ["tap-fault", "tap-columns"])
def test_a_target_that_is_killed_is_given_the_same_columns_again(run: Columns, tmp_path: Path, tap: str):
    gate = tmp_path / "gate"
    sizes = {"rows": 30_000, "every": 100, "size": 2_000} if tap == "tap-fault" else {"rows": 3_000, "size": 100}
    words = run.words(tap, "--retries", "2", "--json", to_gate=gate, **sizes)
    process = run.start_words(words)
    appeared(Path(f"{gate}.ready"), process)
    [target] = members(run.job, "target", "target-columns")
    assert target.kill()
    gate.touch()
    answer = ended(process, " ".join(map(str, words))).expect()
    assert ids(run.noted["rows"]) == list(range(sizes["rows"]))
    assert any("started again in place" in note for note in json.loads(answer.stdout)["notes"])


def test_a_tap_that_is_killed_goes_on_under_the_target(run: Columns, tmp_path: Path):
    gate = tmp_path / "gate"
    words = run.words("tap-columns", "--retries", "2", "--json", rows=100, size=10, gate=gate)
    process = run.start_words(words)
    appeared(Path(f"{gate}.ready"), process)
    [tap] = members(run.job, "tap", "tap-columns")
    until(lambda: run.ledger.exists() and len(run.noted["rows"]) == 20, "two files are loaded")
    assert tap.kill()
    gate.touch()
    ended(process, " ".join(map(str, words))).expect()
    assert ids(run.noted["rows"]) == list(range(100))


def test_what_cannot_be_is_said(run: Columns):
    answer = run.run("--encoding", "arrow").expect(2)
    assert "target-fault does not speak Arrow" in answer.stderr
    answer = run.columns("tap-columns", "--encoding", "arrow", "--verify", "after").expect(2)
    assert "verify: after compares lines" in answer.stderr
