"""The circuit breaker of each plugin: failed runs in a row that were blamed on it, in any job of this store.

It is counted whether or not a job has a breaker; the job that asks says how many are too many and for how long.
"""

from __future__ import annotations

from dativo.dataclass import dataclass


@dataclass(frozen=True)
class Breaker:
    """What is counted of one plugin."""

    plugin: str
    failures: int
    since: float
    """When it failed last, or when a run was let through to try."""
    reason: str | None
    message: str | None

    def refuses(self, failures: int, pause: float, now: float) -> OpenBreaker | None:
        """What stops a run that takes `failures` for too many; None once `pause` seconds have passed."""
        left = self.since + pause - now
        # More than the pause: the clock was set back, so nothing is known.
        if self.failures < failures or not 0 < left <= pause:
            return None
        return OpenBreaker(self.plugin, self.failures, left, self.reason, self.message)


@dataclass(frozen=True)
class OpenBreaker:
    """A breaker that lets nothing through."""

    plugin: str
    failures: int
    left: float
    """Seconds until one run may try."""
    reason: str | None
    message: str | None
