"""`verify: after`: a run's bookmarks are held back until the destination was read back and found equal.

What was delivered is what the data plane copied on its way to the target (`copy_to`). I1: a target that says that it
has stored what it has not is not believed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.bus.plan import Plan
from dativo.dataclass import dataclass
from dativo.observe import figures
from dativo.run.attempt import Keeper, Seen
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.step import Step
from dativo.run.verify import database, findings, landing
from dativo.run.verify.aside import aside
from dativo.run.verify.comparison import Comparison
from dativo.run.verify.findings import Finding
from dativo.run.verify.readback import Read, read_back
from dativo.run.verify.room import room

COPY = "delivered.jsonl"
STANDING = "bookmark unchanged: the next run sends these rows again"


class Withheld:
    """Takes the place of a `Hold` while a run goes on: it remembers the last bookmark and keeps none."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self.last: tuple[str, int, int] | None = None

    def commit(self, text: str, records: int, of: int) -> None:
        """Remember it."""
        self.last = (text, records, of)

    def beat(self) -> None:
        """The lease is kept all the same."""
        self._hold.beat()

    def release(self) -> None:
        """Keep the last bookmark after all."""
        if self.last is not None:
            self._hold.commit(*self.last)


@dataclass
class Unchecked:
    """`verify: never`: the run as it is."""

    keeper: Keeper
    found: Sequence[Finding] = ()
    problem: errors.DativoError | None = None
    held_back: bool = False

    def planned(self, plan: Plan) -> Plan:
        """The plan as it is."""
        return plan

    def judge(self, seen: Seen, interrupts: Interrupts) -> None:
        """Nothing is looked at."""


@dataclass
class After:
    """`verify: after`."""

    hold: Hold
    target: Step
    folder: Path
    found: list[Finding] = field(default_factory=list)
    problem: errors.DativoError | None = None
    """Why the run's bookmark may not be kept, although the data plane calls the run done."""
    held_back: bool = True
    """Whether the bookmarks of the run are still not kept."""

    def __post_init__(self) -> None:
        self.landing = landing.of(self.target)
        database.ready()
        self.keeper: Withheld = Withheld(self.hold)

    def planned(self, plan: Plan) -> Plan:
        """The plan with a copy of what is delivered."""
        return replace(plan, copy_to=str(self.folder / COPY))

    def judge(self, seen: Seen, interrupts: Interrupts) -> None:
        """Compare, and keep the run's last bookmark if all is there. A run that is not done keeps none."""
        if seen.end.verdict != "done":
            return
        try:
            self.found = self._compare(interrupts)
        except errors.Cancelled:
            raise
        except errors.DativoError as problem:
            problem.details += (STANDING,)
            self.problem = problem
        else:
            if not all(one.equal for one in self.found):
                said = f"{self.target.name} does not hold what it was given"
                self.problem = findings.mismatch(self.found, said, self.target.name, STANDING)
        if self.problem is None:
            self.keeper.release()
            self.held_back = False
        elif self.target.can("bookmark"):
            self.hold.insist()  # it has moved the bookmark beside its data: the next run must not take that one over

    def _compare(self, interrupts: Interrupts) -> list[Finding]:
        comparison = Comparison(self.folder)
        long: dict[str, Any] = {"stop": comparison.stop, "beat": self.hold.beat}
        try:
            sent = aside(lambda: comparison.take(self.folder / COPY), **long)
            batched = [name for name, one in sent.items() if one.batches]
            if batched:
                raise errors.ConfigError(
                    "verify.unreadable",
                    f"{', '.join(batched)} went as BATCH files, which are not compared",
                    hint="turn batch_config off in the tap, or leave `verify: after` out",
                )
            wanted = [name for name, one in sent.items() if one.rows]
            if not wanted:
                return []
            read = read_back(self.target, self.landing, wanted, self.folder, interrupts=interrupts, beat=self.hold.beat)
            return aside(lambda: [self._one(comparison, name, read[name]) for name in wanted], **long)
        finally:
            comparison.close()

    def _one(self, comparison: Comparison, name: str, read: Read) -> Finding:
        empty = self.landing.empty_is_null
        return comparison.compare(name, read, upserts=self.landing.upserts, whole=False, empty_is_null=empty)


@contextlib.contextmanager
def checking(mode: str, hold: Hold, target: Step, state_path: Path) -> Iterator[After | Unchecked]:
    """How a run is checked."""
    if mode != "after":
        yield Unchecked(hold)
        return
    with room(state_path) as folder:
        yield After(hold, target, folder)


def verified(found: Sequence[Finding]) -> list[str]:
    """What a summary says about a check that passed."""
    if not found:
        return []
    rows, streams = sum(one.rows for one in found), len(found)
    told = f"read back: {figures.count(rows, 'row')} of {figures.count(streams, 'stream')} equal"
    return [told, *(text for one in found for text in one.remarks())]
