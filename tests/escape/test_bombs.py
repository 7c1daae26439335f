"""A plugin that takes too much, end to end: it ends soon, nothing of it stays, and the bookmark is what it was.

The time is printed (`pytest -s`); what is asserted is twice what is promised, since machines are busy.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workspace import Workspace, unique

FIXTURES = Path(__file__).parents[1] / "fixtures"
LIMITS = {"memory": "200M", "processes": 40, "files": 100, "scratch": "16M", "cpu": "2s", "wall": "4s"}
ENDS = {
    "memory": "memory",
    "forks": "processes|wall",
    "descriptors": "files|wall",
    "disk": "scratch|wall",
    "cpu": "cpu|wall",
    "line": "line|max_line",
    "sleep": "wall",
}
"""What the error names: a bomb that goes on although everything is refused to it meets the wall clock."""
ASSERTED = 10.0


class Bombs(Workspace):
    """A project with the bomb and a job that has run well once."""

    def prepare(self) -> None:
        self.job, self.mark = unique("bomb"), unique("mark")
        self.configure(
            {
                "tap-bomb": {"env": {"ESCAPE_MARK": self.mark}, "limits": LIMITS},
                "target-ledger": {"config": {"path": str(self.folder / "ledger.json")}},
            }
        )
        self.dativo("run", "tap-bomb", "target-ledger", "--job", self.job).expect()
        self.good = self.bookmark(self.job)
        assert self.good == {"bookmarks": {"t": {"id": 9}}}

    def marked(self) -> list[int]:
        """Processes with our mark in their environment."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if f"ESCAPE_MARK={self.mark}".encode() in Path("/proc", pid, "environ").read_bytes():
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def go_off(self, bomb: str) -> tuple[int, float, str]:
        """The exit code, the seconds from the bang to the end, and what was said."""
        line = f"dativo run tap-bomb target-ledger --job {self.job} --set tap-bomb.bomb={bomb} --max-line 1M --verbose"
        with self.start(f"exec {line}", stdout=subprocess.DEVNULL) as process:
            assert process.stderr
            said, bang = b"", time.monotonic()
            while chunk := os.read(process.stderr.fileno(), 65536):
                bang = bang if b"goes off" in said else time.monotonic()
                said += chunk
            code = process.wait()
        return code, time.monotonic() - bang, said.decode(errors="replace")


@pytest.fixture(scope="session")
def bomb_plugins(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project with the plugins added, as a user adds a script."""
    folder = tmp_path_factory.mktemp("bombs")
    workspace = Workspace(folder / "project", folder / "home")
    for name in ("tap-bomb", "target-ledger"):
        workspace.dativo("add", FIXTURES / name, "--as", name, "--kind", name.partition("-")[0]).expect()
    return workspace


@pytest.fixture
def bombs(bomb_plugins: Workspace, tmp_path: Path) -> Iterator[Bombs]:
    """A branch of that project, after a good run."""
    plain = bomb_plugins.branch(tmp_path / "project")
    branch = Bombs(plain.folder, plain.home)
    branch.prepare()
    yield branch
    for pid in branch.marked():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("bomb", ENDS)
def test_a_bomb_ends_and_its_error_names_the_limit(bombs: Bombs, bomb: str) -> None:
    code, seconds, said = bombs.go_off(bomb)
    print(f"\n{bomb}: {seconds:.1f} s")
    assert "goes off" in said, said
    assert code not in (0, 2), said
    assert seconds < ASSERTED, said
    assert bombs.marked() == []
    assert bombs.bookmark(bombs.job) == bombs.good
    error = "\n".join(said.partition("error[")[1:])
    assert re.search(rf"limits?\.({ENDS[bomb]})\b", error), said


def test_daemons_do_not_outlive_their_run(bombs: Bombs) -> None:
    _, seconds, said = bombs.go_off("daemons")
    print(f"\ndaemons: {seconds:.1f} s")
    assert "goes off" in said, said
    assert seconds < ASSERTED, said
    assert bombs.marked() == []
    assert bombs.bookmark(bombs.job) == bombs.good
