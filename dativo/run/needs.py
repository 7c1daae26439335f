"""What a plugin needs, from what it tried: the smallest sensible grants, and what is better not granted.

Only a proposal: what an observed plugin tries is its own doing. Keys, homes and Dativo's own files are listed, never
proposed (I6).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from dativo.config.policy import inside
from dativo.dataclass import dataclass
from dativo.run import places
from dativo.run.attempt import Seen
from dativo.run.denials import port_said
from dativo.run.grants import Grants
from dativo.run.places import Own

PRIVATE = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a plugin's own, inside
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sys", "/dev")
SETTINGS = ("/etc", "/var", "/run")
"""What programs look into and do without."""
MANY = 3
"""So many files in one folder stand for the folder."""
OPENED = ("read", "run")


@dataclass(frozen=True)
class Withheld:
    """Something that was asked for and is not proposed."""

    kind: str
    what: str
    why: str


@dataclass(frozen=True)
class Needs:
    """Grants to add, as `dativo allow` takes them."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    unix: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    aside: tuple[str, ...] = field(default=())
    """Paths that were tried and are likely done without."""

    def __bool__(self) -> bool:
        return bool(self.read or self.write or self.unix or self.network)

    def lists(self) -> dict[str, tuple[str, ...]]:
        """By the keys of the `sandbox:` section, empty ones left out."""
        found = {"read": self.read, "write": self.write, "unix": self.unix, "network": self.network}
        return {key: value for key, value in found.items() if value}


def needs(seen: Seen, grants: Grants, own: Own, *, lines: Sequence[str], named: Iterable[str] = ()) -> Needs:
    """What one attempt was refused.

    `lines` are the plugin's last words: what they name comes first. `named` are the folders that its settings name:
    what is in them is asked for as a whole.
    """
    return _Weighing(seen, grants, own, lines, tuple(named)).needs()


class _Weighing:
    def __init__(self, seen: Seen, grants: Grants, own: Own, lines: Sequence[str], named: tuple[str, ...]) -> None:
        self.seen, self.grants, self.own, self.lines, self.named = seen, grants, own, lines, named
        self.said = " ".join(lines)
        self.accesses = [one for one in seen.accesses if one.child == grants.name]
        self.withheld: dict[tuple[str, str], Withheld] = {}

    def needs(self) -> Needs:
        written = self._written()
        read = self._read(OPENED, written)
        unix = [one.what for one in self.accesses if one.kind == "connect" and one.exists and one.what[0] == "/"]
        network = self._network()
        likely = [one for one in read if not self._aside(one)]
        if not (likely or written or network or unix):  # it looked for files, and took their absence for an answer
            read = read or self._read(("look",), written)
            likely = [one for one in read if not self._aside(one)] or [one for one in read if self._named(one)]
        return Needs(
            tuple(self._grouped(likely, self.grants.read, self._may_read)),
            tuple(written),
            tuple(one for one in dict.fromkeys(unix) if not self._aside(one)),
            tuple(network),
            tuple(self.withheld.values()),
            tuple(one for one in read if one not in likely),
        )

    # -- files

    def _read(self, kinds: Iterable[str], written: Sequence[str]) -> list[str]:
        held = (*self.grants.start, *self.grants.read, *self.grants.write, *written, *SYSTEM)
        tried = dict.fromkeys(one.what for one in self.accesses if one.kind in kinds and one.exists)
        looks = "look" in kinds
        found = [
            path
            for path in tried
            if not any(inside(path, one) for one in held)
            and path not in PRIVATE
            and not any(inside(one, path) for one in self.grants.start)  # where its program is: it lists that
            and not (looks and not Path(path).is_file())
        ]
        return [path for path in found if self._may_read(path, tell=not looks)]

    def _may_read(self, path: str, *, tell: bool = False) -> bool:
        why = places.why_not_read(path, self.own, by_hand=False, chosen=False)
        return self._allowed("read", path, why, tell=tell)

    def _written(self) -> list[str]:
        held = (*self.grants.start, *self.grants.write, *SYSTEM)
        tried = dict.fromkeys(one.what for one in self.accesses if one.kind == "write")
        tops: list[str] = []
        for path in sorted(tried):  # a folder comes before what is made in it
            parent = str(Path(path).parent)
            there = os.path.lexists(path)
            if any(inside(path, one) for one in held) or any(inside(path, top) for top in tops):
                continue
            if not there and (parent in PRIVATE or not Path(parent).is_dir()):
                continue  # scratch space, or nowhere
            tops.append(path)
        below = {top for top in tops if any(one.what.startswith(f"{top}/") for one in self.accesses)}
        # A file that is made, or replaced, needs its folder; a folder that is made is granted as itself.
        wanted = [top if top in below or os.path.lexists(top) else str(Path(top).parent) for top in tops]
        found = [path for path in dict.fromkeys(wanted) if self._may_write(path, tell=True)]
        return self._grouped(found, self.grants.write, self._may_write)

    def _may_write(self, path: str, *, tell: bool = False) -> bool:
        why = places.why_not_write(path, self.own, by_hand=False, beside=True)
        return self._allowed("write", path, why, tell=tell)

    def _allowed(self, kind: str, path: str, why: str | None, *, tell: bool) -> bool:
        if why is not None and tell:
            self.withheld[kind, path] = Withheld(kind, path, why)
        return why is None

    def _named(self, path: str) -> bool:
        return path in self.said or Path(path).name in self.said

    def _aside(self, path: str) -> bool:
        """The machine's and the user's own settings, unless the plugin complains of them."""
        home = str(Path.home())
        dotted = inside(path, home) and path[len(home) :].lstrip("/").startswith(".")
        return (dotted or any(inside(path, one) for one in SETTINGS)) and not self._named(path)

    def _grouped(self, paths: Sequence[str], held: Sequence[str], may: Callable[[str], bool]) -> list[str]:
        """Files in a folder that a setting names as that folder, several in any other as well; nothing in another."""
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            chosen = [one for one in self.named if inside(path, one) and Path(one).is_dir() and may(one)]
            by_folder.setdefault(max(chosen, key=len) if chosen else str(Path(path).parent), []).append(path)
        found: list[str] = []
        for folder, files in by_folder.items():
            beside = sum(str(Path(one).parent) == folder for one in held)
            whole = folder in self.named or len(files) + beside >= MANY
            found += [folder] if whole and may(folder) else files
        return [path for path in found if not any(inside(path, other) for other in found if other != path)]

    # -- hosts

    def _network(self) -> list[str]:
        held = self.grants.network
        if isinstance(held, str):  # none: a policy or the owner wants that; any: nothing is refused
            return []
        found: dict[str, None] = {}
        tried = [one.what for one in self.accesses if one.kind == "connect" and not one.what.startswith("/")]
        exact = {what.rpartition(":")[0] for what in tried}
        for host, port, _reason in self.seen.denied(self.grants.name):
            if port is not None or host not in exact:
                self._host(found, f"{host}:{port or port_said(self.lines, self.grants)}", held)
        for what in tried:
            if not what.endswith(":53") and not _stands_for_a_name(what):
                self._host(found, what, held)
        return list(found)

    def _host(self, found: dict[str, None], target: str, held: Sequence[str]) -> None:
        if target in held or any(_covers(one, target) for one in held):
            return
        host = target.rpartition(":")[0].strip("[]")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            address = None
        if address is not None and address.is_link_local:
            self.withheld["network", target] = Withheld(
                "network", target, "it is where clouds keep machine credentials"
            )
        else:
            found[target] = None


def _stands_for_a_name(target: str) -> bool:
    """An address of the private network that stands for a name of a wildcard."""
    host = target.rpartition(":")[0]
    return host.startswith("127.") and host != "127.0.0.1"


def _covers(entry: str, target: str) -> bool:
    domain, _, port = entry.rpartition(":")
    host, _, wanted = target.rpartition(":")
    return domain.startswith("*.") and port == wanted and host.endswith(domain[1:])


def merged(lists: Mapping[str, Sequence[str]], more: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Two proposals as one."""
    keys = dict.fromkeys([*lists, *more])
    return {key: tuple(dict.fromkeys([*lists.get(key, ()), *more.get(key, ())])) for key in keys}
