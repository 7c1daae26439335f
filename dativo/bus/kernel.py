"""What this machine gives to the sandbox: `dativo-bus --probe` tries it, and this says what to do about the rest (I7).

Nothing is concluded from a version number: the launcher that starts plugins tries each layer and each profile itself.
Files of /proc are read only to find out why something is refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.native import find_bus

PATIENCE = 20
PROC = Path("/proc")
MACHINE = Path("/")
INSTALL_APPARMOR = (
    "dativo doctor --apparmor | sudo tee /etc/apparmor.d/dativo-bus",
    "sudo apparmor_parser -r /etc/apparmor.d/dativo-bus",
)
NAMESPACES = (
    "user_namespace", "mount_namespace", "pid_namespace", "proc_mount", "network_namespace", "ipc_namespace",
    "uts_namespace", "cgroup_namespace",
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One thing that the kernel was asked for."""

    works: bool = False
    detail: str = ""


@dataclass(frozen=True)
class Profile:
    """Whether a program could be started under a profile, and how it was held."""

    available: bool = False
    layout: str = ""
    reason: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remedy:
    """What to do about a missing layer."""

    text: str
    commands: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """All in one sentence."""
        return f"{self.text}: {' && '.join(self.commands)}" if self.commands else self.text


@dataclass(frozen=True)
class Kernel:
    """What was found."""

    release: str
    root: bool
    landlock: int
    layers: Mapping[str, Layer]
    profiles: Mapping[str, Profile]

    def layer(self, name: str) -> Layer:
        """One layer; one that was not tried does not work."""
        return self.layers.get(name, Layer())

    def profile(self, name: str) -> Profile:
        """One profile."""
        return self.profiles.get(name, Profile())

    def remedy(self, name: str) -> Remedy | None:
        """What to do about a layer that does not work; None when it does."""
        if self.layer(name).works:
            return None
        if name == "landlock":
            return _landlock()
        if name == "cgroup":
            return _cgroup(root=self.root)
        if name == "proc_mount" and self.layer("mount_namespace").works:
            return Remedy(
                "parts of /proc are hidden here, as in a container: run it with --security-opt systempaths=unconfined"
                " (Kubernetes: procMount: Unmasked, hostUsers: false)"
            )
        return _namespaces(root=self.root) if name in NAMESPACES else None

    def namespaces(self) -> Remedy | None:
        """What to do about namespaces, which strict needs; None when they work."""
        return next((found for name in NAMESPACES if (found := self.remedy(name)) is not None), None)


def probe(path: Path | None = None) -> Kernel:
    """Ask the data plane. Raises EnvironmentFault bus.missing when it is not there or does not answer."""
    path = path or find_bus()
    try:
        done = subprocess.run(
            [str(path), "--probe"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        data = json.loads(done.stdout)
        return _read(data)
    except (OSError, subprocess.TimeoutExpired, ValueError, AttributeError, TypeError) as problem:
        raise errors.EnvironmentFault("bus.missing", f"{path} --probe gave no answer: {problem}") from problem


def _read(data: Mapping[str, Any]) -> Kernel:
    layers = {
        name: Layer(bool(one.get("works")), str(one.get("detail") or ""))
        for name, one in dict(data.get("layers") or {}).items()
    }
    profiles = {
        name: Profile(
            bool(one.get("available")), str(one.get("layout") or ""), str(one.get("reason") or ""),
            tuple(one.get("missing") or ()),
        )
        for name, one in dict(data.get("profiles") or {}).items()
    }  # fmt: skip
    return Kernel(
        str(data.get("kernel") or ""), bool(data.get("root")), int(data.get("landlock") or 0), layers, profiles
    )


def advice() -> str | None:
    """In one sentence, why a profile cannot be kept here; None when that is not known."""
    try:
        found = probe()
    except errors.DativoError:
        return None
    remedies = (found.namespaces(), found.remedy("landlock"))
    return next((f"{one.line} · all of it: `dativo doctor`" for one in remedies if one is not None), None)


def apparmor(path: Path | None = None) -> str:
    """The AppArmor profile that lets this data plane make namespaces on Ubuntu."""
    path = (path or find_bus()).resolve()
    if re.search(r"[\x00-\x1f\x7f]", str(path)):
        raise errors.EnvironmentFault("bus.missing", "AppArmor cannot name a path with control characters")
    escaped = re.sub(r'(["\\*?\[\]{}^])', r"\\\1", str(path))
    from importlib import resources

    template = resources.files("dativo.bus").joinpath("apparmor.profile").read_text(encoding="utf-8")
    return template.replace("@PATH@", f'"{escaped}"')


# -- why, and what then


def _setting(name: str) -> str:
    """A file of /proc/sys, or nothing where there is no such setting."""
    try:
        return (PROC / "sys" / name).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _contained() -> bool:
    """Whether this looks like a container."""
    signs = (MACHINE / ".dockerenv", MACHINE / "run" / ".containerenv")
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(sign.exists() for sign in signs)


def _filtered() -> bool:
    """Whether a system call filter is upon us already."""
    try:
        status = (PROC / "self" / "status").read_text(encoding="utf-8")
    except OSError:
        return False
    return bool(re.search(r"^Seccomp:\s*2$", status, re.MULTILINE))


def _namespaces(*, root: bool) -> Remedy:
    if _setting("user/max_user_namespaces") == "0":
        return Remedy("user namespaces are switched off", ("sudo sysctl -w user.max_user_namespaces=15000",))
    if _setting("kernel/unprivileged_userns_clone") == "0" and not root:
        return Remedy(
            "user namespaces are switched off for users", ("sudo sysctl -w kernel.unprivileged_userns_clone=1",)
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1" and not root:
        return Remedy("AppArmor allows namespaces to named programs only; name the data plane", INSTALL_APPARMOR)
    if _contained() or _filtered():
        return Remedy(
            "a system call filter, as Docker and Kubernetes set one, refuses namespaces; standard does without them."
            " For strict run the container under a filter that allows unshare, clone, mount and pivot_root"
            " (docker run --security-opt seccomp=FILE, Kubernetes: seccompProfile of type Localhost)"
        )
    return Remedy("this kernel refuses namespaces, or is built without them (CONFIG_USER_NS)")


def _landlock() -> Remedy:
    try:
        active = (MACHINE / "sys/kernel/security/lsm").read_text(encoding="utf-8").strip()
    except OSError:
        active = ""
    if active and "landlock" not in active.split(","):
        return Remedy(f"Landlock is not switched on: boot with lsm=landlock,{active}")
    if _filtered() or _contained():
        return Remedy("a system call filter refuses Landlock, or the host's kernel is older than 5.13")
    return Remedy("Landlock needs Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK")


def _cgroup(*, root: bool) -> Remedy:
    if root:
        return Remedy("memory is looked at instead of capped; give this process a control group with memory and pids")
    return Remedy(
        "memory is looked at instead of capped; to have it capped, delegate a control group",
        ("systemd-run --user --scope -p Delegate=yes dativo …",),
    )
