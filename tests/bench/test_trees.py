"""What a tree of processes takes is measured over all of them, and a command that fails is told."""

import os
import sys

import pytest

from tests.bench import trees

HOLD = "import time; held = bytearray(60_000_000); time.sleep(1.5)"
SPIN = "import time\nwhile time.process_time() < 0.5: pass"


def run(line, cwd):
    return trees.run(["/bin/sh", "-c", line], env=dict(os.environ), cwd=cwd)


def test_memory_is_that_of_all_processes_together(tmp_path):
    cost = run(f'"{sys.executable}" -c "{HOLD}" & "{sys.executable}" -c "{HOLD}"; wait', tmp_path)
    assert 120e6 < cost.peak < 400e6


def test_processor_time_is_that_of_all_processes_together(tmp_path):
    script = tmp_path / "spin.py"
    script.write_text(SPIN)
    cost = run(f'"{sys.executable}" {script} & "{sys.executable}" {script}; wait', tmp_path)
    assert cost.cpu >= 1.0


def test_files_in_a_spool_are_memory(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    fill = f"head -c 50000000 /dev/zero > {spool}/1.arrow; sleep 1; rm {spool}/1.arrow; sleep 1"
    cost = run(f"DATIVO_SPOOL={spool} /bin/sh -c '{fill}'", tmp_path)
    assert 50e6 <= cost.peak < 100e6


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(trees.Failed, match=r"exit 3: no such \| table"):
        run("printf 'no such\\ntable\\n' >&2; exit 3", tmp_path)
