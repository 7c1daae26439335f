"""What several executables stand on is built once: each asks for the same features of it, and of what is below it."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from functools import cache

from tests.architecture.checkout import ROOT

LEAVES = {"digest", "futures-util", "idna", "md-5", "sha2", "slab"}
"""Small, and nothing else that two executables share stands on them."""
OURS = {"dativo-features", "singer-plugin", "singer-protocol"}

Crate = tuple[str, str]
"""Its name with its version, and its features."""


def crates(executable: str) -> dict[Crate, frozenset[Crate]]:
    """All that an executable is built of, and what each of it stands on; macros and build scripts too."""
    command = [
        "cargo",
        "tree",
        "--locked",
        "-p",
        executable,
        "-e",
        "normal,build",
        "--prefix",
        "depth",
        "-f",
        "|{p}|{f}",
    ]
    tree = subprocess.run(command, cwd=ROOT / "native", capture_output=True, text=True, check=True).stdout
    below: dict[Crate, set[Crate]] = {}
    path: list[Crate] = []
    for line in tree.splitlines():
        depth, package, features = line.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        crate = (f"{name} {version}", features)
        del path[int(depth) :]
        below.setdefault(crate, set())
        if path:
            below[path[-1]].add(crate)
        path.append(crate)
    return {crate: frozenset(lower) for crate, lower in below.items()}


def built(executable: str) -> dict[str, set[int]]:
    """A hash for each way in which an executable has a crate built: usually one."""
    below = crates(executable)

    @cache
    def whole(crate: Crate) -> int:
        return hash((crate, frozenset(whole(lower) for lower in below[crate])))

    found: dict[str, set[int]] = defaultdict(set)
    for crate in below:
        found[crate[0]].add(whole(crate))
    return found


def test_what_executables_share_is_built_once() -> None:
    ends = [
        path.name for kind in ("taps", "targets") for path in (ROOT / kind).iterdir() if (path / "Cargo.toml").is_file()
    ]
    ways: dict[str, dict[frozenset[int], list[str]]] = defaultdict(lambda: defaultdict(list))
    for executable in ["dativo-bus", *sorted(ends)]:
        for crate, hashes in built(executable).items():
            ways[crate][frozenset(hashes)].append(executable)
    differ = {crate: sorted(found.values()) for crate, found in ways.items() if len(found) > 1}
    told = {crate: sides for crate, sides in differ.items() if crate.split()[0] not in LEAVES | OURS}
    assert not told, f"features to declare in native/features/Cargo.toml: {told}"
