"""The server leaves nothing behind, even when whoever started it is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.servers import postgres
from tests.workspace import ROOT

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

STARTER = """
from tests.servers import postgres
with postgres.cluster() as server:
    print(server.port, flush=True)
    input()
"""


def of_port(port: str) -> dict[int, Path]:
    """The server on a port, if there is one: its process and its folder."""
    found = {}
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if command[1:2] == ["-D"] and command[3:5] == ["-p", port]:
            found[process.pid] = Path(command[2]).parent
    return found


def test_a_killed_starter_leaves_no_server_and_no_folder() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None and starter.stdin is not None
    port = starter.stdout.readline().strip()
    (folder,) = of_port(port).values()
    assert folder.is_dir()
    starter.kill()
    starter.wait()
    while of_port(port) or folder.exists():
        time.sleep(0.05)
    starter.stdin.close()
    starter.stdout.close()


def test_it_runs_as_an_ordinary_user_and_lets_nobody_in_without_its_password() -> None:
    with postgres.cluster() as server:
        (pid,) = of_port(str(server.port))
        assert psutil.Process(pid).uids().effective != 0
        assert server.sql("show wal_level").strip() == "logical"
        intruder = postgres.Postgres(server.host, server.port, server.user, "guessed")
        with pytest.raises(RuntimeError, match="password authentication failed"):
            intruder.sql("select 1")
