"""Why a plugin failed when its sandbox is the reason: the host or file it may not have, and the words that allow it.

A host is known from the broker's events. A file is known only from what the plugin says last: a path that is there for
the user and was not granted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.keys import UNFENCED
from dativo.config.policy import inside
from dativo.run.attempt import Seen
from dativo.run.grants import Grants
from dativo.run.inference import HTTPS

_PORT = re.compile(r"\bport[ =:]+\"?(\d{1,5})\b|(?<=[\w\]]):(\d{3,5})\b(?!\.?\d|:\d)")
_FAILED = re.compile(
    r"permission denied|no such file or directory|read-only file system|operation not permitted|cannot open|"
    r"could not open|os error (?:1|2|13|30)\b|\bE(?:ACCES|ROFS|NOENT|PERM)\b",
    re.IGNORECASE,
)
_WROTE = re.compile(r"read-only file system|\bEROFS\b|os error 30\b", re.IGNORECASE)
_QUOTED = re.compile(r"\"([^\"]+)\"|'([^']+)'|`([^`]+)`")
_BARE = re.compile(r"(?<![\w/])((?:~|\.{1,2})?/[^\s\"'`:;,()\[\]]+|[\w.-]+/[^\s\"'`:;,()\[\]]+)")
_READ_ENDS = (".pem", ".crt", ".cer", ".key", ".p8", ".p12", ".jks", ".json", ".yml", ".yaml", ".toml", ".conf", ".cnf")
_OF_ITS_OWN = ("/proc", "/sys", "/dev", "/usr", "/lib", "/lib64", "/bin", "/sbin")
_ELSEWHERE = ("run.", "limit.", "data.", "pipe.", "job.", "bus.", "sandbox.")
"""Errors that say all there is to say."""


def explained(
    found: errors.DativoError, grants: Grants, role: str, *, seen: Seen, lines: Sequence[str]
) -> errors.DativoError:
    """The error that names what was denied, or the one that was found when that was not the reason."""
    if found.code.startswith(_ELSEWHERE) or grants.profile in UNFENCED:
        return found
    return _network(found, grants, seen, lines) or _file(found, grants, role, lines) or found


def _network(found: errors.DativoError, grants: Grants, seen: Seen, lines: Sequence[str]) -> errors.DativoError | None:
    denied = seen.denied(grants.name)
    if not denied:
        return None
    said = " ".join(lines)
    host, port, reason = next((one for one in denied if one[0] in said), denied[-1])
    target = f"{host}:{port or port_said(lines, grants)}"
    held = grants.network
    hosts = ", ".join(map(grants.whose, held)) if isinstance(held, tuple) and held else None
    allowed = f"allowed: {hosts or 'nothing'}"
    if hosts and target in held:  # granted by name, and the name led where no public name may
        message = f"{grants.name} could not reach {target}: {reason or 'it was denied'}"
        hint = "look at what the name leads to; an address of this machine or network must be named itself"
    else:
        message = f"{grants.name} tried to reach {target}, which it may not"
        hint = f"to allow it: dativo allow {grants.name} --network {target}"
    return errors.from_code(
        "plugin.network.denied", message, hint=hint, details=(allowed, *found.details), context=_about(found)
    )


def port_said(lines: Sequence[str], grants: Grants) -> int:
    """The port of a host of which only the name was asked for: what the plugin says last, else what it may use."""
    for line in reversed(lines):
        for match in _PORT.finditer(line):
            number = int(match[1] or match[2])
            if 0 < number < 65536:
                return number
    for held in grants.network if isinstance(grants.network, tuple) else ():
        return int(held.rpartition(":")[2])
    return HTTPS


def _file(found: errors.DativoError, grants: Grants, role: str, lines: Sequence[str]) -> errors.DativoError | None:
    for line in reversed([*lines, found.message]):
        if not _FAILED.search(line):
            continue
        for path in _paths(line, grants):
            there = os.path.lexists(path)
            write = bool(_WROTE.search(line)) or _writes(path, role, there=there)
            if not there and not write:
                continue  # it is nowhere: the plugin is right
            if any(inside(path, held) for held in (grants.write if write else (*grants.read, *grants.write))):
                continue
            kind = "write" if write else "read"
            place = path if not write or Path(path).is_dir() else str(Path(path).parent)
            return errors.from_code(
                "plugin.file.denied",
                f"{grants.name} tried to {kind} {path}, which it may not",
                hint=f"to allow it: dativo allow {grants.name} --{kind} {place}",
                details=(f"it said: {' '.join(line.split())[:200]}", *found.details),
                context=_about(found),
            )
    return None


def _paths(line: str, grants: Grants) -> Iterator[str]:
    """The absolute paths in a line that lead to, or into, a folder of this machine that is no place of the plugin's."""
    quoted = [next(filter(None, match.groups())) for match in _QUOTED.finditer(line)]
    for text in [*quoted, *_BARE.findall(_QUOTED.sub(" ", line))]:
        if "://" in text or "\0" in text or len(text) > 4096:
            continue
        path = os.path.normpath(Path.cwd() / Path(text).expanduser())
        own = any(inside(path, one) for one in (*_OF_ITS_OWN, *grants.start))
        if path != "/" and not own and (os.path.lexists(path) or Path(path).parent.is_dir()):
            yield path


def _writes(path: str, role: str, *, there: bool) -> bool:
    return role == "target" and not (there and path.lower().endswith(_READ_ENDS))


def _about(found: errors.DativoError) -> dict[str, Any]:
    return {key: value for key, value in found.context.items() if key != "exit"}


def missing_note(confined: Mapping[str, Any]) -> str | None:
    """One line on what the sandbox could not promise here; None when it kept all."""
    lacking: dict[str, list[str]] = {}
    for name, event in confined.items():
        for one in event.missing:
            lacking.setdefault(one, []).append(name)
    if not lacking:
        return None
    parts = [f"{what} ({', '.join(names)})" if len(names) < len(confined) else what for what, names in lacking.items()]
    return f"this machine's sandbox lacks: {'; '.join(parts)}"
