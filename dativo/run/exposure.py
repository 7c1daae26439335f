"""How much a plugin could do, in words and as a number: `dativo inspect`, `dativo allow`.

The score counts what stays open, from 0 to 10, as `systemd-analyze security` does. Each part of a machine has a weight,
and is open in full (1), not at all (0), or somewhere between:

    files to read 2.0 · files to write 2.0 · network 2.0 · other processes and their secrets 1.2 · sockets, shared
    memory, the terminal 1.0 · the kernel's own surface 0.8 · memory, CPU, processes 0.6 · environment variables 0.4

`off` leaves all open but the environment, which is always the listed one; `limits` closes the resources too. Within a
sandbox a read grant counts 0.05, a write grant 0.1 (a folder of the system as a whole: all), a host 0.03, a host by
pattern 0.15, any host 1, a socket 0.2, a variable 0.1; and 0.2 of the kernel stays, because it is shared.
"""

from __future__ import annotations

from typing import Any

from dativo.config.keys import UNFENCED
from dativo.config.quantity import duration_text
from dativo.run.grants import Grants
from dativo.run.places import TREES

WEIGHTS = {
    "read": 2.0, "write": 2.0, "network": 2.0, "processes": 1.2, "ipc": 1.0, "kernel": 0.8, "resources": 0.6,
    "env": 0.4,
}  # fmt: skip


def score(grants: Grants, profile: str | None = None) -> float:
    """From 0 to 10, to one digit, as the grants are, or as they would be under another profile."""
    opened = _opened(grants, profile or grants.profile)
    return round(sum(WEIGHTS[part] * min(1.0, share) for part, share in opened.items()), 1)


def _opened(grants: Grants, profile: str) -> dict[str, float]:
    env = 0.1 * len(grants.env)
    if profile in UNFENCED:
        every = dict.fromkeys(WEIGHTS, 1.0)
        return {**every, "env": env, "resources": 1.0 if profile == "off" else 0.3}
    network = 1.0 if grants.network == "any" else 0.0
    if isinstance(grants.network, tuple):
        network = sum(0.15 if host.startswith("*") else 0.03 for host in grants.network)
    unlimited = [key for key in ("memory", "processes", "wall") if grants.bounds.values.get(key) is None]
    return {
        "read": sum(1.0 if path in TREES else 0.05 for path in grants.read),
        "write": sum(1.0 if path in TREES else 0.1 for path in grants.write),
        "network": network,
        "processes": 0.0,
        "ipc": 0.2 * len(grants.unix),
        "kernel": 0.2 if profile == "standard" else 0.1,
        "resources": 0.1 * len(unlimited),
        "env": env,
    }


def rows(grants: Grants) -> list[list[str]]:
    """What it may do, in words: a label and a line each."""
    if grants.profile in UNFENCED:
        return [["may do", f"whatever you may do: its sandbox is {grants.profile}"], ["may use", _use(grants)]]
    return [
        ["may read", ", ".join(["its own environment", *(_shown(grants, grants.read) or ["nothing else"])])],
        [
            "may write",
            ", ".join([f"its scratch space ({_size(grants.bounds.scratch)})", *_shown(grants, grants.write)]),
        ],
        ["may reach", _network(grants)],
        *([["may talk to", ", ".join(_shown(grants, grants.unix))]] if grants.unix else []),
        ["may use", _use(grants)],
        *([["is passed", ", ".join(grants.env)]] if grants.env else []),
    ]


def _network(grants: Grants) -> str:
    if isinstance(grants.network, str):
        return "any host, this machine's own services included" if grants.network == "any" else "nothing"
    return ", ".join(map(grants.whose, grants.network)) or "nothing"


def _shown(grants: Grants, paths: tuple[str, ...]) -> list[str]:
    """Paths with whose word they are; where one leads is left out when its own name says it."""
    return [grants.whose(path) for path in paths]


def _use(grants: Grants) -> str:
    held = grants.bounds.values
    parts = [f"{_size(held['memory'])} memory"] if held.get("memory") else ["any memory"]
    parts += [f"{held['processes']} processes"] if held.get("processes") else ["any number of processes"]
    parts += [f"{duration_text(held['cpu'])} CPU"] if held.get("cpu") else []
    parts += [duration_text(held["wall"])] if held.get("wall") else ["no time limit"]
    return ", ".join(parts)


def _size(size: Any) -> str:
    for unit, scale in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size and size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size or 0} bytes"
