"""Airbyte connectors that are container images: the same questions, asked of a container in place of a program.

The child of the plan is `dativo.containers`, a program of ours that speaks with the engine; the connector's code runs
in the container, and what the plugin is granted is put to the engine. I7: what an engine cannot enforce is refused. It
can give a container all of the network or none, so single hosts are no grant for one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dativo import errors

IMAGE = "image"
"""The key in a plugin's manifest: the image, pinned by its hash."""
_ULIMITS = ("core", "cpu", "fsize", "nofile", "stack")


def contained(child: dict[str, Any], image: str, words: Sequence[str]) -> dict[str, Any]:
    """A child that runs `words` in a container of the image, with the child's files, limits and network."""
    from dativo import containers

    socket = containers.find()
    if socket is None:
        raise no_engine()
    sandbox, limits = child.get("sandbox", {}), child.get("limits", {})
    labels = {"dativo.plugin": child["name"], "dativo.job": child["env"].get("DATIVO_JOB", "")}
    given = dict(child["files"])
    runs, reads = words[0] in ("read", "write"), words[0] == "write"
    stdin = {"OpenStdin": True, "StdinOnce": True, "AttachStdin": True} if reads else {}
    spec = {
        "socket": socket,
        "alone": labels if runs else {},
        "create": {
            "Image": image,
            "Cmd": list(words),
            **stdin,
            "Labels": labels if runs else {},
            "NetworkDisabled": _network(child["name"], sandbox) == "none",
            "HostConfig": {
                "NetworkMode": _network(child["name"], sandbox),
                "Memory": limits.get("memory") or 0,
                "MemorySwap": limits.get("memory") or 0,
                "PidsLimit": limits.get("processes") or 0,
                "Ulimits": [
                    {"Name": name, "Soft": value, "Hard": value}
                    for name, value in sorted(child.get("rlimits", {}).items())
                    if value is not None and name in _ULIMITS
                ],
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "Binds": [],
                "Init": True,
            },
        },
    }
    python = [sys.executable, "-I", "-B", "-X", "utf8", "{file:program}", "{file:container}"]
    from dativo import containers

    program = Path(containers.__file__).read_text(encoding="utf-8")
    return {
        **child,
        "argv": [*python, *(f"{name}={{file:{name}}}" for name in given)],
        "files": {
            **given,
            "program": {"content": program, "mode": "memfd"},
            "container": {"content": json.dumps(spec), "mode": "memfd"},
        },
        # It has to reach the engine as this user does; whoever may start containers may do anything there anyway.
        "sandbox": {"profile": "limits"},
    }


def path_of(name: str) -> str:
    """Where a file is in the container."""
    from dativo import containers

    return f"/{containers.FOLDER}/{name}.json"


def no_engine() -> errors.EnvironmentFault:
    """There is nobody who could start a container."""
    return errors.EnvironmentFault(
        "env.engine",
        "no Docker or Podman engine was found",
        hint="start one, or name its socket in DOCKER_HOST; a connector on PyPI needs none: airbyte:source-NAME",
    )


def _network(name: str, sandbox: Mapping[str, Any]) -> str:
    network = sandbox.get("network", "none")
    if network in ("none", "any"):
        return "none" if network == "none" else "bridge"
    if not network:
        return "none"
    raise errors.EnvironmentFault(
        "sandbox.unavailable",
        f"{name} is a container, which can be given all of the network or none, not {', '.join(network)}",
        hint=f"to give it all: dativo allow {name} --network any",
        context={"plugin": name},
    )
