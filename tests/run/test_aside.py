"""Work in a thread while the lease is kept."""

from __future__ import annotations

import threading

import pytest

from dativo import errors
from dativo.run.verify.aside import aside


def test_the_lease_is_kept_while_the_work_goes_on() -> None:
    done, beats = threading.Event(), []

    def beat() -> None:
        beats.append(threading.current_thread())
        done.set()

    assert aside(lambda: done.wait(60), stop=done.set, beat=beat) is True
    assert beats[0] is threading.current_thread()


def test_a_lost_lease_ends_the_work() -> None:
    stopped = threading.Event()

    def beat() -> None:
        raise errors.BusyError("job.lease_lost", "another run took the job over")

    with pytest.raises(errors.BusyError):
        aside(lambda: stopped.wait(60), stop=stopped.set, beat=beat)
    assert stopped.is_set()


def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        aside(work, stop=lambda: None)
