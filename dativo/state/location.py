"""Where the state store is: `state.path` or `state.url` of the project, with credentials from anywhere but the URL.

A URL may be a secret:// reference as a whole, and each of `state.options` may be one; they are read when the store is
opened and hidden from then on (I13).
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from dativo import errors
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.config.project import Project

OBJECTS = ("s3", "gs", "az")
SCHEMES = {
    "sqlite": "sqlite",
    "file": "file",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    **dict.fromkeys(OBJECTS, "objects"),
}
LOCAL = ("sqlite", "file")
SAID = "sqlite:///PATH, file:///FOLDER, postgresql://USER@HOST/DATABASE, s3://BUCKET/PREFIX, gs://… or az://…"


@dataclass(frozen=True)
class Location:
    """Which kind of store, and where. Never printed with what it holds."""

    kind: str
    """A key of `store.KINDS`."""
    path: Path | None = None
    url: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of_path(cls, path: Path) -> Location:
        """A SQLite file."""
        return cls("sqlite", path)

    @classmethod
    def of_url(cls, url: str, root: Path, options: dict[str, str] | None = None) -> Location:
        """What a URL names; relative paths start at `root`. Raises config.invalid."""
        scheme = url.partition(":")[0].lower()
        kind = SCHEMES.get(scheme)
        if kind is None or ":" not in url:
            raise errors.ConfigError(
                "config.invalid", "state.url names a kind of store that there is not", hint=f"write {SAID}"
            )
        given = dict(options or {})
        if kind in LOCAL:
            if given:
                raise errors.ConfigError("config.invalid", f"state.options say nothing to a {scheme} store")
            return cls(kind, root / _path(url))
        if not urlsplit(url).netloc and kind == "objects":
            raise errors.ConfigError("config.invalid", "state.url names no bucket", hint=f"write {scheme}://BUCKET/…")
        return cls(kind, None, url, given)

    @property
    def shown(self) -> str:
        """As it is said to people."""
        if self.path is not None:
            return str(self.path)
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        user = parts.username if self.kind == "postgresql" else None
        return urlunsplit((parts.scheme, f"{user}@{host}" if user else host, parts.path, "", ""))


def _path(url: str) -> Path:
    """The path of a sqlite: or file: URL: three slashes and a path; sqlite's is relative with three, as elsewhere."""
    scheme, _, rest = url.partition(":")
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        if host not in ("", "localhost"):
            raise errors.ConfigError(
                "config.invalid",
                f"state.url: a {scheme} store is on this machine, and {host} is another",
                hint=f"write {scheme}:///PATH with three slashes",
            )
        rest = rest if scheme.lower() == "sqlite" else slash + rest
    if not rest.strip("/"):
        raise errors.ConfigError("config.invalid", "state.url names no path", hint=f"write {SAID}")
    return Path(unquote(rest)).expanduser()


def of(project: Project) -> Path | Location:
    """The project's store: a path where it is SQLite's file."""
    url, options = project.state_url
    if url is None:
        return project.state_path
    known = _disclosed(project, {"url": url, "options": options})
    found = Location.of_url(str(known["url"]), project.root, known["options"])
    if found.kind == "sqlite":
        assert found.path is not None
        return found.path
    _hide(found)
    return found


def on_this_machine(project: Project) -> Location:
    """The file or folder that the store is in, as far as that can be told without reading a secret."""
    from dativo.secrets.reference import is_reference

    url, _ = project.state_url
    if url is not None and not is_reference(url) and SCHEMES.get(url.partition(":")[0].lower()) in LOCAL:
        return Location.of_url(url, project.root)
    return Location.of_path(project.state_path)


def _disclosed(project: Project, given: dict[str, Any]) -> dict[str, Any]:
    from dativo.secrets import reference

    if not any(reference.found(given)):
        return given
    from dativo.secrets.resolve import Resolver

    resolver = Resolver(project.secrets, root=project.root, tenant=project.tenant, variable=project.variables.get)
    return resolver.resolve(given, "state").config


def _hide(at: Location) -> None:
    """What opens the store is shown nowhere, however it was given (I13)."""
    from dativo.secrets import names
    from dativo.secrets.redact import REDACTOR

    password = urlsplit(at.url).password
    for value in [password, password and unquote(password), *names.inline("", at.options, {})]:
        if value:
            REDACTOR.add(value)
