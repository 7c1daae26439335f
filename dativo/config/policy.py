"""The policies that bound what plugins may be granted: the `sandbox:` sections of the machine, the user, the project.

Each can only take away. Only the machine's and the user's may name a profile below `standard`, which loosens it.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.deprecations import renewed
from dativo.config.document import load
from dativo.config.keys import POLICY_FILE, PROFILES, PROJECT, UNFENCED, check
from dativo.config.paths import config_dir
from dativo.config.specs import bounds
from dativo.dataclass import dataclass

MACHINE = Path("/etc/dativo/policy.yml")
VARIABLE = "DATIVO_POLICY"
DEFAULT = "standard"


@dataclass(frozen=True)
class Policy:
    """One policy. None: it does not say; an empty list: nothing is allowed."""

    origin: str
    """The file, as errors name it."""
    operator: bool
    """Whether it is the machine's or the user's own, who may also loosen."""
    profile: str | None = None
    network: str | tuple[str, ...] | None = None
    """any, none, or patterns of HOST:PORT."""
    read: tuple[str, ...] | None = None
    write: tuple[str, ...] | None = None
    unix: tuple[str, ...] | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def allows_host(self, host: str) -> bool:
        """Whether HOST:PORT (or `any`) lies inside."""
        if self.network is None or isinstance(self.network, str):
            return self.network != "none"
        return host != "any" and any(_matches(host, pattern) for pattern in self.network)

    def allows_path(self, kind: str, path: str) -> bool:
        """Whether a path lies inside the roots for `read`, `write` or `unix`."""
        roots: tuple[str, ...] | None = getattr(self, kind)
        return roots is None or any(inside(path, root) for root in roots)


def inside(path: str, root: str) -> bool:
    """Whether an absolute path is the root or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def _matches(host: str, pattern: str) -> bool:
    """`HOST:PORT` by a pattern in which * stands for anything; a pattern without a port is for every port."""
    shape = pattern.lower() if ":" in pattern else f"{pattern.lower()}:*"
    return fnmatch.fnmatchcase(host.lower(), shape.replace("[", "[[]"))


def strictest(*profiles: str | None) -> str | None:
    """The strictest of the profiles that are named."""
    return max((one for one in profiles if one), key=PROFILES.index, default=None)


def found(settings: Path, own: Mapping[str, Any], *, in_project: bool) -> list[Policy]:
    """All policies that hold. `own` is the `sandbox:` section of the project's (or the user's) `settings` file."""
    policies = [one for one in (_machine(), _user() if in_project else None) if one is not None]
    if own:
        policies.append(_policy(own, settings, operator=not in_project))
    return policies


def outside_projects() -> list[Policy]:
    """The policies of the machine and of the user: for a program that is no plugin of a project yet."""
    return [one for one in (_machine(), _user()) if one is not None]


def base(policies: Sequence[Policy]) -> str:
    """The profile that holds where nobody names one: the operator's, else standard."""
    return strictest(*(one.profile for one in policies if one.operator)) or DEFAULT


def _machine() -> Policy | None:
    given = os.environ.get(VARIABLE)
    path = Path(given).expanduser() if given else MACHINE
    if not given and not path.is_file():
        return None
    document = renewed(load(path))
    check(document, POLICY_FILE)
    return _policy(document.data.get("sandbox") or {}, path, operator=True)


def _user() -> Policy | None:
    path = config_dir() / "dativo.yml"
    if not path.is_file():
        return None
    document = renewed(load(path))
    check(document, PROJECT)
    section = document.data.get("sandbox")
    return _policy(section, path, operator=True) if section else None


def _policy(data: Mapping[str, Any], path: Path, *, operator: bool) -> Policy:
    profile = data.get("profile")
    if not operator and profile in UNFENCED:
        raise errors.ConfigError(
            "config.invalid", f"{path.name}: sandbox.profile: a project cannot loosen the sandbox to {profile}",
            hint="take --sandbox on the command line, or the sandbox: section of your own settings file",
        )  # fmt: skip
    network = data.get("network")
    return Policy(
        origin=str(path),
        operator=operator,
        profile=profile,
        network=_network(network),
        read=_roots(data.get("read"), path.parent),
        write=_roots(data.get("write"), path.parent),
        unix=_roots(data.get("unix"), path.parent),
        limits=bounds(data.get("limits"), f"{path.name}: sandbox.limits"),
    )


def _network(value: Any) -> str | tuple[str, ...] | None:
    if value is None or value == "any" or value is True:
        return None if value is None else "any"
    return "none" if value in ("none", False) else tuple(value)


def _roots(value: Sequence[str] | None, folder: Path) -> tuple[str, ...] | None:
    if value is None:
        return None
    named = [os.path.normpath(folder / Path(text).expanduser()) for text in value]
    return tuple(dict.fromkeys([*named, *map(os.path.realpath, named)]))
