"""The faults find what they are there for: each broken build fails at them, and the real one passes the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos import mutants, survival
from tests.chaos.faults import Fault
from tests.chaos.jobs import VARIANTS, Bench

pytestmark = [pytest.mark.servers, pytest.mark.plugins, pytest.mark.timeout(600)]

DUCKDB, JSONL = VARIANTS[0], VARIANTS[2]


@dataclass(frozen=True)
class Proof:
    """A fault that a broken build cannot survive, what is then said, and the flags that it needs."""

    mutant: str
    fault: Fault
    said: str
    flags: str = ""

    def __str__(self) -> str:
        return f"{self.mutant}-{self.fault}"


PROOFS = (
    # The eager program is no part of the plugin that the sandbox would confine.
    Proof("early", Fault(1, 1, "kill-at-bookmark", "target", DUCKDB, "run", 0, 0.1), "I1", "--sandbox off"),
    Proof("unsynced", Fault(2, 1, "power-cut", "", JSONL, "run", 1, 0.1), "I2"),
    Proof("unsynced", Fault(2, 2, "power-cut", "", DUCKDB, "pipe", 1, 0.1), "I2"),
    Proof("unfenced", Fault(3, 1, "lost-lease", "", DUCKDB, "run", 0.3, 0.1), "I5"),
    Proof("unfenced", Fault(3, 2, "lost-lease", "", JSONL, "pipe", 0.2, 0.1), "I5"),
    Proof("unfenced", Fault(3, 3, "second-run", "", DUCKDB, "run", 0.3, 0.1), "I5"),
)


@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_a_broken_build_is_found(proof: Proof, bench: Bench, tmp_path: Path) -> None:
    broken = mutants.program(proof.mutant, tmp_path / "programs")
    with pytest.raises(AssertionError, match=proof.said):
        survival.survive(proof.fault, bench, tmp_path / "tries", flags=proof.flags, programs=broken)


@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_the_real_build_survives_the_same(proof: Proof, bench: Bench, tmp_path: Path) -> None:
    survival.survive(proof.fault, bench, tmp_path, flags=proof.flags)


def test_each_mutant_has_a_proof() -> None:
    assert {proof.mutant for proof in PROOFS} == set(mutants.MUTANTS)
