"""A plugin refreshed a token and rewrote its config file: the new value goes back to where the old one came from.

Compare-and-set, so that of two writers one wins and the other is told. A refresh token that may be used once only is
also locked on this machine while a run has it: two runs would each hand it in, and the provider would revoke both.
Which secret is such a one shows itself by the setting's name, or by its having been refreshed before.
"""

from __future__ import annotations

import copy
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.secrets import names
from dativo.secrets.reference import Path as Place
from dativo.secrets.reference import Reference, named
from dativo.secrets.resolve import Resolver, get, put

TRIES, PAUSE = 3, 0.5
"""How often, and how far apart in seconds, a backend that cannot be reached is asked to take a refreshed value."""
LARGEST = 1 << 16
_REFRESHED = re.compile(r"refresh|rotat", re.IGNORECASE)


@dataclass
class Kept:
    """What became of a rewritten config."""

    notes: list[str] = field(default_factory=list)
    """What the user should know."""
    config: dict[str, Any] | None = field(default=None, repr=False)
    """The config as the next start of the plugin needs it; None: as it was."""


class WriteBack:
    """The way back for what one plugin was given."""

    def __init__(self, resolver: Resolver, plugin: str, locks: Locks) -> None:
        self._resolver, self._plugin, self._locks = resolver, plugin, locks

    def keep(self, handed: Mapping[str, Any], origins: Mapping[Place, Reference], back: bytes) -> Kept:
        """Take what the plugin left in its config file; put what was refreshed back. No value is in a note (I13)."""
        try:
            left = json.loads(back)
        except (ValueError, RecursionError):
            left = None
        if not isinstance(left, dict):
            return Kept([f"{self._plugin} left no JSON object in its config file: nothing of it is kept"])
        kept = Kept()
        config = copy.deepcopy(dict(handed))
        for at, reference in origins.items():
            old, new = get(handed, at), get(left, at)
            if new is None or new == old:
                continue
            self._resolver.redactor.add(new, referenced=True)
            put(config, at, new)
            kept.config = config
            note = self._stored(named(at), reference, old, new)
            kept.notes += [note] if note else []
        inline = [key for key, value in left.items() if handed.get(key) != value and not _holds(origins, key)]
        for key in inline:
            for text in names.inline(key, left[key], {}):
                self._resolver.redactor.add(text)
            config[key] = left[key]
            kept.config = config
        if inline:
            them = ", ".join(sorted(inline)[:5])
            kept.notes.append(
                f"{self._plugin} changed {them} in its config file, which is not kept: "
                "a setting is written back only where it is a secret:// reference"
            )
        return kept

    def _stored(self, setting: str, reference: Reference, old: Any, new: Any) -> str | None:
        """Put one value back. None when that worked, else what the user has to know."""
        what = f"{self._plugin} refreshed {setting}"
        if not isinstance(new, type(old)) or len(json.dumps(new)) > LARGEST or new == "":
            return f"{what}, but what it left there is no such value: {reference.short} is unchanged"
        try:
            if not self._resolver.can_replace(reference):
                return (
                    f"{what}, which {reference.backend} cannot keep: store the new value in {reference.short} by hand"
                )
            self._locks.remember(self._resolver.identity(reference))
            self._replace(reference, old, new)
        except errors.RunError as problem:  # secret.conflict
            return (
                f"{problem.code}: {what}, and {reference.short} was changed by somebody else: theirs is kept. "
                "If the next run cannot log in, get a new token and store it there"
            )
        except errors.DativoError as problem:
            why = f"which could not be stored: {problem.message}"
            return f"{problem.code}: {what}, {why}. Get a new token and store it there"
        return None

    def _replace(self, reference: Reference, old: Any, new: Any) -> None:
        """A refreshed token exists nowhere else: a backend that does not answer is asked again."""
        for _ in range(TRIES - 1):
            try:
                self._resolver.replace(reference, old, new)
            except errors.EnvironmentFault:
                time.sleep(PAUSE)
            else:
                return
        self._resolver.replace(reference, old, new)


def _holds(origins: Mapping[Place, Reference], key: str) -> bool:
    return any(at[0] == key for at in origins)


class Locks:
    """The secrets that this run alone may use on this machine; held until `release`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "secrets"
        self._held: dict[str, int] = {}

    def take(self, resolver: Resolver, origins: Mapping[Place, Reference], plugin: str) -> None:
        """Lock those that are used up by being used, or raise BusyError job.busy."""
        for at, reference in sorted(origins.items(), key=lambda one: str(one[1])):
            identity = resolver.identity(reference)
            if identity in self._held or not self._single_use(at, identity):
                continue
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._file(identity), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise errors.BusyError(
                    "job.busy",
                    f"another run uses {reference.short}, which {plugin} may refresh",
                    hint="wait until that run has ended: a token that is used twice is revoked",
                    context={"plugin": plugin},
                ) from None
            self._held[identity] = fd

    def remember(self, identity: str) -> None:
        """It was refreshed once: from now on it is locked."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file(identity).with_suffix(".refreshed").touch(mode=0o600)

    def release(self) -> None:
        """Let the next run have them."""
        for fd in self._held.values():
            os.close(fd)
        self._held.clear()

    def _single_use(self, at: Sequence[Any], identity: str) -> bool:
        return bool(_REFRESHED.search(named(tuple(at)))) or self._file(identity).with_suffix(".refreshed").exists()

    def _file(self, identity: str) -> Path:
        return self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.lock"
