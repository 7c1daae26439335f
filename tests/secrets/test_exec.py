"""secret://exec: a declared command's stdout; a reference never spells a command (I12)."""

import sys
import time

import pytest

from dativo import errors
from tests.secrets.conftest import CANARY, read


def command(code):
    return {"exec": {"it": [sys.executable, "-c", code]}}


def test_what_it_prints(resolver, tmp_path):
    assert read(resolver(command(f"print({CANARY!r})")), "secret://exec/it") == CANARY
    assert read(resolver(command("import os; print(os.getcwd())")), "secret://exec/it") == str(tmp_path)
    assert read(resolver(command("""print('{"user": "me"}')""")), "secret://exec/it#user") == "me"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (f"import sys; print({CANARY!r}); print({CANARY!r}, file=sys.stderr); sys.exit(4)", "secret.backend"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "secret.backend"),
        ("pass", "secret.unknown"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "secret.backend"),
        ("print('x' * 2_000_000)", "secret.backend"),
    ],
)
def test_what_goes_wrong_is_said_without_the_value(resolver, code, expected):
    with pytest.raises(errors.DativoError) as caught:
        read(resolver(command(code)), "secret://exec/it")
    assert caught.value.code == expected
    assert CANARY not in str(caught.value.as_dict())


def test_it_has_its_time_and_its_children_too(resolver, tmp_path):
    code = "import subprocess, time; subprocess.Popen(['sh', '-c', 'sleep 3; touch late']); time.sleep(60)"
    began = time.monotonic()
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({**command(code), "timeout": 1.0}), "secret://exec/it")
    assert time.monotonic() - began < 3
    assert "1 s" in caught.value.message
    time.sleep(3)
    assert not (tmp_path / "late").exists()


def test_only_what_is_declared(resolver):
    for text in ("secret://exec/rm", "secret://exec/sh -c id", "secret://exec/it/x"):
        with pytest.raises(errors.ConfigError) as caught:
            read(resolver(command("print(1)")), text)
        assert caught.value.code == "secret.unknown"
    with pytest.raises(errors.EnvironmentFault) as caught:
        read(resolver({"exec": {"it": ["no-such-program-anywhere"]}}), "secret://exec/it")
    assert "cannot be started" in caught.value.message
