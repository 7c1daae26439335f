"""`--wait`: until another run has given its job back, with one line that says whose it is.

Who waits asks the store again and again; nothing else is done meanwhile, and Ctrl-C ends it at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from dativo import errors
from dativo.dataclass import dataclass
from dativo.state.lease import Lease
from dativo.state.store import Store

FIRST, LONGEST = 0.1, 2.0
"""Seconds between two looks: often at first, for a run that is just ending."""


@dataclass(frozen=True)
class Waiting:
    """How long to wait for a job, and how that is told."""

    seconds: float
    """0: not at all; infinity: as long as it takes."""
    quiet: bool = False
    meanwhile: Callable[[], None] = lambda: None
    """Called between two looks; what it raises ends the wait."""

    def acquire(self, store: Store, job: str) -> Lease:
        """The job's lease, or job.busy when the time is up."""
        begun, pause, told = time.monotonic(), FIRST, False
        while True:
            try:
                return store.acquire(job)
            except errors.BusyError as busy:
                if busy.code != "job.busy" or self.seconds <= 0:
                    raise
                left = begun + self.seconds - time.monotonic()
                if left <= 0:
                    raise self._given_up(busy) from None
                if not told and not self.quiet:
                    print(f"  waiting: {busy.message}", file=sys.stderr, flush=True)
                told = True
            self.meanwhile()
            time.sleep(min(pause, left))
            pause = min(1.5 * pause, LONGEST)

    def _given_up(self, busy: errors.BusyError) -> errors.BusyError:
        return errors.BusyError(
            busy.code,
            f"{busy.message}; gave up after {self.seconds:g} s",
            hint="wait longer: --wait TIME, or --wait alone for as long as it takes",
            context={**busy.context, "waited": self.seconds},
        )


AT_ONCE = Waiting(0.0)
