"""The package indexes of the user: which they are, what they hold, and with which credentials they are asked.

uv's own configuration says which indexes there are (UV_DEFAULT_INDEX, UV_INDEX, uv.toml …); `index:` in dativo.yml
adds some, with credentials that may be secret:// references. uv is handed them in its environment, by name; nothing of
them is in argv, in a file, or in dativo.lock (I13). Pages are read as PEP 503 and PEP 691 describe them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import netrc
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins.uv import Uv
from dativo.secrets.redact import REDACTOR

JSON, HTML = "application/vnd.pypi.simple.v1+json", "text/html"
ACCEPT = f"{JSON}, {HTML};q=0.1"
PATIENCE = 60.0
LARGEST_PAGE = 128 << 20
_PIECE = 1 << 18


@dataclass(frozen=True)
class Index:
    """One index. `credentials` are (user, password)."""

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    def page(self, name: str) -> str:
        """The address of a project's page; `name` is normalized (PEP 503)."""
        return f"{self.url.rstrip('/')}/{urllib.parse.quote(name)}/"


@dataclass(frozen=True)
class File:
    """A file of a project, as its page lists it."""

    name: str
    url: str
    sha256: str | None
    requires_python: str | None = None
    yanked: bool = False
    metadata: Any = False
    """PEP 658: True, or its hashes."""
    index: Index | None = field(default=None, repr=False)


# -- which there are


def environment(project: Project) -> dict[str, str]:
    """What `index:` of dativo.yml amounts to, as variables for uv. Secrets are read here."""
    found: dict[str, str] = {}
    named: list[str] = []
    for name, section in sorted(project.indexes().items()):
        if not section.get("url"):
            raise errors.ConfigError("project.invalid", f"index.{name} has no url")
        url, user, password = (str(section.get(key) or "") for key in ("url", "username", "password"))
        if re.search(r"//[^/]*@", url):
            raise errors.ConfigError(
                "project.invalid", f"index.{name}.url holds credentials",
                hint="write them as username: and password:, which may be secret:// references",
            )  # fmt: skip
        if section.get("default"):
            found["UV_DEFAULT_INDEX"] = f"{name}={url}"
        else:
            named.append(f"{name}={url}")
        key = re.sub(r"[^A-Z0-9]", "_", name.upper())
        if user or password:
            found |= {f"UV_INDEX_{key}_USERNAME": user or "__token__", f"UV_INDEX_{key}_PASSWORD": password}
            REDACTOR.add(password)
    if named:
        found["UV_INDEX"] = " ".join([*named, *([os.environ["UV_INDEX"]] if os.environ.get("UV_INDEX") else [])])
    return found


def configured(uv: Uv) -> list[Index]:
    """The indexes that uv uses, in its order: the first that has a package is asked for it."""
    from dativo.plugins import work

    with work.folder("index") as folder:
        (folder / "none.in").touch()
        arguments = ["pip", "compile", "--quiet", "--no-header", "--emit-index-url", str(folder / "none.in")]
        text = uv.run(arguments, what="asking for the package indexes")
    first = re.findall(r"^--index-url (\S+)", text, re.MULTILINE)
    more = re.findall(r"^--extra-index-url (\S+)", text, re.MULTILINE)
    return [_index(url, {**os.environ, **uv.given}) for url in (*more, *first) if url.startswith(("http:", "https:"))]


def _index(url: str, variables: Mapping[str, str]) -> Index:
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = urllib.parse.urlunsplit(parts._replace(netloc=host))
    if parts.username:
        return Index(bare, tuple(map(urllib.parse.unquote, (parts.username, parts.password or ""))))  # type: ignore[arg-type]
    for word in " ".join(variables.get(key, "") for key in ("UV_INDEX", "UV_DEFAULT_INDEX")).split():
        name, equals, address = word.partition("=")
        key = re.sub(r"[^A-Z0-9]", "_", name.upper())
        if equals and address.rstrip("/") == bare.rstrip("/") and f"UV_INDEX_{key}_PASSWORD" in variables:
            return Index(bare, (variables.get(f"UV_INDEX_{key}_USERNAME", ""), variables[f"UV_INDEX_{key}_PASSWORD"]))
    with suppress(OSError, netrc.NetrcParseError):
        told = netrc.netrc(variables.get("NETRC")).authenticators(parts.hostname or "")
        if told:
            return Index(bare, (told[0], told[2]))
    return Index(bare)


# -- what they hold


def files(indexes: list[Index], name: str) -> list[File]:
    """The files of a project on the first index that has it; [] when none has. Raises `index.unreachable`, `denied`."""
    for index in indexes:
        found = page(index, name)
        if found is not None:
            return found
    return []


def page(index: Index, name: str) -> list[File] | None:
    """A project's files on one index; None when it does not have the project."""
    address = index.page(name)
    try:
        with opened(index, address, {"Accept": ACCEPT}) as answer:
            raw = answer.read(LARGEST_PAGE + 1)
            kind, there = answer.headers.get_content_type(), answer.geturl()
    except urllib.error.HTTPError as problem:
        if problem.code == 404:
            return None
        raise _fault(problem, address) from problem
    except (OSError, HTTPException) as problem:
        raise _fault(problem, address) from problem
    if len(raw) > LARGEST_PAGE:
        raise errors.RunError("index.unreachable", f"{address} is no page of an index: it is too large")
    try:
        found = _of_json(json.loads(raw)) if kind.endswith("json") else _of_html(raw.decode(errors="replace"))
        return [File(**{**one, "url": urllib.parse.urljoin(there, one["url"]), "index": index}) for one in found]
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise errors.RunError("index.unreachable", f"{address} is no page of an index") from problem


def opened(index: Index | None, address: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Any:
    """An answer to read. Credentials go to the index's own host and port only, and not with a redirection."""
    if not address.startswith(("http://", "https://")):
        raise urllib.error.URLError(f"{address} is no http address")
    request = urllib.request.Request(address, headers={"User-Agent": "dativo", **(headers or {})}, method=method)  # noqa: S310
    if index is not None and index.credentials is not None and _origin(address) == _origin(index.url):
        told = base64.b64encode(":".join(index.credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {told}")
    return urllib.request.urlopen(request, timeout=PATIENCE)  # noqa: S310 - http


def download(file: File, into: Path, allowed: tuple[str, ...]) -> Path:
    """Fetch a file into a folder. Its SHA-256 must be one of `allowed` (`sha256:…`), else nothing is kept (I7)."""
    if Path(file.name).name != file.name or file.name.startswith("."):  # I12
        raise errors.EnvironmentFault("plugin.install_failed", f"{file.name!r} is no file name")
    path = into / file.name
    total = hashlib.sha256()
    try:
        with opened(file.index, file.url) as answer, path.open("wb") as stream:
            while piece := answer.read(_PIECE):
                total.update(piece)
                stream.write(piece)
    except urllib.error.URLError as problem:
        raise _fault(problem, file.url) from problem
    except HTTPException as problem:
        raise _fault(problem, file.url) from problem
    if f"sha256:{total.hexdigest()}" not in allowed:
        path.unlink()
        raise errors.EnvironmentFault(
            "plugin.install_failed", f"{file.name} is not the file that was locked: its hash is another",
            hint="if the index changed it on purpose: dativo add it again",
        )  # fmt: skip
    return path


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _fault(problem: Exception, address: str) -> errors.DativoError:
    shown = REDACTOR.text(address)
    if isinstance(problem, urllib.error.HTTPError) and problem.code in (401, 403):
        return errors.ConfigError("index.denied", f"{shown} wants other credentials (HTTP {problem.code})")
    reason = getattr(problem, "reason", None) or problem
    return errors.RunError("index.unreachable", f"{shown} cannot be read: {reason}")


def _of_json(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": str(one["filename"]),
            "url": str(one["url"]),
            "sha256": (one.get("hashes") or {}).get("sha256"),
            "requires_python": one.get("requires-python"),
            "yanked": bool(one.get("yanked")),
            "metadata": one.get("core-metadata", one.get("data-dist-info-metadata", False)),
        }
        for one in data["files"]
    ]


def _of_html(text: str) -> list[dict[str, Any]]:
    reader = _Links()
    reader.feed(text)
    return reader.found


class _Links(HTMLParser):
    """The anchors of a page (PEP 503, with the attributes of PEP 592 and 658)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An anchor is a file."""
        given = dict(attrs)
        if tag != "a" or not given.get("href"):
            return
        url, _, fragment = str(given["href"]).partition("#")
        name = urllib.parse.unquote(url.partition("?")[0].rstrip("/").rpartition("/")[2])
        digest = re.match(r"sha256=([0-9a-f]{64})", fragment)
        told = given.get("data-core-metadata", given.get("data-dist-info-metadata"))
        kind, _, value = (told or "").partition("=")
        self.found.append(
            {
                "name": name,
                "url": url,
                "sha256": digest[1] if digest else None,
                "requires_python": given.get("data-requires-python"),
                "yanked": "data-yanked" in given,
                "metadata": {kind: value} if value else told == "true",
            }
        )
