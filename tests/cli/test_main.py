import json
import os
import pty
import shlex
import signal
import subprocess
import sys

import click
import pytest

from dativo import __version__, errors
from dativo.cli import group, main, report
from tests.cli.terminal import command, dativo, environment


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATIVO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATIVO_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def planted(monkeypatch):
    """A built-in command whose body a test gives."""

    def plant(body, *params):
        made = click.Command("doctor", callback=body, params=list(params))
        monkeypatch.setattr(group.Commands, "get_command", lambda self, ctx, name: made)

    return plant


def throw(problem):
    def body():
        raise problem

    return body


def test_version_needs_no_click():
    script = "import sys; from dativo.cli.main import main; main(['--version']); assert 'click' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"dativo {__version__}\n", "", 0)


def test_version_is_the_same_beside_other_options(capsys):
    assert main.main(["--version", "--help"]) == 0
    assert capsys.readouterr().out == f"dativo {__version__}\n"


def test_help_imports_no_command():
    script = (
        "import sys; from dativo.cli.main import COMMANDS, main; main(['--help']);"
        "loaded = [t for _, t, _ in COMMANDS.values() if t.split(':')[0] in sys.modules]; assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, (section, _, line) in main.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert line in done.stdout
        assert f"{section}:" in done.stdout


@pytest.mark.parametrize(
    ("words", "first", "hint"),
    [
        (["stat"], "error[usage]  no such command or plugin: stat", "did you mean `dativo state`?"),
        (["frobnicate"], "error[usage]  no such command or plugin: frobnicate", "see `dativo --help`"),
        (["--frob"], "error[usage]  No such option '--frob'", "see `dativo --help`"),
        (["state", "lst"], "error[usage]  No such command 'lst'", "see `dativo state --help`"),
        (["state", "get"], "error[usage]  Missing argument 'JOB'", "see `dativo state get --help`"),
        (
            ["state", "log", "j", "--limit", "x"],
            "error[usage]  Invalid value for '--limit'",
            "`dativo state log --help`",
        ),
    ],
)
def test_a_typing_error_exits_2_and_names_the_help(words, first, hint, capsys):
    assert main.main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(first)
    assert hint in said.err.splitlines()[-1]
    assert said.err.endswith("(exit 2)\n")


def test_nothing_typed_shows_the_help(capsys):
    assert main.main([]) == 2
    said = capsys.readouterr()
    assert "dativo add tap-csv" in said.out + said.err


def test_an_error_has_the_shape_of_the_design(planted, capsys):
    planted(throw(errors.ConfigError("config.missing", "tap-csv needs files\nand more", details=("looked in: x",))))
    assert main.main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "error[config.missing]  tap-csv needs files\n  and more\n  looked in: x\n"
        "  give it as a flag, in --config or in dativo.yml        (exit 2)\n"
    )


def test_with_json_an_error_is_one_object_on_stdout(planted, capsys):
    planted(
        throw(
            errors.DataError("data.junk", "a line", hint="do", context={"plugin": "tap-x", "stream": "s", "run": "r"})
        )
    )
    assert main.main(["doctor", "--json"]) == 2  # this planted command has no --json: still JSON
    assert json.loads(capsys.readouterr().out)["code"] == "usage"
    report.OUTPUT.json = True
    report.print_error(errors.DataError("data.junk", "a line", hint="do", context={"plugin": "tap-x", "stream": "s"}))
    assert json.loads(capsys.readouterr().out) == {
        "code": "data.junk",
        "message": "a line",
        "hint": "do",
        "plugin": "tap-x",
        "stream": "s",
        "run": None,
        "details": [],
        "exit": 4,
    }
    report.OUTPUT.errors_on = "stderr"  # as the commands do whose stdout is a Singer stream
    report.print_error(errors.DataError("data.junk", "a line"))
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["exit"] == 4
    report.OUTPUT.reset()


@pytest.mark.parametrize(
    ("problem", "code", "first"),
    [
        (OSError(28, "No space left on device", "/data/x"), 3, "error[env.disk_full]  the disk is full: /data/x"),
        (OSError(122, "Quota exceeded", b"/data/x"), 3, "error[env.disk_full]  the disk quota is used up: /data/x"),
        (OSError(30, "Read-only file system", "/x"), 3, "error[env.read_only]  the file system is read-only: /x"),
        (PermissionError(13, "Permission denied", "/x"), 3, "error[env.permission]  permission denied: /x"),
        (errors.BusyError("job.busy", "held"), 5, "error[job.busy]  held"),
        (errors.Cancelled("run.cancelled", "stopped", context={"exit": 143}), 143, "error[run.cancelled]  stopped"),
        (click.ClickException("odd"), 2, "error[usage]  odd"),
    ],
)
def test_what_can_go_wrong_has_a_code(problem, code, first, planted, capsys):
    planted(throw(problem))
    assert main.main(["doctor"]) == code
    assert capsys.readouterr().err.startswith(first + "\n")


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_quiet(problem, planted, capsys):
    planted(throw(problem))
    assert main.main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (4, 4), (True, 0), ("text", 0)])
def test_a_command_may_return_its_exit_code(value, code, planted):
    planted(lambda: value)
    assert main.main(["doctor"]) == code


def _crash():
    secret = "hunter2hunter2"
    try:
        raise ValueError(f"bad password {secret}")
    except ValueError as cause:
        raise RuntimeError(f"cannot log in with {secret}") from cause


def test_a_bug_becomes_one_line_and_a_report_without_values(planted, home, capsys):
    """I13: neither the terminal nor the report shows a value."""
    planted(_crash)
    assert main.main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error[bug]  Dativo met something it did not expect (RuntimeError)\n  crash report: ")
    assert "Traceback" not in said
    [path] = (home / "home" / "state" / "crashes").iterdir()
    assert str(path) in said
    text = path.read_text()
    assert text.index("builtins.ValueError") < text.index("builtins.RuntimeError")
    assert "in _crash" in text
    assert "hunter2hunter2" not in said + text
    assert path.parent.stat().st_mode & 0o077 == 0


def test_who_debugs_sees_the_inside(planted, monkeypatch, capsys):
    monkeypatch.setenv("DATIVO_DEBUG", "1")
    planted(_crash)
    assert main.main(["doctor"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_crash_report_that_cannot_be_written_is_said(planted, home, monkeypatch, capsys):
    (home / "file").touch()
    monkeypatch.setenv("DATIVO_HOME", str(home / "file"))
    planted(_crash)
    assert main.main(["doctor"]) == 1
    assert "no crash report could be written" in capsys.readouterr().err


def test_control_characters_are_shown_not_obeyed(planted, capsys):
    planted(throw(errors.DataError("data.junk", "a\x1b[2Jb\rc\x00\u202e", details=("d\x07",))))
    main.main(["doctor"])
    said = capsys.readouterr().err
    assert "a\\x1b[2Jb\\rc\\x00\\u202e" in said
    assert "\\x07" in said
    assert not any(ord(c) < 32 and c != "\n" for c in said)


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    for words in (["--help"], ["--version"], ["completion", "bash"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            command(*words), env=environment(tmp_path), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, ""), words


def test_a_broken_pipe_elsewhere_is_a_bug_not_a_quiet_end(planted, capsys):
    planted(throw(BrokenPipeError(32, "Broken pipe")))
    assert main.main(["doctor"]) == 1
    assert "error[bug]" in capsys.readouterr().err


def test_a_full_disk_under_stdout_is_said(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("completion", "zsh"),
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("error[env.disk_full]  the disk is full: standard output\n")


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_closed_standard_streams_hurt_nothing(tmp_path, closed):
    """With `2>&-` the next file opened would become descriptor 2, and messages would go into it."""
    words = " ".join(f"{fd}>&-" for fd in closed)
    line = f"{shlex.join(command('state', 'set', 'j', '{}'))} {words}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    said = subprocess.run(
        ["bash", "-c", f"{shlex.join(command('state', 'get', 'j'))} >&-"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        check=False,
    )
    assert (said.returncode, said.stderr.split(b"\n")[0]) == (
        3,
        b"error[env.output]  standard output: Bad file descriptor",
    )


def test_results_are_utf8_whatever_the_locale(tmp_path):
    odd = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    assert dativo(tmp_path, "state", "set", "jöb", '{"é": 1}', **odd).returncode == 0
    assert dativo(tmp_path, "state", "get", "jöb", **odd).stdout == '{"é": 1}\n'
    assert "jöb" in dativo(tmp_path, "state", "list", **odd).stdout


def test_ctrl_c_on_a_real_terminal(tmp_path):
    """A command that waits for stdin is interrupted: exit 130 and not a word."""
    process = subprocess.Popen(
        command("state", "set", "j"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until_it_reads(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


def wait_until_it_reads(pid):
    """Until the process sleeps in a read of its stdin pipe: this is state, not time."""
    while True:
        with open(f"/proc/{pid}/syscall") as told:
            words = told.read().split()
        if words[:2] == ["0", "0x0"]:
            return
        os.sched_yield()


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals_that_want_them(tmp_path, more, coloured):
    parent, child = pty.openpty()
    env = environment(tmp_path, **{"TERM": "xterm", **more})
    subprocess.run(command("frobnicate"), cwd=tmp_path, env=env, stderr=child, check=False)
    os.close(child)
    said = os.read(parent, 4096)
    os.close(parent)
    assert (b"\x1b[1;31merror[usage]\x1b[0m" in said) == coloured
    assert b"error[usage]" in said


def test_a_pipe_gets_no_colours(tmp_path):
    assert "\x1b" not in dativo(tmp_path, "frobnicate", TERM="xterm").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back(shell, capsys):
    assert main.main(["completion", shell]) == 0
    assert "_DATIVO_COMPLETE" in capsys.readouterr().out


def test_completion_knows_commands_and_jobs(tmp_path):
    assert dativo(tmp_path, "state", "set", "shop-to-lake", "{}").returncode == 0
    for words, expected in (("dativo sta", "plain,state"), ("dativo state get sh", "plain,shop-to-lake")):
        done = dativo(tmp_path, _DATIVO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
        assert expected in done.stdout.splitlines(), done.stderr


def test_columns_are_aligned():
    assert report.columns([("a", 1), ("bcd", 1000)], right=[1]) == ["  a       1", "  bcd  1000"]
    assert report.columns([]) == []
