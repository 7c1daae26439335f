"""One plugin of a run, ready: installed, configured, checked, and able to become a child of a plan.

Its config holds secret:// references as they were written until `disclosure.disclosed` has read them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from dativo import errors
from dativo.config.layers import merged
from dativo.dataclass import dataclass
from dativo.engines import airbyte, singer
from dativo.plugins import approval
from dativo.plugins.airbyte import config_of
from dativo.plugins.installed import Installed, installed
from dativo.run import adapting, settings
from dativo.run.cut import Tightening
from dativo.run.grants import Grants, granted
from dativo.secrets import names
from dativo.secrets.redact import REDACTOR
from dativo.secrets.reference import is_reference
from dativo.secrets.resolve import Resolver
from dativo.secrets.tenants import agreed

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.config.specs import PluginSpec
    from dativo.engines.airbyte_generations import Loads
    from dativo.run.disclosure import Disclosure
    from dativo.run.settings import Given

Role = Literal["tap", "mapper", "target"]


@dataclass(frozen=True)
class Step:
    """A plugin in its place in the pipeline."""

    plugin: Installed
    role: Role
    spec: PluginSpec
    config: dict[str, Any]
    project: Project = field(repr=False)
    pass_env: tuple[str, ...] = ()
    jobs: tuple[Tightening, ...] = ()
    """What the job takes away."""
    profile: str | None = None
    """The command line's --sandbox."""
    resolver: Resolver = field(default_factory=Resolver, repr=False, compare=False)
    streams: dict[str, Any] | None = None
    """Of a tap that is part of Dativo: the catalog of what it plays, where that is known."""
    stream_name: str | None = None
    """Of an Airbyte destination: the template for its streams' names. For others it is the data plane that renames."""
    disclosure: Disclosure | None = field(default=None, repr=False, compare=False)
    """What was read for its references; None as long as nothing was."""

    @cached_property
    def grants(self) -> Grants:
        """What it may reach and use in this run (I6)."""
        return granted(self.project, self.plugin, self.spec, self.config, jobs=self.jobs, profile=self.profile)

    def ready(self) -> None:
        """Right before the run: make the folders that it may write, and say aloud when nothing confines it."""
        self.grants.make_folders()
        if self.grants.profile == "off":
            print(f"warning  SANDBOX OFF: {self.name} runs with all your rights, files and network", file=sys.stderr)

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.plugin.name

    @property
    def ours(self) -> bool:
        """Whether the plugin promises our exit codes and error lines."""
        return adapting.is_ours(self.plugin)

    @property
    def speaks_airbyte(self) -> bool:
        """Whether it is an Airbyte connector."""
        return self.plugin.engine == airbyte.NAME

    def can(self, capability: str) -> bool:
        """Whether the manifest says so."""
        return capability in self.plugin.capabilities

    def surroundings(self, *, planned: bool = False) -> dict[str, Any]:
        """What the engine gives the plugin beside its files; of a probe (not `planned`) by default."""
        mode = self.spec.config_mode
        return {
            "env": self.spec.env,
            "pass_env": (*self.grants.env, *self.spec.pass_env, *self.pass_env),
            "config_mode": self.grants.config_mode if mode == "auto" else mode,
            "confine": self.grants.confining(planned=planned),
            "back_fd": self.disclosure.back_fd() if self.disclosure else None,
        }

    def child(
        self,
        *,
        job: str,
        run: str,
        catalog: str | None = None,
        state: str | None = None,
        begun: bool = False,
        loads: Loads | None = None,
    ) -> dict[str, Any]:
        """This step as a child of a plan. `catalog` and `state` are the tap's, and `begun` says whether this run has
        made a bookmark: a target that is an Airbyte destination is told of them, and of what `loads` counts."""
        given: dict[str, Any] = {"role": self.role, "catalog": catalog, "state": state, "job": job, "run": run}
        given |= self.surroundings(planned=True)
        if self.speaks_airbyte:
            given |= {"config": config_of(self.plugin.env_dir, self.config), "begun": begun, "loads": loads}
            return airbyte.child(self.plugin, renamed=adapting.renaming(self.stream_name), **given)
        return singer.child(self.plugin, config=self.config, **given)


def prepare(
    project: Project,
    plugin: Installed | str,
    given: Given,
    *,
    overrides: Mapping[str, Any] | None = None,
    pass_env: tuple[str, ...] = (),
    flag: str = "--{}",
    jobs: tuple[Tightening, ...] = (),
    profile: str | None = None,
    resolver: Resolver | None = None,
) -> Step:
    """Merge a plugin's settings and check them against its manifest, before anything is started or any secret read."""
    if isinstance(plugin, str):
        plugin = installed(project, plugin)
    approval.require(plugin, project)
    spec = _overridden(project.plugin(plugin.name), overrides or {})
    schema = plugin.settings_schema
    config = settings.resolve(plugin.name, schema, spec.config, given)
    resolver = resolver or resolver_of(project)
    resolver.check(config, plugin.name)
    settings.check(plugin.name, schema, config, flag=flag)
    step = Step(plugin, role_of(plugin), spec, config, project, pass_env, jobs, profile, resolver)
    _ = step.grants  # what cannot be granted is said before anything is started
    _hide(step)
    return step


def resolver_of(project: Project, *, job: str | None = None, said: str | None = None) -> Resolver:
    """The secrets that a run may name. `job` is the tenant that the job names, `said` the one of the command line."""
    said = said or os.environ.get("DATIVO_TENANT")
    tenant = agreed({"the project": project.tenant, "the job": job, "--tenant": said})
    return Resolver(project.secrets, root=project.root, tenant=tenant, variable=project.variables.get)


def _hide(step: Step) -> None:
    """Hide the values that stand in the settings and in the environment themselves (I13)."""
    for text in names.inline("", step.config, step.plugin.settings_schema):
        REDACTOR.add(text)
    passed = {name: os.environ.get(name, "") for name in (*step.grants.env, *step.spec.pass_env, *step.pass_env)}
    for name, value in {**passed, **step.spec.env}.items():
        if is_reference(value):
            raise errors.ConfigError(
                "secret.invalid",
                f"{step.name}: {name} may not be a secret:// reference: an environment can be read by others",
                hint="secret:// may stand in a plugin's config only",
            )
        for text in names.inline(name, value, {}):
            REDACTOR.add(text)


def role_of(plugin: Installed) -> Role:
    """The plugin's place in a pipeline."""
    if plugin.kind not in ("tap", "mapper", "target"):
        raise errors.ConfigError(
            "plugin.kind", f"{plugin.name}: its kind is not known", context={"plugin": plugin.name}
        )
    return plugin.kind  # type: ignore[return-value]


def _overridden(spec: PluginSpec, overrides: Mapping[str, Any]) -> PluginSpec:
    """A job's own words about a plugin, over the project's."""
    if not overrides:
        return spec
    changes: dict[str, Any] = {}
    for key in ("config", "metadata", "env"):
        if overrides.get(key):
            changes[key] = merged(getattr(spec, key), overrides[key])
    for key in ("select", "pass_env"):
        if overrides.get(key) is not None:
            changes[key] = tuple(overrides[key])
    if overrides.get("config_mode"):
        changes["config_mode"] = overrides["config_mode"]
    return replace(spec, **changes)
