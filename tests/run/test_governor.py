"""When another tap may begin: by a tree of processes, a machine and a clock that the test makes up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dativo.run.governor import EVERY, FREE, SETTLED, Budget, Governor

MB = 1 << 20


class Machine:
    """Some processes, each of so many bytes and CPU seconds."""

    def __init__(self, budget: Budget) -> None:
        self.now, self.free = 100.0, 64 * 1024 * MB
        self.processes: dict[int, tuple[int, float]] = {}
        self.governor = Governor(budget, tree=self.tree, available=lambda: self.free, clock=lambda: self.now)

    def tree(self) -> list[Any]:
        return [
            SimpleNamespace(
                pid=pid,
                memory_info=lambda held=held: SimpleNamespace(rss=held),
                cpu_times=lambda used=used: SimpleNamespace(user=used, system=0.0),
            )
            for pid, (held, used) in self.processes.items()
        ]

    def later(self, seconds: float = SETTLED) -> Governor:
        self.now += seconds
        self.governor.look()
        return self.governor


def test_one_tap_may_always_run():
    machine = Machine(Budget(memory=1, cpu=0.01, free=1 << 60))
    assert machine.later().admits(0)
    assert not machine.later().admits(1)


def test_another_begins_while_one_more_of_its_size_fits():
    machine = Machine(Budget(memory=250 * MB))
    assert machine.governor.admits(0)
    machine.processes = {1: (100 * MB, 0.0)}
    assert machine.later().admits(1)
    machine.processes[2] = (100 * MB, 0.0)
    assert not machine.later().admits(2)
    assert machine.governor.held == "limits.job.memory"
    machine.processes = {1: (10 * MB, 0.0), 2: (10 * MB, 0.0)}
    assert machine.later().admits(2)
    assert machine.governor.peak == 200 * MB


def test_a_tap_that_has_just_begun_is_waited_for():
    machine = Machine(Budget(memory=1000 * MB))
    assert machine.governor.admits(0)
    assert not machine.later(SETTLED / 2).admits(1)
    assert machine.governor.held is None
    assert machine.later(SETTLED / 2).admits(1)


def test_cpu_is_what_was_used_since_the_last_look():
    machine = Machine(Budget(cpu=1.5))
    machine.governor.look()
    machine.processes = {1: (0, 1.9)}
    assert not machine.later(2.0).admits(1)  # 0.95 cores: two of it are more than 1.5
    assert machine.governor.held == "limits.job.cpu"
    machine.processes = {1: (0, 2.9)}
    assert machine.later(2.0).admits(1)


def test_the_machine_keeps_some_memory():
    machine = Machine(Budget())
    machine.processes = {1: (100 * MB, 0.0)}
    machine.free = FREE + 50 * MB
    assert not machine.later().admits(1)
    assert machine.governor.held == "limits.job.free"
    machine.free = FREE + 200 * MB
    assert machine.later().admits(1)


def test_it_does_not_look_too_often():
    machine = Machine(Budget())
    machine.later()
    machine.processes = {1: (5 * MB, 0.0)}
    machine.later(EVERY / 2)
    assert machine.governor.peak == 0


def test_the_own_tree_and_machine_are_measured():
    governor = Governor(Budget())
    governor.look()
    assert governor.peak > MB
    assert governor.admits(0)


def test_the_command_line_is_over_the_job():
    assert Budget.of({"memory": 5, "cpu": 2.0}, 7) == Budget(7, 2.0, FREE)
    assert Budget.of({"memory": 5, "free": 1}, None) == Budget(5, None, 1)
