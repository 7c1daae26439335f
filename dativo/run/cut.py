"""What takes away from a plugin's grants: the job's own lists, and every policy. Neither can add (I6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from dativo import errors
from dativo.config.policy import Policy, inside
from dativo.dataclass import dataclass
from dativo.run.reach import Network, Reach


@dataclass(frozen=True)
class Tightening:
    """What a job says about a plugin, and where."""

    where: str
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """Grants on their way: absolute paths and hosts."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    unix: tuple[str, ...]
    network: Network


def tightened(held: Held, jobs: Sequence[Tightening], filled: Callable[[str, str], list[str]], reach: Reach) -> Held:
    """The job's lists in place of the granted ones: each entry must lie within those. `filled` makes paths of texts."""
    for one in jobs:
        where = f"{one.where}.sandbox"
        roots = {"read": (*held.read, *held.write), "write": held.write, "unix": held.unix}
        changes: dict[str, Any] = {}
        for kind, within in roots.items():
            if one.sandbox.get(kind) is None:
                continue
            found: list[str] = []
            for text in one.sandbox[kind]:
                paths = filled(text, kind)
                if not all(any(inside(path, root) for root in within) for path in paths):
                    raise _adds(reach.name, f"{where}.{kind}", text)
                found += paths
            changes[kind] = tuple(dict.fromkeys(found))
        if one.sandbox.get("network") is not None:
            changes["network"] = _fewer(f"{where}.network", one.sandbox["network"], held.network, reach)
        if one.sandbox.get("env"):
            raise _adds(reach.name, f"{where}.env", str(one.sandbox["env"][0]))
        held = replace(held, **changes)
    return held


def _fewer(where: str, given: Any, held: Network, reach: Reach) -> Network:
    if given in ("none", False):
        return "none"
    if given in ("any", True):
        if held != "any":
            raise _adds(reach.name, where, "any")
        return held
    found = [host for text in given for host in reach.hosts(text)]
    bound = Policy("", operator=False, network=held)
    for host in found:
        if not bound.allows_host(host):
            raise _adds(reach.name, where, host)
    return tuple(dict.fromkeys(found))


def _adds(name: str, key: str, value: str) -> errors.ConfigError:
    return errors.ConfigError(
        "config.invalid",
        f"{key}: {value} is not granted to {name}, and a job can only take away",
        hint=f"grant it to the plugin first: dativo allow {name} …",
        context={"plugin": name},
    )


def inside_policies(held: Held, policies: Sequence[Policy], name: str, origins: Mapping[str, str]) -> None:
    """Raise `permissions.invalid` for the first grant that a policy does not allow."""

    def whose(grant: str) -> str:
        return f"{grant} ({origins[grant]})" if grant in origins else grant

    hosts = held.network if isinstance(held.network, tuple) else ("any",) if held.network == "any" else ()
    for one in policies:
        for host in hosts:
            if not one.allows_host(host):
                raise forbidden(name, one, f"the network {whose(host)}")
        for kind in ("read", "write", "unix"):
            wrong = next((path for path in getattr(held, kind) if not one.allows_path(kind, path)), None)
            if wrong is not None:
                raise forbidden(name, one, f"{kind} {whose(wrong)}")


def forbidden(name: str, by: Policy, what: str) -> errors.ConfigError:
    """The error that names the policy and what it forbids."""
    return errors.ConfigError(
        "permissions.invalid",
        f"{name} may not have {what}: the policy in {by.origin} forbids it",
        hint="ask whoever keeps that policy, or let the plugin do without",
        context={"plugin": name},
    )
