"""Seeded faults, each on a job of its own (I1, I2, I5, I8, I11); `survival` says what is checked after each.

DATIVO_CHAOS_FAULTS=500 pytest tests/chaos                       # how many (`make chaos`: 500)
DATIVO_CHAOS_SEED=4711 DATIVO_CHAOS_FAULTS=500 pytest tests/chaos -k seed-4711-fault-17-    # one of them again
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos import faults, survival
from tests.chaos.conftest import SEED
from tests.chaos.faults import KINDS, Fault
from tests.chaos.jobs import Bench

COUNT = int(os.environ.get("DATIVO_CHAOS_FAULTS") or 24)
pytestmark = [  # a hang is a failure; no speed is asked for
    pytest.mark.servers,
    pytest.mark.plugins,
    pytest.mark.timeout(600),
]


@pytest.mark.parametrize("fault", list(faults.faults(COUNT, SEED)), ids=str)
def test_a_broken_job_is_completed_by_the_same_line(fault: Fault, bench: Bench, tmp_path: Path) -> None:
    try:
        survival.survive(fault, bench, tmp_path, retries=2 * (fault.number % 2))
    except BaseException as problem:
        again = f"DATIVO_CHAOS_SEED={SEED} DATIVO_CHAOS_FAULTS={COUNT} pytest tests/chaos"
        problem.add_note(f"again: {again} -k seed-{SEED}-fault-{fault.number}-")
        raise


def test_every_kind_of_fault_is_in_even_a_short_run() -> None:
    few = list(faults.faults(len(KINDS), SEED))
    assert {one.kind for one in few} == set(KINDS)
    assert few == list(faults.faults(len(KINDS), SEED))
