"""The doctor's words about the sandbox: the kernel's layers as rows, the profiles that they make, the first lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from dativo.bus.kernel import Kernel, Remedy
from dativo.cli import report


class Row(NamedTuple):
    """A layer of the kernel: what it is called here and in the probe, whether a run needs it, what it is good for."""

    name: str
    layer: str
    needed: bool
    use: str


ROWS = (
    Row("no_new_privs", "no_new_privs", True, "keeps plugins from gaining privileges"),
    Row("subreaper", "subreaper", True, "lets no plugin process outlive its run"),
    Row("sealed memfd", "memfd_seal", True, "hands configs over without a file name"),
    Row("pidfd", "pidfd", False, "sends signals to the right process"),
    Row("landlock", "landlock", False, "fences files and signals"),
    Row("seccomp", "seccomp", False, "filters system calls"),
    Row("seccomp listener", "seccomp_notify", False, "lets `dativo learn` watch a plugin"),
    Row("user namespaces", "user_namespace", False, "let all other namespaces be made without root"),
    Row("mount namespaces", "mount_namespace", False, "give a plugin a tree of its own"),
    Row("process namespaces", "pid_namespace", False, "leave no process behind, whatever it does"),
    Row("proc in them", "proc_mount", False, "shows a plugin its own processes only"),
    Row("network namespaces", "network_namespace", False, "let only granted hosts be reached"),
    Row("ipc namespaces", "ipc_namespace", False, "share no memory with others"),
    Row("cgroup memory", "cgroup", False, "caps the memory of a whole plugin"),
)
IDMAPPED = Row("idmapped mounts", "idmapped_mounts", False, "keep a file's owner for plugins that root starts")
PROFILES = {"limits": True, "standard": True, "strict": False}
"""Which profiles there are, and whether a run needs them."""
KEPT_BY = {"none": "limits of each process", "floor": "Landlock and seccomp, no namespaces", "namespaces": "namespaces"}
UNKNOWN = "not tried: dativo-bus could not be asked"


class Told(NamedTuple):
    """One row of the table."""

    name: str
    works: bool
    needed: bool
    detail: str
    remedy: Remedy | None = None
    known: bool = True


def told(found: Kernel | None) -> Iterator[Told]:
    """Every layer and every profile. `found` is None where nobody could be asked."""
    if found is None:
        yield from (Told(row.name, False, row.needed, UNKNOWN, known=False) for row in ROWS)
        yield from (Told(f"profile {name}", False, needed, UNKNOWN, known=False) for name, needed in PROFILES.items())
        return
    explained: set[str] = set()
    for row in (*ROWS, IDMAPPED) if found.root else ROWS:
        layer, remedy = found.layer(row.layer), found.remedy(row.layer)
        if remedy is not None and remedy.text in explained:
            remedy = None  # one reason is told once
        elif remedy is not None:
            explained.add(remedy.text)
        yield Told(row.name, layer.works, row.needed, _detail(found, row), remedy)
    for name, needed in PROFILES.items():
        profile = found.profile(name)
        if profile.available:
            yield Told(f"profile {name}", True, needed, f"kept by {KEPT_BY.get(profile.layout, profile.layout)}")
        else:
            yield Told(f"profile {name}", False, needed, profile.reason)


def _detail(found: Kernel, row: Row) -> str:
    layer = found.layer(row.layer)
    if not layer.works:
        instead = "; it is looked at instead" if row.layer == "cgroup" else ""
        return f"{layer.detail or 'not here'}{instead}"
    more = f"ABI {found.landlock}" if row.layer == "landlock" else layer.detail
    return f"{row.use}, {more}" if more else row.use


def first_line(found: Kernel) -> str:
    """`kernel 6.18   landlock 7 ✓  seccomp ✓  …`."""
    yes, no = ("✓", "\N{EN DASH}") if _glyphs() else ("yes", "no")
    mark = {True: yes, False: no}
    release = ".".join(found.release.split("-", 1)[0].split(".")[:2])
    version = f" {found.landlock}" if found.landlock else ""
    spaces = all(found.layer(name).works for name in ("user_namespace", "mount_namespace", "proc_mount"))
    capped = found.layer("cgroup").works
    parts = [
        f"landlock{version} {mark[found.layer('landlock').works]}",
        f"seccomp {mark[found.layer('seccomp').works]}",
        f"{'' if found.root else 'user '}namespaces {mark[spaces]}",
        f"cgroup memory {mark[capped]}{'' if capped else ' (polled instead)'}",
    ]
    return f"kernel {release}   {'  '.join(parts)}"


def available(found: Kernel) -> str:
    """`strict is available`, or which one is."""
    if found.profile("strict").available:
        return "strict is available"
    standard = found.profile("standard")
    if not standard.available:
        return "limits is available, standard and strict are not"
    floor = " (floor: Landlock and seccomp)" if standard.layout == "floor" else ""
    return f"standard is available{floor}, strict is not"


def _glyphs() -> bool:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return report.is_terminal(sys.stdout) and encoding == "utf8" and os.environ.get("TERM") not in ("dumb", "linux")
