from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dativo.run import neighbours
from dativo.run.neighbours import Kind, Process, classify, holders, is_anonymous, pipe_key


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        ("/usr/bin/python3 /x/bin/dativo tap-csv", Kind.DATIVO, "dativo"),
        ("python -m dativo.cli.main tap-csv", Kind.DATIVO, "dativo"),
        ("env A=1 dativo tap-csv", Kind.DATIVO, "dativo"),
        ("timeout 10 /x/bin/dativo tap-csv", Kind.DATIVO, "dativo"),
        ("/x/dativo-bus --plan-fd 3", Kind.DATIVO, "dativo"),
        ("bash /shims/dativo tap-csv", Kind.DATIVO, "dativo"),
        ("bash -c dativo tap-csv | dativo target-x", Kind.SHELL, "bash"),
        ("-zsh", Kind.SHELL, "zsh"),
        ("grep dativo", Kind.FOREIGN, "grep"),
        ("head -3", Kind.FOREIGN, "head"),
        ("/venv/bin/python /venv/bin/target-jsonl --config c", Kind.FOREIGN, "target-jsonl"),
        ("python", Kind.FOREIGN, "python"),
        ("python -c pass", Kind.FOREIGN, "python"),
        ("timeout 10 jq .", Kind.FOREIGN, "10"),
        ("", Kind.SHELL, ""),
    ],
)
def test_what_a_command_line_looks_like(line, kind, name):
    words = line.split(" ", 2) if line.startswith("bash -c") else line.split()
    assert classify(words or [""]) == (kind, name)


def test_both_ends_of_a_pipe_have_one_key():
    read, write = os.pipe()
    assert pipe_key(read) == pipe_key(write)
    assert pipe_key(read) is not None
    assert is_anonymous(read)
    os.close(read)
    os.close(write)
    assert pipe_key(read) is None


def test_a_file_is_no_pipe(tmp_path):
    with (tmp_path / "f").open("w") as file:
        assert pipe_key(file.fileno()) is None
        assert not is_anonymous(file.fileno())


@pytest.mark.parametrize("named", [False, True])
def test_who_holds_the_other_end(tmp_path, named):
    if named:
        path = tmp_path / "fifo"
        os.mkfifo(path)
        read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        write = os.open(path, os.O_WRONLY)
        os.set_blocking(read, True)
        assert not is_anonymous(read)
    else:
        read, write = os.pipe()
    reader = subprocess.Popen(["cat"], stdin=read, stdout=subprocess.DEVNULL)
    found = holders(write, writing=False)
    while found[0].kind is Kind.SHELL:  # it is only just becoming `cat`
        found = holders(write, writing=False)
    assert [(one.pid, one.kind, one.name) for one in found] == [(reader.pid, Kind.FOREIGN, "cat")]
    assert holders(write, writing=True) == []
    os.close(write)
    os.close(read)
    reader.wait()


def test_a_shell_that_reads_is_no_program_to_come():
    read, write = os.pipe()
    reader = subprocess.Popen(
        ["bash", "-c", "while read -r line; do echo $line; done"], stdin=read, stdout=subprocess.PIPE
    )
    os.write(write, b"hello\n")
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"hello\n"  # it reads on from here
    while not neighbours._settled(reader.pid):
        os.sched_yield()
    assert [one.kind for one in holders(write, writing=False)] == [Kind.FOREIGN]
    os.close(write)
    os.close(read)
    reader.communicate()


def test_a_process_is_more_than_its_pid():
    me = Process.this()
    assert me.alive
    assert not Process(me.pid, me.starttime + 1).alive
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    started = neighbours.starttime(child.pid)
    assert started is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not Process(child.pid, started).alive  # a zombie is gone
    child.wait()
    assert neighbours.starttime(child.pid) is None
