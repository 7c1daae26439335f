"""Runs a program that knows a secret (`age`, `sops`, what `exec` declares) and takes its stdout, in memory only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dativo.dataclass import dataclass
from dativo.secrets import faults

LARGEST = 1 << 20


@dataclass(frozen=True)
class Ended:
    """How it ended. `stderr` is for programs that are known not to print what they decrypt."""

    code: int
    stdout: bytes
    stderr: str


def find(name: str, what: str) -> str:
    """A program on PATH, or secret.backend."""
    found = shutil.which(name)
    if found is None:
        raise faults.failed(what, f"the program {name} is not on PATH", f"install {name}")
    return found


def run(argv: Sequence[str], *, what: str, timeout: float, cwd: Path, env: Mapping[str, str] | None = None) -> Ended:
    """Run it without a shell and without a terminal; after `timeout` seconds it and its children are killed."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # no terminal to ask for a passphrase on, and one group to kill
        )
    except OSError as problem:
        raise faults.failed(what, f"{Path(argv[0]).name} cannot be started: {problem.strerror}") from None
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise faults.failed(
            what, f"{Path(argv[0]).name} did not end within {timeout:.0f} s", "raise secrets.timeout"
        ) from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if len(stdout) > LARGEST:
        raise faults.failed(what, f"more than {LARGEST:,} bytes is no secret")
    return Ended(process.returncode, stdout, stderr.decode(errors="replace"))


def text(raw: bytes, what: str) -> str:
    """Bytes as the text they are, without the newline that ends a file."""
    try:
        found = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise faults.failed(what, "it is not UTF-8 text", "encode it, for example as base64") from None
    return found.removesuffix("\n").removesuffix("\r")
