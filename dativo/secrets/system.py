"""`secret://keyring/SERVICE/USER`: the keyring of the desktop session (Secret Service, KWallet, macOS Keychain).

A server without a session has none, and that is said plainly instead of asking for a password that nobody can type.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dativo.secrets import faults
from dativo.secrets.backend import Backend, replaced

HEADLESS = "this machine has no keyring that works: nobody is logged in at a desktop here"
_NONE = ("keyring.backends.fail", "keyring.backends.null")


class Keyring(Backend):
    """Through the library keyring; compare-and-set among the processes of this user on this machine."""

    scheme = "keyring"

    def content(self, name: str) -> str:
        """The password of a user of a service."""
        service, user = self._entry(name)
        keyring, what = self._library(), self.called(name)
        with _told(what):
            value = keyring.get_password(service, user)
        if not value:
            raise faults.unknown(
                what, f"the keyring has nothing of {service} for {user}", f"keyring set {service} {user}"
            )
        return str(value)

    def can_write(self, name: str) -> bool:
        """A keyring is there to be written."""
        return True

    def compare_and_set(self, name: str, key: str | None, old: Any, new: Any) -> None:
        """Replace a password under a lock of this user's, which every Dativo of this user takes."""
        service, user = self._entry(name)
        keyring, what = self._library(), self.called(name)
        with _lock():
            self.forget(name)
            fresh = str(replaced(self.content(name), key, old, new, what))
            with _told(what):
                keyring.set_password(service, user, fresh)

    def canonical(self, name: str) -> str:
        """With the service in full."""
        return "/".join(self._entry(name))

    def _entry(self, name: str) -> tuple[str, str]:
        service, _, user = name.rpartition("/")
        return service or self.around.text("service") or "dativo", user

    def _library(self) -> Any:
        try:
            import keyring
        except ImportError:
            raise faults.no_sdk("keyring", "keyring") from None
        if keyring.get_keyring().__class__.__module__ in _NONE:
            raise faults.failed(
                "secret://keyring", HEADLESS, "use secret://file/…, secret://env/… or a vault on a machine without one"
            )
        return keyring


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    from keyring.errors import KeyringError, NoKeyringError

    try:
        yield
    except NoKeyringError:
        raise faults.failed("secret://keyring", HEADLESS) from None
    except KeyringError as problem:
        raise faults.failed(
            what, f"the keyring refused ({type(problem).__name__})", "unlock it, then run again"
        ) from None


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / f"dativo-keyring-{os.getuid()}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
