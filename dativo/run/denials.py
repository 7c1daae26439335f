"""Why a plugin failed when the reason is its sandbox: the host or the file it may not have, and the words that allow it.

A host is known from the broker's events. A file is known only from what the plugin says last: a path that is there for
the user and was not granted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.policy import inside
from dativo.run.attempt import Seen
from dativo.run.grants import Grants
from dativo.run.inference import HTTPS

_PORT = re.compile(r"\bport[ =:]+\"?(\d{1,5})\b|(?<=[\w\].]):(\d{2,5})\b(?![.:\d])")
_PATH = r"[\"'‘“]?(?P<path>(?:/|~/|\./|\.\./)?[^\s\"'’”:;,]+(?: [^\s\"'’”:;,]+)*?)[\"'’”]?"
_FAILED = (
    # (the line, whether it says that writing was tried)
    (re.compile(r"Read-only file system:? *" + _PATH + r"\s*$"), True),
    (re.compile(_PATH + r": Read-only file system"), True),
    (re.compile(r"(?:Permission denied|Operation not permitted|No such file or directory):? *" + _PATH + r"\s*$"), False),
    (re.compile(r"Cannot open file \"(?P<path>[^\"]+)\""), False),
    (re.compile(r"(?:open|stat|read|write|access|create|find|load)\w* (?:file |directory )?" + _PATH
                + r":? *\(?(?:Permission denied|No such file or directory|Read-only file system)"), False),
    (re.compile(r"^(?:.*\s)?" + _PATH + r": (?:Permission denied|No such file or directory)\b"), False),
)  # fmt: skip
_READ_ENDS = (".pem", ".crt", ".cer", ".key", ".p8", ".p12", ".jks", ".json", ".yml", ".yaml", ".toml", ".conf", ".cnf")
_OF_ITS_OWN = ("/proc", "/sys", "/dev", "/tmp", "/usr", "/lib", "/lib64", "/bin", "/sbin")  # noqa: S108
_ELSEWHERE = ("run.", "limit.", "data.", "pipe.", "job.", "bus.", "sandbox.")
"""Errors that say all there is to say."""


def explained(
    found: errors.DativoError, grants: Grants, role: str, *, seen: Seen, lines: Sequence[str]
) -> errors.DativoError:
    """The error that names what was denied, or the one that was found when that was not the reason."""
    if found.code.startswith(_ELSEWHERE) or grants.profile in ("off", "limits"):
        return found
    return _network(found, grants, seen, lines) or _file(found, grants, role, lines) or found


def _network(found: errors.DativoError, grants: Grants, seen: Seen, lines: Sequence[str]) -> errors.DativoError | None:
    denied = seen.denied(grants.name)
    if not denied:
        return None
    said = " ".join(lines)
    host, port, reason = next((one for one in denied if one[0] in said), denied[-1])
    target = f"{host}:{port or _port(lines, grants)}"
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


def _port(lines: Sequence[str], grants: Grants) -> int:
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
        for pattern, writes in _FAILED:
            match = pattern.search(line.strip())
            path = _missing(match["path"], grants) if match else None
            if path is None:
                continue
            there = os.path.lexists(path)
            write = writes or _writes(path, role, there=there)
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


def _missing(text: str, grants: Grants) -> str | None:
    """A path that a plugin could not use, if it is no place of its own; absolute."""
    if "://" in text or len(text) > 4096:
        return None
    path = os.path.normpath(Path.cwd() / Path(text).expanduser())
    if path == "/" or any(inside(path, own) for own in (*_OF_ITS_OWN, *grants.start)) and not _granted_tmp(path):
        return None
    return path if os.path.lexists(path) or Path(path).parent.is_dir() else None


def _granted_tmp(path: str) -> bool:
    """Something in /tmp that the user has there is the user's; the plugin's own /tmp is another one."""
    return inside(path, "/tmp") and (os.path.lexists(path) or Path(path).parent != Path("/tmp"))  # noqa: S108


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
