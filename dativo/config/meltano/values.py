"""The settings of one plugin by Meltano's precedence, with where each comes from.

First wins: the environment (under which the `env:` of meltano.yml counts), `.env`, the environment's section of
meltano.yml, the plugin's, the system database, what is inherited, the default. Facts: Meltano 4.4.1,
core/settings_service.py, core/settings_store.py and core/plugin/settings_service.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from dativo.config.meltano import kinds
from dativo.config.meltano.definitions import Plugin, missing
from dativo.config.meltano.expansion import expanded, variable
from dativo.config.meltano.files import fault
from dativo.config.meltano.kinds import Setting, cast, configured, finished, flat, text_of
from dativo.dataclass import dataclass

ENVIRONMENT, DOTENV, SECTION, FILE, DATABASE = "environment", ".env", "environment of meltano.yml", "meltano.yml", "db"
INHERITED, DEFAULT = "inherited", "default"


@dataclass(frozen=True)
class Surroundings:
    """What all plugins of a project share."""

    process: Mapping[str, str] = field(repr=False)
    """The process environment, and what Meltano adds: MELTANO_PROJECT_ROOT and its like, the project's `env:`."""
    dotenv: Mapping[str, str] = field(repr=False)
    environment: str | None
    environment_env: Mapping[str, str] = field(repr=False)
    sections: Mapping[tuple[str, str], Mapping[str, Any]] = field(repr=False)
    """(kind, name) -> what the environment says of that plugin."""
    database: Callable[[Plugin], Mapping[str, Any]] = field(repr=False)
    """The settings that the system database holds of a plugin."""
    strict: bool = False


@dataclass(frozen=True)
class Value:
    """One setting's value and its source."""

    setting: Setting
    value: Any = field(repr=False)
    source: str
    expandable: bool = False
    variable: str | None = None
    """The variable that it comes from."""


class Values:
    """The settings of one plugin. `given` is what the plugins before it in a run tell it."""

    def __init__(self, plugin: Plugin, around: Surroundings, given: Mapping[str, str] | None = None) -> None:
        self.plugin, self.around = plugin, around
        self._given = dict(given or {})
        self._section = dict(around.sections.get((plugin.kind, plugin.name)) or {})
        self._of_section = {
            **(self._section.get("config") or {}),
            **{f"_{key}": value for key, value in self._section.items() if key not in ("name", "config", "env")},
        }

    @cached_property
    def parent(self) -> Values | None:
        """The plugin that it inherits from."""
        return Values(self.plugin.parent, self.around, self._given) if isinstance(self.plugin.parent, Plugin) else None

    @cached_property
    def env(self) -> dict[str, str]:
        """The variables that its settings are read from, and that `$VAR` in them stands for."""
        found = {
            **(self.parent.env if self.parent else {}),
            **self.around.process,
            **self._given,
            **self.plugin.info(),
            **_texts(self.plugin.own.get("env")),
        }
        found |= expanded(dict(self.around.environment_env), found, strict=self.around.strict)
        return {**found, **_texts(self._section.get("env"))}

    @cached_property
    def settings(self) -> list[Setting]:
        """All its settings, extras at the end."""
        found = [*self.plugin.settings, *self.plugin.extra_settings]
        return [*found, *missing(found, self._of_section)]

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the plugin is given: nested, nothing that is not set."""
        found = {
            one.name: finished(one, self.get(one).value, self.plugin.called) for one in self.settings if not one.extra
        }
        return configured(found)

    @cached_property
    def extras(self) -> dict[str, Any]:
        """`_select` and its like, by name."""
        return {one.name: self.get(one).value for one in self.settings if one.extra}

    @cached_property
    def told(self) -> dict[str, str]:
        """What the plugins after it in a run are told of it: its settings as variables."""
        return {**self.plugin.info(), **self._variables(extras=True)}

    def get(self, setting: Setting, *, expand: bool = True) -> Value:
        """One setting's value."""
        found = self._found(setting)
        if expand and found.expandable:
            found = self._expanded(found)
        if setting.kind == "object" and found.source in (DEFAULT, INHERITED):
            found = self._gathered(found, expand=expand)
        if not found.expandable:
            found = _with(found, cast(setting, found.value, self.plugin.called))
        return found

    # -- inside

    @cached_property
    def _flat_section(self) -> dict[str, Any]:
        return flat(self._of_section)

    @cached_property
    def _flat_file(self) -> dict[str, Any]:
        return flat(self.plugin.whole)

    @cached_property
    def _kept(self) -> Mapping[str, Any]:
        return self.around.database(self.plugin)

    def _found(self, setting: Setting) -> Value:
        for source, env in ((ENVIRONMENT, self.env), (DOTENV, self.around.dotenv)):
            named = self._from(setting, env)
            if named is not None:
                return Value(setting, env[named], source, variable=named)
        for source, data in ((SECTION, self._flat_section), (FILE, self._flat_file)):
            value = self._keyed(setting, data)
            if value is not None:
                return Value(setting, value, source, expandable=True)
        kept = self._kept.get(setting.name)
        if kept is not None:
            return Value(setting, kept, DATABASE)
        inherited = self._inherited(setting)
        if inherited is not None:
            return inherited
        return Value(setting, setting.value, DEFAULT, expandable=setting.value is not None)

    def _from(self, setting: Setting, env: Mapping[str, str]) -> str | None:
        """The variable that sets it. Two at once are refused, as Meltano does."""
        names = [variable(prefix, setting.name) for prefix in self.plugin.variables()]
        names += [variable(prefix, alias) for alias in setting.aliases for prefix in self.plugin.variables()]
        names += [] if self.plugin.inherits else setting.env_aliases
        there = [name for name in dict.fromkeys(names) if name in env]
        if len(there) > 1:
            raise fault(
                self.plugin.where,
                f"{setting.name} of {self.plugin.called} is set by several variables: {', '.join(there)}",
                hint="unset all but one",
            )
        return there[0] if there else None

    def _keyed(self, setting: Setting, data: Mapping[str, Any]) -> Any:
        there = [key for key in (setting.name, *setting.aliases) if key in data]
        if len(there) > 1 and any(data[key] != data[there[0]] for key in there):
            raise fault(
                self.plugin.where,
                f"{setting.name} of {self.plugin.called} is set under several names: {', '.join(there)}",
                hint="keep one of them",
            )
        return data[there[0]] if there else None

    def _inherited(self, setting: Setting) -> Value | None:
        if self.parent is None:
            return None
        theirs = next((one for one in self.parent.settings if one.name == setting.name), None)
        found = self.parent.get(theirs, expand=False) if theirs is not None else None
        if found is None or found.value is None or found.source == DEFAULT:
            return None
        return Value(setting, found.value, INHERITED, found.expandable)

    def _expanded(self, found: Value) -> Value:
        env = {**self.around.dotenv, **self.env}
        if found.setting.extra:
            env |= self._variables(extras=False)
        value = expanded(found.value, env, strict=self.around.strict)
        if found.value and not value:
            value = None  # a text of nothing but variables that are not set
        return Value(found.setting, value, found.source)

    def _gathered(self, found: Value, *, expand: bool) -> Value:
        """An object of the settings that are named below it."""
        order = (ENVIRONMENT, DOTENV, SECTION, FILE, DATABASE, INHERITED, DEFAULT)
        gathered: dict[str, Any] = {}
        source = found.source
        for name in (found.setting.name, *found.setting.aliases):
            for one in self.settings:
                inner = one.name.removeprefix(f"{name}.")
                if one.name == inner or inner in gathered:
                    continue
                below = self.get(one, expand=expand)
                gathered[inner] = below.value
                source = min(source, below.source, key=order.index)
        if not gathered:
            return found
        return Value(found.setting, gathered, source, found.expandable and not expand)

    def _variables(self, *, extras: bool) -> dict[str, str]:
        """Its settings as variables, those without a value left out."""
        found = {}
        for one in self.settings:
            if one.extra and not extras:
                continue
            value = self.get(one).value
            if value is None:
                continue
            names = [variable(prefix, one.name) for prefix in self.plugin.written()]
            for name in [*([one.env] if one.env else []), *names, *one.env_aliases]:
                found[name] = text_of(one, value)
        return found


def _with(found: Value, value: Any) -> Value:
    return Value(found.setting, value, found.source, found.expandable, found.variable)


def _texts(env: Any) -> dict[str, str]:
    return {str(key): "" if value is None else kinds.text_of(Setting(""), value) for key, value in (env or {}).items()}
