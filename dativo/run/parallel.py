"""`--parallel N`: how many taps of a run may read at once, and what they are made of.

The job has one target and one bookmark, as without it (docs/adr/2026-11-26-parallel.md): several taps write, through
`dativo-bus --gather`, what the target reads as the stream of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.bus.plan import Plan, Spill
from dativo.config.specs import JobSpec
from dativo.run import letterbox
from dativo.run.attempts import Lent
from dativo.run.governor import Budget, Governor
from dativo.run.interrupts import Interrupts
from dativo.run.options import RunOptions
from dativo.run.places import SPILL
from dativo.run.shares import divided
from dativo.run.step import Step
from dativo.run.taps import Taps, Task, Terms, tap_side
from dativo.state import bookmark as bookmarks

Making = Callable[[Plan, str | None, str | None, Lent], Taps | None]


def one(*_: object) -> None:
    """No taps beside each other."""


def taps(spec: JobSpec, options: RunOptions, steps: Sequence[Step], store: Path, interrupts: Interrupts) -> Making:
    """What makes the taps of an attempt; it makes none where one tap alone is to read."""
    most = options.parallel or spec.parallel
    if most < 2:
        return one
    tap = steps[0]
    governor = Governor(Budget.of(spec.job_limits, options.memory))

    def made(plan: Plan, catalog: str | None, state: str | None, lent: Lent) -> Taps | None:
        if catalog is None:
            raise errors.ConfigError(
                "usage",
                f"{tap.name} discovers no streams, so they cannot be divided among taps",
                hint="run it without --parallel, or give --catalog FILE",
            )
        shares = divided(catalog, most, spec.together)
        if len(shares) < 2:
            return None
        _mergeable(state, plan.job)
        _alike(plan.children[0], tap)

        def of_task(task: Task, place: str) -> Plan:
            child = _child(tap, plan, task)
            return tap_side(plan, child, place, letterbox.file(store, plan.job, f"{plan.run}-{place}", plan.policy))

        terms = Terms(
            tap,
            of_task,
            min(most, len(shares)),
            Spill(**spec.spill, dir=str(store.parent / SPILL)),
            governor,
            lent.retrying,
            interrupts,
            lent.mended,
            isolates=lent.isolates,
            quiet=options.quiet,
            verbose=options.verbose,
        )
        return Taps(terms, plan, shares, state)

    return made


def _child(tap: Step, plan: Plan, task: Task) -> dict[str, Any]:
    """The tap for one task: the attempt's own, with another catalog and state."""
    child = tap.child(job=plan.job, run=plan.run, catalog=task.share.catalog, state=task.state)
    files = {
        name: {key: held for key, held in file.items() if key != "back_fd"} for name, file in child["files"].items()
    }
    return {**child, "files": files}


def _mergeable(state: str | None, job: str) -> None:
    """Refuse a bookmark that cannot be divided."""
    if state is not None and not isinstance(bookmarks.parse(state).get("bookmarks"), dict):
        raise errors.ConfigError(
            "state.invalid",
            f"the bookmark of {job} has no entries by stream, so it cannot be divided among taps",
            hint="run it without --parallel (parallel: 1)",
        )


def _alike(child: dict[str, Any], tap: Step) -> None:
    """Refuse a tap that changes its own secrets: each would make the others' invalid."""
    rewrites = any(file.get("back_fd") is not None for file in child["files"].values())
    if rewrites and tap.disclosure is not None and tap.disclosure.refreshes:
        raise errors.ConfigError(
            "usage",
            f"{tap.name} may rewrite its config, which holds secret:// references: several at once would use up each "
            "other's tokens",
            hint=f"run it without --parallel, or set plugins.{tap.name}.config_mode: memfd",
        )
