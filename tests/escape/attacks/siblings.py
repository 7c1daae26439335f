"""The other plugin of the same run: its configuration, its secrets, its life."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.escape.attacks.attack import Scene, attack

pair = {"alone": "pair"}
CANARY = b"CANARY"
PATIENCE = 3
"""Seconds: the two are started side by side, so the other one may not be there yet."""


def sibling() -> Path:
    """Its folder in /proc."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if b"escape-sibling" in Path("/proc", pid, "cmdline").read_bytes():
                    return Path("/proc", pid)
            except OSError:
                continue
        time.sleep(0.1)
    raise FileNotFoundError("no sibling in sight")


@attack("processes", "sibling-environ", "reads the environment of the target of its run", secret="sibling-env", **pair)
def _(scene: Scene) -> str:
    time.sleep(0.3)
    return (sibling() / "environ").read_bytes().decode("latin-1")


@attack("processes", "sibling-memfd", "reads the sealed configuration of the target", secret="sibling-fd", **pair)
def _(scene: Scene) -> str:
    found = ""
    for one in (sibling() / "fd").iterdir():
        with contextlib.suppress(OSError):
            found += one.read_text() if "memfd" in os.readlink(one) else ""
    return found


@attack("files", "sibling-file", "reads the configuration file of the target", secret="sibling-file", **pair)
def _(scene: Scene) -> str:
    until = time.monotonic() + PATIENCE
    while CANARY not in (found := readable(scene["run_dir"])):
        if time.monotonic() > until:
            raise FileNotFoundError("no secret in the run's folder")
        time.sleep(0.05)
    return found.decode("latin-1")


def readable(place: str) -> bytes:
    """All that can be read below a folder."""
    found = b""
    for folder, _, names in os.walk(place):
        for name in names:
            with contextlib.suppress(OSError):
                found += Path(folder, name).read_bytes()
    return found


@attack("processes", "sibling-kill", "kills the target of its run", alone="pair")
def _(scene: Scene) -> None:
    os.kill(int(sibling().name), signal.SIGKILL)
