"""The policy of a job: how often, how long, and when no more."""

from __future__ import annotations

import pytest

from dativo.config.specs import job_spec
from dativo.run.causes import Cause
from dativo.run.retry import BreakerPolicy, Retrying, RetryPolicy

PASSES = Cause("transient", "plugin.exited", "boom", "tap-x")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_defaults():
    assert RetryPolicy.of({}, None) == RetryPolicy(3, 1.0, 60.0, None, None, None)


def test_the_jobs_words_and_the_flag_over_them():
    spec = job_spec(
        "j",
        {
            "steps": ["tap-x", "target-y"],
            "retry": {"attempts": 5, "delay": "2s", "max_delay": "5m", "deadline": "2h", "budget": 9,
                      "breaker": {"failures": 2, "pause": "10m"}},
            "continue_on_error": True,
        },
    )  # fmt: skip
    assert spec.continue_on_error
    policy = RetryPolicy.of(spec.retry, None)
    assert policy == RetryPolicy(5, 2.0, 300.0, 7200.0, 9, BreakerPolicy(2, 600.0))
    assert RetryPolicy.of(spec.retry, 0).attempts == 1
    assert RetryPolicy.of({"breaker": {}}, None).breaker == BreakerPolicy(5, 900.0)


def test_the_wait_is_random_up_to_a_doubling_bound():
    bounds = (1, 2, 4, 5, 5)
    seen: list[list[float]] = [[] for _ in bounds]
    for _ in range(200):
        retrying = Retrying(RetryPolicy(attempts=9, delay=1, max_delay=5))
        for at in range(len(bounds)):
            wait = retrying.decide(PASSES)
            assert wait is not None
            seen[at].append(wait)
    for waits, bound in zip(seen, bounds, strict=True):
        assert 0 <= min(waits) < bound / 4
        assert bound * 3 / 4 < max(waits) <= bound


def test_attempts_end():
    retrying = Retrying(RetryPolicy(attempts=3, delay=0))
    assert [retrying.decide(PASSES) for _ in range(3)] == [0, 0, None]
    assert (retrying.used, retrying.why) == (2, "it was tried 3 times")
    retrying.afresh()
    assert retrying.decide(PASSES) == 0


@pytest.mark.parametrize("kind", ["permanent", "never"])
def test_what_stays_is_not_tried_again(kind):
    retrying = Retrying(RetryPolicy())
    assert retrying.decide(Cause(kind, "config.invalid", "no")) is None
    assert (retrying.used, retrying.why) == (0, None)


def test_a_crash_is_tried_once_more():
    crash = Cause("transient", "plugin.killed", "SIGSEGV", "tap-x", bound=1)
    retrying = Retrying(RetryPolicy(attempts=9, delay=0))
    assert retrying.decide(crash) == 0
    assert retrying.decide(PASSES) == 0
    assert retrying.decide(crash) is None
    assert retrying.why == "it failed in the same way again"


def test_a_wait_that_was_told_is_kept_within_the_deadline():
    clock = Clock()
    retrying = Retrying(RetryPolicy(attempts=9, max_delay=1, deadline=100), clock=clock)
    told = Cause("transient", "plugin.exited", "429", "tap-x", wait=60)
    assert retrying.decide(told) == 60
    clock.now += 60
    assert retrying.decide(told) is None
    assert retrying.why is not None
    assert "retry.deadline" in retrying.why


def test_the_budget_is_asked_each_time():
    spent = [0]
    retrying = Retrying(RetryPolicy(attempts=9, delay=0, budget=2), spent=lambda: spent[0])
    assert retrying.decide(PASSES) == 0
    spent[0] = 2
    assert retrying.decide(PASSES) is None
    assert retrying.why == "the job has used retry.budget, 2 in an hour"
