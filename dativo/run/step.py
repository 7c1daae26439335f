"""One plugin of a run, ready: installed, configured, checked, and able to become a child of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dativo import errors
from dativo.config.layers import merged
from dativo.engines import singer
from dativo.plugins.installed import Installed, installed
from dativo.run import settings

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.config.specs import PluginSpec
    from dativo.run.settings import Given

Role = Literal["tap", "mapper", "target"]


@dataclass(frozen=True)
class Step:
    """A plugin in its place in the pipeline."""

    plugin: Installed
    role: Role
    spec: PluginSpec
    config: dict[str, Any]
    pass_env: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.plugin.name

    @property
    def ours(self) -> bool:
        """Whether the plugin promises our exit codes and error lines."""
        return "exit-codes" in self.plugin.capabilities

    def can(self, capability: str) -> bool:
        """Whether the manifest says so."""
        return capability in self.plugin.capabilities

    def surroundings(self) -> dict[str, Any]:
        """What the engine gives the plugin beside its files."""
        return {
            "env": self.spec.env,
            "pass_env": (*self.spec.pass_env, *self.pass_env),
            "config_mode": self.spec.config_mode,
        }

    def child(
        self,
        *,
        job: str,
        run: str,
        limits: Mapping[str, Any] | None = None,
        catalog: str | None = None,
        state: str | None = None,
    ) -> dict[str, Any]:
        """This step as a child of a plan. `limits` are the job's: the plugin's own come over them."""
        return singer.child(
            self.plugin,
            role=self.role,
            config=self.config,
            catalog=catalog,
            state=state,
            job=job,
            run=run,
            limits={**(limits or {}), **self.spec.limits},
            **self.surroundings(),
        )


def prepare(
    project: Project,
    plugin: Installed | str,
    given: Given,
    *,
    overrides: Mapping[str, Any] | None = None,
    pass_env: tuple[str, ...] = (),
    flag: str = "--{}",
) -> Step:
    """Merge a plugin's settings and check them against its manifest, before anything is started."""
    if isinstance(plugin, str):
        plugin = installed(project, plugin)
    spec = _overridden(project.plugin(plugin.name), overrides or {})
    schema = plugin.settings_schema
    config = settings.resolve(plugin.name, schema, spec.config, given)
    settings.check(plugin.name, schema, config, flag=flag)
    return Step(plugin, role_of(plugin), spec, config, pass_env)


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
    for key in ("config", "metadata", "env", "limits"):
        if overrides.get(key):
            changes[key] = merged(getattr(spec, key), overrides[key])
    for key in ("select", "pass_env"):
        if overrides.get(key) is not None:
            changes[key] = tuple(overrides[key])
    if overrides.get("config_mode"):
        changes["config_mode"] = overrides["config_mode"]
    return replace(spec, **changes)
