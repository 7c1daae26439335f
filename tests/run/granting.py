"""Makes grants without installing anything: a manifest, a dativo.yml and a config in, the plan's blocks out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dativo.config.project import Project
from dativo.plugins.installed import Installed
from dativo.plugins.permissions import from_manifest
from dativo.run.cut import Tightening
from dativo.run.grants import Grants, granted


class Bench:
    """A project in a folder of its own, with a home and a Dativo home beside it."""

    def __init__(self, top: Path) -> None:
        self.home, self.root, self.data = top / "home", top / "project", top / "data"
        for folder in (self.home, self.root, self.data):
            folder.mkdir(parents=True)
        self.file = self.root / "dativo.yml"
        self.file.write_text("")

    def plugin(self, manifest: dict[str, Any], name: str = "tap-x") -> Installed:
        """An installed plugin with this manifest, approved."""
        executable = self.data / name
        executable.write_bytes(b"\x7fELF")
        found = {"name": name, **manifest}
        approved = from_manifest(found).digest()
        return Installed(name, "tap", "1", executable, None, "sha256:0", found, "script", None, approved)

    def project(self) -> Project:
        return Project(self.root, self.file)

    def grants(
        self,
        sandbox: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        *,
        name: str = "tap-x",
        profile: str | None = None,
        job: dict[str, Any] | None = None,
        job_limits: dict[str, Any] | None = None,
        **manifest: Any,
    ) -> Grants:
        project = self.project()
        block = {} if sandbox is None else {"sandbox": sandbox}
        plugin = self.plugin({**block, **manifest}, name)
        jobs = (Tightening("jobs.j", job or {}, job_limits or {}),)
        return granted(project, plugin, project.plugin(name), config or {}, jobs=jobs, profile=profile)


def block(grants: Grants, env: dict[str, str] | None = None, *, planned: bool = True) -> dict[str, Any]:
    """The plan's sandbox of it, what the plugin needs to start left out."""
    found = grants.confinement(env or {}, planned=planned)["sandbox"]
    return {**found, "read": [path for path in found["read"] if path not in grants.start]}


def real(path: Path) -> str:
    return os.path.realpath(path)
