"""What is known about the locked packages: vulnerabilities, licences, and a bill of materials.

Vulnerabilities come from an OSV server (https://google.github.io/osv.dev/api/): names and versions of packages that
the package index gave are sent to it, nothing else, and one that is not reachable is told as "not checked". Licences
are what the installed packages say. The bill is CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Sequence
from email.parser import HeaderParser
from http.client import HTTPException
from pathlib import Path
from typing import Any

from dativo import __version__
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.plugins import environment, lockfile
from dativo.plugins.lockfile import LockedPackage, LockedPlugin

OSV = "https://api.osv.dev"
PATIENCE, DEADLINE = 10.0, 30.0
LARGEST = 32 << 20
AT_ONCE = 500
DETAILED = 200
"""Of how many vulnerabilities the summary is asked for."""


@dataclass(frozen=True)
class Part:
    """One package of one or more plugins."""

    package: LockedPackage
    plugins: tuple[str, ...]
    licence: str | None
    """As the package says it; None: it says nothing, or is not installed."""

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec, type pypi."""
        return f"pkg:pypi/{self.package.name}@{self.package.version.replace('+', '%2B')}"


@dataclass(frozen=True)
class Vulnerability:
    """One entry of the database that concerns a package."""

    id: str
    package: str
    version: str
    plugins: tuple[str, ...]
    summary: str = ""
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """What the database said; `problem` says why it did not."""

    source: str
    found: tuple[Vulnerability, ...] = ()
    packages: int = 0
    problem: str | None = None


def parts(project: Project, names: Sequence[str] = ()) -> list[Part]:
    """Every locked package once, by name and version."""
    lock = lockfile.read(project.lock_file)
    held: dict[tuple[str, str], tuple[LockedPackage, list[str], str | None]] = {}
    for _, plugin in sorted(lock.plugins.items()):
        if names and plugin.name not in names:
            continue
        licences = _licences(plugin)
        for package in plugin.packages:
            key = (package.name, package.version)
            before = held.setdefault(key, (package, [], licences.get(package.name)))
            before[1].append(plugin.name)
    return [Part(package, tuple(plugins), licence) for _, (package, plugins, licence) in sorted(held.items())]


def _licences(plugin: LockedPlugin) -> dict[str, str]:
    if not plugin.packages or not environment.ready(plugin):
        return {}
    return dict(_told(environment.folder(plugin)))


def _told(made: Path) -> Iterator[tuple[str, str]]:
    from packaging.utils import canonicalize_name

    for path in sorted(made.glob("lib/python3*/site-packages/*.dist-info/METADATA")):
        said = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"), headersonly=True)
        licence, whole = said.get("License-Expression"), _lines(said.get("License"))
        classes = [one.rpartition("::")[2].strip() for one in said.get_all("Classifier") or () if "License ::" in one]
        if licence is None and (len(whole) == 1 or not classes):
            licence = next(iter(whole), None)
        if licence is None and classes:
            licence = " AND ".join(classes)
        if licence and said.get("Name"):
            yield str(canonicalize_name(str(said["Name"]))), str(licence)


def _lines(text: Any) -> list[str]:
    """A licence's name, or, in the field of some packages, the lines of its whole text."""
    lines = [line.strip()[:80] for line in str(text or "").splitlines() if line.strip()]
    return [] if lines[:1] and lines[0].upper() == "UNKNOWN" else lines


# -- vulnerabilities


def vulnerabilities(found: Sequence[Part], source: str = OSV) -> Checked:
    """Ask the database about the packages that an index gave. Bounded in time and size; the network raises nothing."""
    asked = [part for part in found if part.package.built is None]
    deadline = time.monotonic() + DEADLINE
    try:
        ids = list(_ids(asked, source.rstrip("/"), deadline))
        details = _details(dict.fromkeys(one for _, one in ids), source.rstrip("/"), deadline)
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError) as problem:
        reason = getattr(problem, "reason", None) or problem
        return Checked(source, problem=str(reason) or type(problem).__name__)
    return Checked(
        source,
        tuple(
            Vulnerability(
                one, part.package.name, part.package.version, part.plugins,
                str(details.get(one, {}).get("summary") or ""), tuple(_fixed(details.get(one, {}), part.package.name)),
            )
            for part, one in ids
        ),
        len(asked),
    )  # fmt: skip


def _ids(asked: Sequence[Part], source: str, deadline: float) -> Iterator[tuple[Part, str]]:
    waiting: list[tuple[Part, str | None]] = [(part, None) for part in asked]
    while waiting:
        some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        queries = [_query(part, page) for part, page in some]
        answer = _ask(f"{source}/v1/querybatch", deadline, {"queries": queries})
        for (part, _), result in zip(some, answer["results"], strict=True):
            for one in (result or {}).get("vulns") or ():
                yield part, str(one["id"])
            if (result or {}).get("next_page_token"):  # of a package with very many, the rest comes in pages
                waiting.append((part, str(result["next_page_token"])))


def _query(part: Part, page: str | None) -> dict[str, Any]:
    """One query of https://google.github.io/osv.dev/post-v1-querybatch/."""
    package = {"ecosystem": "PyPI", "name": part.package.name}
    return {"package": package, "version": part.package.version, **({"page_token": page} if page else {})}


def _details(ids: Iterable[str], source: str, deadline: float) -> dict[str, dict[str, Any]]:
    found = {}
    for one in list(ids)[:DETAILED]:
        if time.monotonic() > deadline:
            break
        found[one] = _ask(f"{source}/v1/vulns/{urllib.parse.quote(one, safe='')}", deadline)
    return found


def _fixed(details: dict[str, Any], name: str) -> Iterator[str]:
    for one in details.get("affected") or ():
        if str((one.get("package") or {}).get("name", "")).lower().replace("_", "-") == name:
            for span in one.get("ranges") or ():
                yield from (str(event["fixed"]) for event in span.get("events") or () if "fixed" in event)


def _ask(address: str, deadline: float, body: dict[str, Any] | None = None) -> dict[str, Any]:
    if not address.startswith(("http://", "https://")):
        raise urllib.error.URLError(f"{address} is no http address")
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"no answer within {DEADLINE:.0f} s")
    data = None if body is None else json.dumps(body).encode()
    headers = {"User-Agent": "dativo", "Content-Type": "application/json"}
    request = urllib.request.Request(address, data, headers)  # noqa: S310 - http
    with urllib.request.urlopen(request, timeout=min(PATIENCE, left)) as answer:  # noqa: S310 - http
        raw = answer.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError("the answer is too large")
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004 - of the server, not of the caller
    return found


# -- the bill of materials


def bill(project: Project, found: Sequence[Part], checked: Checked | None) -> dict[str, Any]:
    """A CycloneDX 1.6 document: every package with its purl and hashes, every plugin with what it consists of."""
    lock = lockfile.read(project.lock_file)
    named = {name for part in found for name in part.plugins}
    plugins = [plugin for name, plugin in sorted(lock.plugins.items()) if name in named]
    known = {(part.package.name, part.package.version): part.purl for part in found}
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "tools": {"components": [{"type": "application", "name": "dativo", "version": __version__}]},
            "component": {"type": "application", "name": project.root.name or "project", "bom-ref": "project"},
        },
        "components": [*map(_plugin, plugins), *map(_component, found)],
        "dependencies": [
            {"ref": "project", "dependsOn": [f"plugin:{plugin.name}" for plugin in plugins]},
            *(
                {
                    "ref": f"plugin:{plugin.name}",
                    "dependsOn": sorted({known[one.name, one.version] for one in plugin.packages}),
                }
                for plugin in plugins
            ),
        ],
    }
    if checked is not None and checked.problem is None:
        document["vulnerabilities"] = [_vulnerability(one, known, checked) for one in checked.found]
    return document


def _plugin(plugin: LockedPlugin) -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": f"plugin:{plugin.name}",
        "name": plugin.name,
        "version": plugin.version,
        "properties": [{"name": "dativo:digest", "value": plugin.digest}],
    }


def _component(part: Part) -> dict[str, Any]:
    hashes = [
        {"alg": "SHA-256", "content": one.removeprefix("sha256:")}
        for one in part.package.hashes
        if one.startswith("sha256:")
    ]
    licence = {"licenses": [_spdx(part.licence)]} if part.licence else {}
    source = {"properties": [{"name": "dativo:built", "value": part.package.built}]} if part.package.built else {}
    # Several files of an index may be installed for one package: each has its hash.
    return {
        "type": "library",
        "bom-ref": part.purl,
        "name": part.package.name,
        "version": part.package.version,
        "purl": part.purl,
        "hashes": hashes,
        **licence,
        **source,
    }


def _spdx(licence: str) -> dict[str, Any]:
    """An expression of SPDX where it is one, else the name that the package gives."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return {"expression": str(canonicalize_license_expression(licence))}
    except InvalidLicenseExpression:
        return {"license": {"name": licence}}


def _vulnerability(one: Vulnerability, known: dict[tuple[str, str], str], checked: Checked) -> dict[str, Any]:
    ref = known[one.package, one.version]
    return {
        "bom-ref": f"{one.id}:{ref}",
        "id": one.id,
        "source": {"name": "OSV", "url": f"{checked.source.rstrip('/')}/v1/vulns/{one.id}"},
        "description": one.summary,
        "affects": [{"ref": ref}],
    }
