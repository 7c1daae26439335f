"""A project folder for a test, and `dativo` run in it the way a user does: as a process, or as a line for bash."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
PASSED = ("HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_HOME", "DATIVO_BUS")
PASSED_PREFIXES = ("UV_", "PIP_", "SSL_", "CARGO_", "RUST", "REQUESTS_", "CURL_", "HTTP", "NO_PROXY")


@dataclass(frozen=True)
class Answer:
    """How a command line ended."""

    line: str
    code: int
    stdout: str
    stderr: str

    def expect(self, *codes: int) -> Answer:
        """Fail with everything it said unless it ended with one of `codes` (default: 0)."""
        said = f"$ {self.line}\n{self.stdout[-4000:]}{self.stderr[-6000:]}"
        assert self.code in (codes or (0,)), f"exit {self.code}\n{said}"
        assert f'File "{ROOT}/dativo/' not in self.stderr, said  # a plugin's traceback is the plugin's
        return self

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.stdout)


class Workspace:
    """One project folder; its plugins' environments are in `home`, which many folders can share."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dativo.yml").touch()

    def branch(self, folder: Path) -> Workspace:
        """Another folder with the same plugins and bookmarks of its own."""
        copy = Workspace(folder, self.home)
        for name in ("dativo.yml", "dativo.lock"):
            shutil.copy(self.folder / name, folder)
        return copy

    def configure(self, plugins: dict[str, dict[str, Any]]) -> None:
        """Change plugins' sections of dativo.yml (JSON is YAML)."""
        file = self.folder / "dativo.yml"
        project = YAML(typ="safe").load(file) or {}
        for name, section in plugins.items():
            project.setdefault("plugins", {}).setdefault(name, {}).update(section)
        file.write_text(json.dumps(project, indent=1), "utf-8")

    def environment(self, job: str | None = None) -> dict[str, str]:
        """What a user's shell would have, and nothing that the test runner has besides."""
        kept = {k: v for k, v in os.environ.items() if k in PASSED or k.startswith(PASSED_PREFIXES)}
        named = {"DATIVO_RETRIES": "0", **({"DATIVO_JOB": job} if job else {})}  # a test of retries says --retries
        path = f"{PROGRAMS}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        return {**kept, "PATH": path, "DATIVO_HOME": str(self.home), "NO_COLOR": "1", **named}

    def start(self, line: str, job: str | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a line in bash, with pipefail off as in an ordinary shell, in a process group of its own."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            ["bash", "-c", line],
            cwd=self.folder,
            text=True,
            errors="replace",
            process_group=0,
            **{"env": self.environment(job), **streams, **options},
        )

    def shell(self, line: str, job: str | None = None) -> Answer:
        """Run a line in bash to its end."""
        process = self.start(line, job)
        stdout, stderr = process.communicate()
        return Answer(line, process.returncode, stdout, stderr)

    def dativo(self, *words: str | Path, job: str | None = None) -> Answer:
        """Run `dativo WORDS`."""
        command = [str(PROGRAMS / "dativo"), *map(str, words)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(job),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return Answer(" ".join(command), done.returncode, done.stdout, done.stderr)

    def executable(self, name: str) -> Path:
        """The installed plugin's program, to run it without Dativo."""
        return next(
            Path(one["executable"]) for one in self.dativo("list", "--json").expect().json if one["name"] == name
        )

    def bookmark(self, job: str) -> Any:
        """The job's bookmark in Dativo's store; None when there is none."""
        answer = self.dativo("state", "get", job).expect(0, 2)
        if answer.code == 2:
            assert "error[state.unknown]" in answer.stderr, answer.stderr
            return None
        return answer.json


def installed(name: str, requests: Sequence[str | Path], temporary: Path) -> Workspace:
    """A project with these plugins, below `temporary`, or below DATIVO_TEST_HOME, which is kept and filled once.

    Environments are shared by all projects of the tests, also by those of pytest's other workers.
    """
    kept = os.environ.get("DATIVO_TEST_HOME")
    shared = temporary.parents[1 if "PYTEST_XDIST_WORKER" in os.environ else 0]
    workspace = Workspace((Path(kept) if kept else temporary) / name, (Path(kept) if kept else shared) / "home")
    if not (workspace.folder / "dativo.lock").exists():
        with building(workspace.home):
            workspace.dativo("add", *requests).expect()
    return workspace


@contextlib.contextmanager
def building(home: Path) -> Iterator[None]:
    """Nobody else adds plugins to this home: two workers that built them at once, with cold caches, failed."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.building").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def unique(name: str) -> str:
    """A job's name that no other test, or run of the tests, uses."""
    return f"{name}-{uuid.uuid4().hex[:8]}"
