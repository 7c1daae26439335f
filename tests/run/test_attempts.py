"""The wait between two attempts."""

from __future__ import annotations

from typing import Any, cast

from dativo import errors
from dativo.run.attempts import Attempts
from dativo.run.interrupts import Interrupts
from dativo.run.options import RunOptions
from dativo.run.retry import Retrying, RetryPolicy


class Beating:
    """A hold whose lease is lost at a beat."""

    def __init__(self, lost_at: int) -> None:
        self.beats, self.lost_at = 0, lost_at

    def beat(self) -> None:
        self.beats += 1
        if self.beats == self.lost_at:
            raise errors.BusyError("job.lease_lost", "another run has it")


def waiting(hold: Beating) -> Attempts:
    return Attempts(
        work=cast(Any, None),
        job="j",
        hold=cast(Any, hold),
        steps=(),
        interrupts=Interrupts(),
        options=RunOptions(),
        retrying=Retrying(RetryPolicy()),
    )


def test_the_lease_is_kept_while_it_waits():
    """I5"""
    hold = Beating(lost_at=0)
    assert waiting(hold)._wait(1.2) is None
    assert hold.beats >= 3


def test_a_lost_lease_ends_the_wait():
    """I5"""
    stopped = waiting(Beating(lost_at=2))._wait(3600)
    assert stopped is not None
    assert stopped.code == "job.lease_lost"


def test_a_signal_that_came_before_it_ends_the_wait():
    attempts = waiting(Beating(lost_at=0))
    attempts.interrupts.count = 1
    stopped = attempts._wait(3600)
    assert stopped is not None
    assert stopped.code == "run.cancelled"
