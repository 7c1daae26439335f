"""The circuit breaker: a plugin that failed run after run is left alone for a while, whichever job names it."""

from __future__ import annotations

from collections.abc import Sequence

from dativo import errors
from dativo.observe import figures
from dativo.run.causes import NEVER
from dativo.run.hold import Hold
from dativo.run.retry import BreakerPolicy

_NOT_ITS_FAULT = ("env.", "sandbox.", "secret.", "state.", "run.", "job.", "permissions.", "bus.")


def admit(hold: Hold, plugins: Sequence[str], policy: BreakerPolicy | None, *, force: bool) -> None:
    """Return when the run may start. Raises job.breaker_open before anything is started."""
    if force:
        for plugin in plugins:
            hold.close_breaker(plugin)
    if policy is None:
        return
    for plugin in plugins:
        held = hold.enter_breaker(plugin, policy.failures, policy.pause)
        if held is not None:
            left = figures.seconds(held.left)
            raise errors.RunError(
                "job.breaker_open",
                f"{plugin} failed in {figures.count(held.failures, 'run')} in a row: none starts for another {left}",
                details=(f"the last time: {held.message or held.reason}",),
                hint="wait, or run it with --force when the cause is mended",
                context={"plugin": plugin, "seconds": round(held.left, 3), "cause": held.reason},
            )


def settle(hold: Hold, plugins: Sequence[str], problem: errors.DativoError | None) -> None:
    """Count how the run ended for its plugins. What is nobody's fault, or the user's wish, counts for nothing."""
    if problem is None:
        for plugin in plugins:
            hold.close_breaker(plugin)
        return
    blamed = problem.context.get("plugin")
    if blamed in plugins and problem.code not in NEVER and not problem.code.startswith(_NOT_ITS_FAULT):
        hold.breaker_failed(str(blamed), problem.code, problem.message)
