"""How often and when to try again: a job's policy, and the count that a run keeps of what it has used.

`Retrying.decide` is asked after every failure, by the attempts of a run and by whoever restarts one plugin of a
pipeline that still lives: both use up the same retries. The wait is tenacity's exponential backoff with full jitter (a
random time between none and the doubled delay), unless the source said how long to wait.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dativo.dataclass import dataclass
from dativo.observe import figures
from dativo.run.causes import Cause

BUDGET_WINDOW = 3600.0


@dataclass(frozen=True)
class BreakerPolicy:
    """Failed runs in a row that open a plugin's breaker, and for how many seconds."""

    failures: int = 5
    pause: float = 900.0


@dataclass(frozen=True)
class RetryPolicy:
    """What a job allows. Times are seconds."""

    attempts: int = 3
    """Including the first."""
    delay: float = 1.0
    """The longest wait before the second attempt; it doubles with each."""
    max_delay: float = 60.0
    deadline: float | None = None
    """No attempt begins later than this after the run did."""
    budget: int | None = None
    """Retries of the job in an hour, over all its runs."""
    breaker: BreakerPolicy | None = None

    @classmethod
    def of(cls, job: Mapping[str, Any], retries: int | None) -> RetryPolicy:
        """The job's `retry:` keys, and --retries over them."""
        given = {key: value for key, value in job.items() if key != "breaker"}
        breaker = job.get("breaker")
        policy = cls(**given, breaker=None if breaker is None else BreakerPolicy(**breaker))
        return policy if retries is None else replace(policy, attempts=retries + 1)


class Retrying:
    """What one run has used of its policy. `used` counts the retries that were decided on."""

    def __init__(
        self, policy: RetryPolicy, *, spent: Callable[[], int] = lambda: 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`spent` tells how much of the budget the job has used in the last hour, this run included."""
        self.policy = policy
        self.used = 0
        self.why: str | None = None
        """Why the last decision was not to try again, where another attempt could have helped."""
        self._spent = spent
        self._clock = clock
        self._begun = clock()
        self._of_cause: Counter[tuple[str, str | None]] = Counter()

    def decide(self, cause: Cause) -> float | None:
        """Seconds to wait before the next attempt, or None: not again."""
        self.why = None
        if cause.kind != "transient":
            return None
        wait = self._wait() if cause.wait is None else cause.wait
        self.why = self._refusal(cause, wait)
        if self.why is not None:
            return None
        self.used += 1
        self._of_cause[cause.key] += 1
        return wait

    def afresh(self) -> None:
        """Another part of the job is tried: it has all its attempts, in the time that is left."""
        self.used = 0
        self._of_cause.clear()

    def _refusal(self, cause: Cause, wait: float) -> str | None:
        policy = self.policy
        if self.used + 1 >= policy.attempts:
            return f"it was tried {figures.count(policy.attempts, 'time')}" if policy.attempts > 1 else ""
        if cause.bound is not None and self._of_cause[cause.key] >= cause.bound:
            return "it failed in the same way again"
        if policy.deadline is not None and self._clock() - self._begun + wait > policy.deadline:
            late = figures.seconds(wait)
            return f"the next attempt, in {late}, would begin after retry.deadline {figures.seconds(policy.deadline)}"
        if policy.budget is not None and self._spent() >= policy.budget:
            return f"the job has used retry.budget, {policy.budget} in an hour"
        return None

    def _wait(self) -> float:
        """Full jitter: what keeps many jobs that failed together from coming back together."""
        import tenacity  # 50 ms, for the runs that need it

        state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
        state.attempt_number = self.used + 1
        return float(tenacity.wait_random_exponential(self.policy.delay, self.policy.max_delay)(state))
