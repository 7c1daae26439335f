"""The hot loops take no more instructions than instructions.json says; `tests.bench.instructions --write` writes it."""

import pytest

from tests.bench.instructions import REFERENCE, Counts, measure

HERE = Counts("rustc 1", {REFERENCE: 100.0, "relay": 1000.0})


@pytest.mark.timeout(1_200)
def test_no_hot_loop_became_dearer():
    assert measure().regressions(Counts.read()) == {}


def test_a_loop_that_became_dearer_is_told():
    more = Counts("rustc 1", {REFERENCE: 100.0, "relay": 1031.0})
    assert more.regressions(HERE) == {"relay": "1.031 of what is committed"}
    assert Counts("rustc 1", {REFERENCE: 100.0, "relay": 1029.0}).regressions(HERE) == {}


def test_another_compiler_is_compared_by_the_reference():
    slower_build = Counts("rustc 2", {REFERENCE: 200.0, "relay": 2000.0})
    assert slower_build.regressions(HERE) == {}
    dearer = Counts("rustc 2", {REFERENCE: 100.0, "relay": 1200.0})
    assert dearer.regressions(HERE) == {"relay": "1.200 of what is committed"}
