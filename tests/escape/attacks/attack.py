"""One attack: what it is, what it needs, and how it says what it got."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FAMILIES = ("files", "processes", "ipc", "network", "kernel", "resources")
BOTH = ("root", "user")
ROOT = ("root",)


@dataclass(frozen=True)
class Attack:
    """Scored: without a sandbox it succeeds. `always`: every profile has to stop it, `off` too or (`limits`) not."""

    id: str
    family: str
    sentence: str
    run: Callable[[Scene], Any]
    users: tuple[str, ...] = BOTH
    wants: tuple[str, ...] = ()
    """file: a victim's file of its own; process: a victim of its own."""
    secret: str | None = None
    """Which of the arena's secrets it has to bring back; None: judged by what it did."""
    needs: str | None = None
    """A probe of `tests.escape.probes` that says whether this machine has the thing at all."""
    alone: str | None = None
    """run: in a run of its own; pair: beside a sibling plugin; what else the run needs is in `plan`."""
    plan: dict[str, Any] = field(default_factory=dict)
    always: str | None = None
    slow: bool = False
    """Left out of the quicker form."""


@dataclass(frozen=True)
class Scene:
    """What an attack is told: whom it is after, where its own place is, and how to stay alive with its prey."""

    facts: dict[str, Any]
    file: str
    pid: int
    token: str
    hold: Callable[[dict[str, Any]], Any]

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]


ATTACKS: dict[str, Attack] = {}


def attack(family: str, name: str, sentence: str, **more: Any) -> Callable[[Callable[[Scene], Any]], Any]:
    """Register a function as an attack."""

    def register(run: Callable[[Scene], Any]) -> Callable[[Scene], Any]:
        assert name not in ATTACKS, name
        ATTACKS[name] = Attack(name, family, sentence, run, **more)
        return run

    return register


def load() -> dict[str, Attack]:
    """All attacks, in the order of their families."""
    from tests.escape.attacks import (
        always,
        files,
        ipc,
        kernel,
        mounts,
        network,
        processes,
        resources,
        siblings,
        sockets,
    )

    assert all((always, files, ipc, kernel, mounts, network, processes, resources, siblings, sockets))
    return dict(sorted(ATTACKS.items(), key=lambda item: FAMILIES.index(item[1].family)))
