"""Airbyte connectors as plugins: `airbyte:source-faker`, a declarative manifest `airbyte:./manifest.yaml`.

A connector of the index is the package `airbyte-NAME`, called NAME here. A declarative manifest is put into a wheel
of its own, which needs the package that runs such manifests: so it is hashed, locked, sealed and bundled as any other
package is, and no code of it runs for that.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import document
from dativo.dataclass import dataclass
from dativo.plugins import package

ENGINE = "airbyte"
INSIDE = "dativo_manifest.json"
"""Where a manifest is in its wheel, and so in the environment's site-packages."""
COMMAND = "source-declarative-manifest"
INJECTED = "__injected_declarative_manifest"
"""The setting in which that command wants the manifest (airbyte-cdk, source_declarative_manifest/spec.json)."""
RUNNER, CDK = "airbyte-source-declarative-manifest", "airbyte-cdk"
RUNNER_READS = (6, 5)
"""The newest version of manifests that RUNNER reads: its last release is 6.5.2. airbyte-cdk itself has the command
from 6.6 on (PyPI)."""
PENDULUM = "pendulum>=2"
"""Older releases of airbyte-cdk ask for pendulum<3 and need 2, of which there is no wheel: among wheels alone uv takes
1.5, which lacks what they use."""
_CONNECTOR = re.compile(r"(?:airbyte-)?(?P<name>(?P<kind>source|destination)-[a-z0-9][a-z0-9.-]{0,80})")
_URLS = ("url_base", "url", "token_refresh_endpoint", "access_token_url", "login_url")
_SETTING = re.compile(r"\{\{\s*config(?:\[['\"]|\.)([A-Za-z0-9_]+)(?:['\"]\])?\s*\}\}")
_PLACE = re.compile(r"([A-Za-z0-9.-]*(?:\{config:[A-Za-z0-9_]+\}[A-Za-z0-9.-]*)*)(?::(\d{1,5}))?")
_STAMP = (1980, 1, 1, 0, 0, 0)


def is_manifest(text: str) -> bool:
    """Whether what follows the prefix is a file rather than a connector's name."""
    return text.endswith((".yaml", ".yml"))


@dataclass(frozen=True)
class Connector:
    """A connector of the package index."""

    name: str
    kind: str
    distribution: str
    requirement: str


def connector(text: str) -> Connector:
    """What `source-faker==1.2` means; `usage` when it is no connector's name."""
    parsed = package.requirement(text)
    found = _CONNECTOR.fullmatch(parsed.name.lower().replace("_", "-"))
    if not found:
        raise errors.ConfigError(
            "usage",
            f"{parsed.name!r} is no Airbyte connector's name",
            hint="as in airbyte:source-faker, or a declarative manifest: airbyte:./manifest.yaml",
        )
    name = found["name"]
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    kind = {"source": "tap", "destination": "target"}[found["kind"]]
    return Connector(name, kind, f"airbyte-{name}", f"airbyte-{name}{extras}{parsed.specifier}")


# -- images

IMAGES = "docker/"
"""How a container image is written: `airbyte:docker/airbyte/source-x:1.2`."""
_IMAGE = re.compile(
    r"(?:[a-z0-9.-]+(?::\d{1,5})?/)?(?:[a-z0-9._-]+/)*(?P<name>[a-z0-9._-]+):(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127})"
)


def image(text: str) -> tuple[str, str]:
    """The name and the tag of `airbyte/source-x:1.2`; `usage` when it is no image with a tag."""
    found = _IMAGE.fullmatch(text)
    if not found:
        raise errors.ConfigError(
            "usage", f"{text!r} is no image with a tag", hint="as in airbyte:docker/airbyte/source-faker:7.2.1"
        )
    return found["name"], found["tag"]


def pulled(text: str) -> str:
    """Fetch an image with this machine's engine, or take the one that was built there; its hash."""
    from dativo import containers

    socket = containers.find()
    if socket is None:
        raise errors.EnvironmentFault("env.engine", f"{text}: no Docker or Podman engine was found")
    engine = containers.Engine(socket)
    try:
        engine.pull(text)
    except (containers.Fault, OSError, ValueError) as problem:
        with suppress(containers.Fault, OSError, ValueError, KeyError):
            return engine.digest(text)
        raise errors.EnvironmentFault("env.engine", f"{text} could not be fetched: {problem}") from problem
    try:
        return engine.digest(text)
    except (containers.Fault, OSError, ValueError, KeyError) as problem:
        raise errors.EnvironmentFault("env.engine", f"{text}: the engine does not know it: {problem}") from problem


# -- declarative manifests


def read_manifest(path: Path) -> dict[str, Any]:
    """A declarative manifest, checked as far as it must be to be started: it is other people's YAML (I12)."""
    data = document.load(path, code="config.invalid").data
    if data.get("type") != "DeclarativeSource" or not isinstance(
        data.get("streams") or data.get("dynamic_streams"), list
    ):
        raise errors.ConfigError(
            "config.invalid",
            f"{path.name} is no declarative manifest: its type is not DeclarativeSource, or it has no streams",
            hint="see Airbyte's documentation of the low-code CDK",
        )
    return data


def manifest_name(path: Path, data: dict[str, Any]) -> str:
    """What a manifest's source is called: by its folder (`source-pokeapi/manifest.yaml`) or its file."""
    for word in (path.stem, path.parent.name):
        name = re.sub(r"[^a-z0-9-]+", "-", word.lower()).strip("-")
        if name and name != "manifest":
            return name if name.startswith("source-") else f"source-{name}"
    return "source-manifest"


def runner(data: dict[str, Any]) -> str:
    """The requirement of the package that runs a manifest of its version."""
    version = str(data.get("version") or "0")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers <= RUNNER_READS:
        return RUNNER
    return f"{CDK}>={'.'.join(str(part) for part in numbers)}"


def wheel(path: Path, name: str, place: Path) -> Path:
    """A wheel with the manifest in it, in `place`: the same bytes for the same manifest."""
    data = read_manifest(path)
    content = json.dumps(data, ensure_ascii=False, sort_keys=True)
    version = f"0+{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    distribution = f"dativo_manifest_{name.replace('-', '_').replace('.', '_')}"
    about = f"{distribution}-{version}.dist-info"
    files = {
        INSIDE: content,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        f"Requires-Dist: {runner(data)}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: dativo\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{one},,\n" for one in [*files, f"{about}/RECORD"])
    made = place / f"{distribution}-{version}-py3-none-any.whl"
    packed = io.BytesIO()
    import zipfile

    with zipfile.ZipFile(packed, "w") as archive:
        for inside, text in files.items():
            archive.writestr(zipfile.ZipInfo(inside, _STAMP), text)
    made.write_bytes(packed.getvalue())
    return made


def installed_manifest(home: Path) -> dict[str, Any] | None:
    """The manifest in an environment, None if it holds none."""
    for found in home.glob(f"lib/python*/site-packages/{INSIDE}"):
        data = json.loads(found.read_bytes())
        return data if isinstance(data, dict) else None
    return None


def config_of(home: Path | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a connector is started with: its settings, and the manifest of a declarative one."""
    declared = installed_manifest(home) if home is not None else None
    return {**config, INJECTED: declared} if declared is not None else dict(config)


def specification(data: dict[str, Any]) -> dict[str, Any]:
    """What a manifest's source would answer to `spec`."""
    spec = data.get("spec")
    found = spec.get("connection_specification") if isinstance(spec, dict) else None
    return {"connectionSpecification": found if isinstance(found, dict) else {"type": "object", "properties": {}}}


def hosts(data: Any) -> list[str]:
    """What a manifest reaches, as `sandbox.network` says it: HOST:PORT, or {config:KEY} where a setting holds it."""
    return sorted(set(_hosts(data)))


def _hosts(data: Any) -> Iterator[str]:
    if isinstance(data, list):
        for one in data:
            yield from _hosts(one)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key in _URLS and isinstance(value, str):
                found = _host(_SETTING.sub(r"{config:\1}", value.strip()))
                if found:
                    yield found
            else:
                yield from _hosts(value)


def _host(url: str) -> str | None:
    if re.match(r"\{config:[^}]+\}(/|$)", url):
        return url.partition("}")[0] + "}"
    scheme, _, rest = url.partition("://")
    place = _PLACE.fullmatch(rest.partition("/")[0].rpartition("@")[2])
    port = (place[2] if place else None) or {"https": "443", "http": "80"}.get(scheme, "")
    return f"{place[1]}:{port}" if place and port else None
