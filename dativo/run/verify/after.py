"""`verify: after`: a run's bookmarks are held back until the destination was read back and found equal.

What was delivered is what the data plane copied on its way to the target (`copy_to`). I1: a target that says that it
has stored what it has not is not believed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dativo import errors
from dativo.bus.plan import Plan
from dativo.observe import figures
from dativo.run.attempt import Keeper, Seen
from dativo.run.hold import Hold
from dativo.run.interrupts import Interrupts
from dativo.run.step import Step
from dativo.run.verify import database, findings, landing
from dativo.run.verify.comparison import Comparison
from dativo.run.verify.findings import Finding
from dativo.run.verify.readback import read_back
from dativo.run.verify.room import room

COPY = "delivered.jsonl"


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

    def planned(self, plan: Plan) -> Plan:
        """The plan as it is."""
        return plan

    def judge(self, seen: Seen, interrupts: Interrupts) -> tuple[list[Finding], errors.DativoError | None]:
        """Nothing is looked at."""
        return [], None


@dataclass
class After:
    """`verify: after`."""

    hold: Hold
    target: Step
    folder: Path

    def __post_init__(self) -> None:
        self.landing = landing.of(self.target)
        database.ready()
        self.keeper: Withheld = Withheld(self.hold)

    def planned(self, plan: Plan) -> Plan:
        """The plan with a copy of what is delivered."""
        return replace(plan, copy_to=str(self.folder / COPY))

    def judge(self, seen: Seen, interrupts: Interrupts) -> tuple[list[Finding], errors.DativoError | None]:
        """Compare, and keep the run's last bookmark if all is there. A run that is not done keeps none."""
        if seen.end.verdict != "done":
            return [], None
        try:
            found = self._compare(interrupts)
        except errors.Cancelled:
            raise
        except errors.DativoError as problem:
            self._undo()
            problem.details += (self._standing(),)
            return [], problem
        if all(one.equal for one in found):
            self.keeper.release()
            return found, None
        self._undo()
        return found, findings.mismatch(found, self.target.name, self._standing())

    def _compare(self, interrupts: Interrupts) -> list[Finding]:
        comparison = Comparison(self.folder, self.folder / COPY)
        try:
            sent = comparison.streams
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
            return [
                comparison.compare(
                    name,
                    read[name],
                    upserts=self.landing.upserts,
                    whole=False,
                    empty_is_null=self.landing.empty_is_null,
                )
                for name in wanted
            ]
        finally:
            comparison.close()

    def _undo(self) -> None:
        """A target that keeps the bookmark with its data has moved it: the next run must not take that one over."""
        if self.target.can("bookmark"):
            self.hold.insist()

    def _standing(self) -> str:
        return "bookmark unchanged: the next run sends these rows again"


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
