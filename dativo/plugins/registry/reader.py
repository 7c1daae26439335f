"""Reads documents of a registry, with a bound on everything: size, time, redirects, and what may be opened (I10, I12).

Three places: a folder (or one file), a git repository (one commit of it, read as a folder), and a web server.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from dativo import errors
from dativo.dataclass import dataclass
from dativo.plugins import package
from dativo.plugins.registry.entry import invalid, plain

MAX_INDEX = 16 << 20
MAX_PAGE = 1 << 20
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Reader(Protocol):
    """A place that documents are read from, by paths below it."""

    @property
    def local(self) -> bool:
        """Whether reading is cheap, and everything is read when the registry is added."""

    def read(self, path: str, limit: int) -> bytes | None:
        """A document's bytes; None when there is none. Raises `registry.invalid` when it is over `limit` bytes."""


@dataclass(frozen=True)
class Folder:
    """Files below a folder; "" is the place itself when it is one file."""

    registry: str
    root: Path

    @property
    def local(self) -> bool:
        """Everything is read at once."""
        return True

    def read(self, path: str, limit: int) -> bytes | None:
        """The bytes of a regular file that lies in the folder, wherever links lead."""
        root = self.root.resolve()
        try:
            place = (root / path).resolve() if path else root
            if not place.is_relative_to(root):
                raise invalid(self.registry, f"{path} leads out of its folder")
            if not stat.S_ISREG(place.stat().st_mode):
                return None
            with place.open("rb") as stream:
                raw = stream.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise unreachable(self.registry, f"{path or self.root.name}: {problem.strerror}") from problem
        return bounded(raw, limit, self.registry, path)


def bounded(raw: bytes, limit: int, registry: str, path: str) -> bytes:
    """The document, if it is no longer than `limit` bytes. Raises `registry.invalid`."""
    if len(raw) > limit:
        raise invalid(registry, f"{path or 'its index'} is over {limit >> 20} MiB")
    return raw


def unreachable(registry: str, what: str) -> errors.EnvironmentFault:
    """`registry.unreachable`: which registry, and why it cannot be read now."""
    return errors.EnvironmentFault(
        "registry.unreachable", f"registry {registry}: {what}", context={"registry": registry}
    )


def replaced(problem: errors.DativoError, registry: str) -> errors.EnvironmentFault:
    """A failure of git as one of the registry's, with git's own words."""
    fault = unreachable(registry, problem.message)
    fault.details = problem.details
    return fault


def document(raw: bytes, registry: str, what: str) -> Any:
    """The JSON of a document. Raises `registry.invalid`, also for what is nested too deeply to be an index."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid(registry, f"{what} is not JSON") from None


def kind_of(place: str) -> str:
    """`git`, `web` or `folder`: how a place is written."""
    if package.is_git(place):
        return "git"
    return "web" if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", place) else "folder"


def checked_place(place: str) -> str:
    """A place as it is kept. Raises `usage` for what cannot be one, or holds a secret (I13)."""
    kind = kind_of(place)
    if kind == "git":
        package.git(place)
        return place
    if kind == "folder":
        return str(Path(place).expanduser().resolve())
    parts = urlsplit(place)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    shown = plain(package.hidden(re.split(r"[?#]", place)[0]), 120)
    if parts.scheme not in ("https", "http") or not host or re.search(r"\s", place):
        raise errors.ConfigError("usage", f"{shown!r} is no place of a registry", hint="a folder, git+URL or https://…")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise errors.ConfigError(
            "usage", f"{shown!r} holds a user, a query or a fragment, and what is kept must hold no secret",
            hint="give the address alone",
        )  # fmt: skip
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise errors.ConfigError("usage", f"{shown!r} is not encrypted", hint="use https://")
    return place.rstrip("/")


@contextmanager
def opened(registry: str, place: str) -> Iterator[tuple[Reader, str | None]]:
    """A reader for a place, and the commit that it reads when the place is a repository."""
    kind = kind_of(place)
    if kind == "web":
        from dativo.plugins.registry.web import Web  # it loads what only the web needs

        yield Web(registry, place), None
    elif kind == "folder":
        if not Path(place).exists():
            raise unreachable(registry, f"{place} does not exist")
        yield Folder(registry, Path(place)), None
    else:
        import tempfile

        from dativo.plugins import sources

        found = package.git(place)
        with tempfile.TemporaryDirectory(prefix="dativo-registry-") as clone:
            try:
                commit = sources.fetch(found.url, found.rev, Path(clone))
            except errors.EnvironmentFault as problem:
                raise replaced(problem, registry) from problem
            yield Folder(registry, Path(clone, found.folder or "")), commit
