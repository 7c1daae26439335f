"""What the two ends of a shell pipe tell each other, with a real process at the other end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dativo.run.pipe import Upstream

TAP = """
import sys
from dativo.run.pipe import Downstream
with Downstream(1, "tap-x") as down:
    sys.stderr.write("here\\n")
    sys.stderr.flush()
    down.meet()
    down.agree()
    down.go("the catalog")
"""


@pytest.mark.parametrize(("asks", "told"), [(True, "the catalog"), (False, None)])
def test_a_tap_that_came_and_went_has_told_its_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asks: bool, told: str | None
) -> None:
    """It ends before its neighbour looks again: what it said last is there."""
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path))
    read, write = os.pipe()
    try:
        with Upstream(read, "destination-y") as up:
            if asks:
                up.ask()
            with subprocess.Popen([sys.executable, "-c", TAP], stdout=write, stderr=subprocess.PIPE, text=True) as tap:
                os.close(write)
                assert tap.stderr is not None and tap.stderr.readline() == "here\n"
                assert up.meet().ours
                up.await_ready()
                up.answer("job", "run", None)
                assert tap.wait() == 0
            up.await_go(lambda: None)
            assert up.catalog == told
    finally:
        os.close(read)
