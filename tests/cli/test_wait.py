import math

import pytest

from dativo.cli import runflags
from dativo.cli.main import main


@pytest.mark.parametrize(
    ("words", "seconds", "job"),
    [
        (["--wait", "shop"], math.inf, ["shop"]),
        (["shop", "--wait"], math.inf, ["shop"]),
        (["shop", "--wait", "--json"], math.inf, ["shop"]),
        (["--wait", "10m", "shop"], 600.0, ["shop"]),
        (["--wait=2h", "shop"], 7200.0, ["shop"]),
        (["--wait", "--", "10m"], math.inf, ["10m"]),
        (["shop"], None, ["shop"]),
    ],
)
def test_wait_may_stand_alone(words, seconds, job):
    from dativo.cli.run import command

    with command.make_context("run", words) as context:
        assert (context.params["wait"], list(context.params["words"])) == (seconds, job)


def test_a_time_that_is_none_is_refused(capsys):
    assert main(["run", "shop", "--wait=soon"]) == 2
    assert "a duration is expected" in capsys.readouterr().err
    assert runflags.with_wait(["a", "--wait"]) == ["a", f"--wait={runflags.AS_LONG}"]
