"""A tape as a test: a small pytest file beside a copy of the tape, which replays it into the target under test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.run import tape

TEXT = Template('''"""Replays $tape into a target and compares with what was recorded: $told.

Made by `dativo replay $run --test $file`. The tape beside this file holds the records of that run.
DATIVO_TEST_TARGET=target-other tests another target; SETTINGS are given to it, {tmp} is a fresh folder.
"""

import json
import os
import subprocess
from pathlib import Path

TAPE = Path(__file__).with_name($tape_json)
TARGET = os.environ.get("DATIVO_TEST_TARGET", $target_json)
SETTINGS = $settings
JOB = $job_json
STREAMS = $streams
BOOKMARK = $bookmark
VERDICT = $verdict


def dativo(*words):
    return subprocess.run(["dativo", *words], capture_output=True, text=True)


def test_$name(tmp_path):
    dativo("state", "clear", JOB, "--yes")
    words = ["replay", str(TAPE), "--to", TARGET, "--job", JOB, "--json", "--quiet"]
    for setting in SETTINGS:
        words += ["--set", f"{TARGET}.{setting.format(tmp=tmp_path)}"]
    done = dativo(*words)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == VERDICT, done.stdout + done.stderr
    assert {name: one["records"] for name, one in found["streams"].items()} == STREAMS
    kept = dativo("state", "get", JOB)
    assert (json.loads(kept.stdout) if kept.returncode == 0 else None) == json.loads(BOOKMARK)
''')


def write(path: Path, source: Path, target: str, settings: Sequence[str]) -> list[Path]:
    """Write the test and copy the tape beside it. Returns both."""
    if path.suffix != ".py" or not path.stem.startswith("test_"):
        hint = "pytest looks for files that are called so"
        raise errors.ConfigError("usage", f"{path.name}: a test's file is called test_….py", hint=hint)
    for setting in settings:
        if "{" in setting.replace("{tmp}", "") or "}" in setting.replace("{tmp}", ""):
            raise errors.ConfigError("usage", "--set: the only braces that a test's setting may have are {tmp}")
    found = tape.info(source)
    copy = path.with_name(f"{path.stem.removeprefix('test_')}{tape.SUFFIX}")
    text = TEXT.substitute(
        tape=copy.name,
        file=path.name,
        run=found["run"],
        told=_told(found),
        tape_json=json.dumps(copy.name),
        target_json=json.dumps(target),
        settings=json.dumps([one.removeprefix(f"{target}.") for one in settings]),
        streams=json.dumps(found["streams"]),
        bookmark=repr(json.dumps(found["bookmark"])),
        verdict=json.dumps(_verdict(found)),
        name="".join(c if c.isalnum() else "_" for c in path.stem.removeprefix("test_")).lower(),
        job_json=json.dumps(f"test-{path.stem.removeprefix('test_')}"),
    )
    atomic.write(path, text)
    try:
        if not (copy.exists() and copy.samefile(source)):
            shutil.copyfile(source, copy)
        copy.chmod(0o600)
    except OSError as problem:
        raise atomic.fault(problem, copy) from problem
    return [path, copy]


def _told(found: dict[str, Any]) -> str:
    return f"{found['records']} records of {len(found['streams'])} streams, {_verdict(found)}"


def _verdict(found: dict[str, Any]) -> str:
    """What is expected: as recorded where the target was to blame, else that all that was recorded is loaded."""
    target = found["hops"][-1][1] if found["hops"] else None
    return "interrupted" if found["verdict"] != "done" and found["child"] == target else "done"
