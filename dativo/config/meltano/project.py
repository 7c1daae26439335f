"""A Meltano project as a `Project`: its plugins and jobs are those of meltano.yml, which is never changed.

What only Dativo knows (grants, limits, the place of bookmarks) may stand under `annotations: {dativo: …}` of the
project, a plugin or a job: Meltano leaves annotations to other tools.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.config import keys
from dativo.config.document import Document, KeyPath
from dativo.config.layers import Layers, merged
from dativo.config.meltano import files as reading
from dativo.config.meltano import packages, selection, system
from dativo.config.meltano.blocks import Blocks, Pipeline
from dativo.config.meltano.definitions import RUNNABLE, Plugin, Plugins
from dativo.config.meltano.expansion import expanded, variable
from dativo.config.meltano.files import FILE, Files, fault
from dativo.config.meltano.kinds import TRUE, flat
from dativo.config.meltano.values import Surroundings, Values
from dativo.config.project import Project
from dativo.config.specs import JobSpec, PluginSpec, job_spec, plugin_spec
from dativo.config.variables import read_env_file
from dativo.secrets.redact import REDACTOR

if TYPE_CHECKING:
    from dativo.config.edits import Change

OF_PLUGIN = {name: keys.SETTINGS[name] for name in ("limits", "sandbox", "config_mode", "pass_env")}
OF_JOB = {name: rule for name, rule in keys.JOB.items() if name not in ("steps", "plugins", "description", "schedule")}
OF_PROJECT = {name: keys.PROJECT[name] for name in ("tenant", "state", "sandbox", "secrets", "index")}
SUFFIX = "MELTANO_RUN_STATE_ID_SUFFIX"
ASKED = {
    "MELTANO_RUN_FULL_REFRESH": "--full-refresh",
    "MELTANO_RUN_NO_STATE_UPDATE": "--job NAME keeps the run's bookmark apart",
    "MELTANO_RUN_STATE_STRATEGY": "--full-refresh --stream NAME keeps the other streams' bookmarks",
    "MELTANO_RUN_TIMEOUT": "limits: {wall: 1h} under annotations.dativo of the job",
}
_DEFAULT = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


class MeltanoProject(Project):
    """The project of a folder with meltano.yml. `env` is the environment, None for Meltano's own choice."""

    def __init__(self, root: Path, env: str | None = None, *, process: Mapping[str, str] | None = None) -> None:
        self.process = dict(os.environ if process is None else process)
        self.notes: dict[str, tuple[str, ...]] = {}
        """Plugin -> what of its pip_url was read in another way than pip would, as far as it was read."""
        super().__init__(root, root / FILE, env)

    # -- the files

    @cached_property
    def files(self) -> Files:
        """meltano.yml and what it includes."""
        return reading.read(self.root)

    @cached_property
    def dotenv(self) -> dict[str, str]:
        """The variables of .env, those in their values replaced."""
        found: dict[str, str] = {}
        for name, text in read_env_file(self.root / ".env").items():
            found[name] = _DEFAULT.sub(
                lambda one: found.get(one["name"], self.process.get(one["name"])) or one["default"] or "", text
            )
        return found

    @cached_property
    def environment(self) -> str | None:
        """The active environment: what was asked for, MELTANO_ENVIRONMENT, or `default_environment`."""
        asked = self.env or self.process.get("MELTANO_ENVIRONMENT", self.dotenv.get("MELTANO_ENVIRONMENT"))
        if asked and asked.lower() == "null":
            return None
        name = asked or self.setting("default_environment")
        if name is None:
            return None
        self._check_environment(str(name))
        return str(name)

    @cached_property
    def environments(self) -> dict[str, dict[str, Any]]:
        """The environments by name."""
        return {entry["name"]: entry for entry, _ in self.files.items("environments")}

    def setting(self, name: str, default: Any = None) -> Any:
        """One of Meltano's own settings, as `state_backend.uri`."""
        named = variable("meltano", name)
        for env in (self.process, self.dotenv):
            if named in env:
                return env[named]
        value = flat(self.files.data).get(name)
        if value is None:
            return default
        return expanded(value, {**self.dotenv, **self._process}) or None

    def variable(self, name: str) -> str | None:
        """A variable of the process or of .env."""
        return self.process.get(name, self.dotenv.get(name))

    # -- what Meltano's rules make of them

    @cached_property
    def plugins_known(self) -> Plugins:
        """The plugins by name."""
        return Plugins(self.files)

    @cached_property
    def around(self) -> Surroundings:
        """What all plugins share."""
        return self._around({})

    @cached_property
    def blocks(self) -> Blocks:
        """The jobs and schedules."""
        section = self.environments.get(self.environment or "") or {}
        suffix = section.get("state_id_suffix")
        if suffix is not None:
            suffix = expanded(str(suffix), {**self.dotenv, **self._process}, strict=self._strict)
        suffix = self.process.get(SUFFIX) or suffix
        return Blocks(self.files, self.plugins_known, self.environment, suffix or None)

    @property
    def system_dir(self) -> Path:
        """Meltano's own folder."""
        return self.root / self.process.get("MELTANO_SYS_DIR_ROOT", ".meltano")

    @property
    def system_uri(self) -> str:
        """The system database."""
        default = f"sqlite:///{self.system_dir}/meltano.db"
        uri = str(self.setting("database_uri", default))
        sqlite = uri.removeprefix("sqlite:///")
        return uri if sqlite == uri or sqlite.startswith("/") else f"sqlite:///{self.root / sqlite}"

    def values(self, word: str, given: Mapping[str, str] | None = None, around: Surroundings | None = None) -> Values:
        """The settings of the plugin that a word names."""
        return Values(self.plugins_known.named(word), around or self.around, given)

    # -- Project

    @property
    def active(self) -> str | None:
        """With Meltano's own choice."""
        return self.environment

    @property
    def changes(self) -> bool:
        """meltano.yml is Meltano's."""
        return False

    @cached_property
    def layers(self) -> Layers:
        """What Dativo alone is told: `annotations.dativo` of the project."""
        found = (self.files.data.get("annotations") or {}).get("dativo") or {}
        document = Document(self.root / FILE, found)
        keys.check(document, OF_PROJECT)
        return Layers.of(document)

    @property
    def own_files(self) -> list[Path]:
        """With the files that meltano.yml includes."""
        return [*super().own_files, *(one.path.absolute() for one in self.files.documents)]

    def plugins(self) -> list[str]:
        """The taps, targets and mappings."""
        return self.plugins_known.runnable()

    def plugin(self, name: str) -> PluginSpec:
        """A plugin's settings, by Meltano's precedence."""
        if self.plugins_known.kind(name) is None:
            return super().plugin(name)
        return plugin_spec(name, self._as_section(name, self.values(name)))

    def declared(self, name: str) -> dict[str, Any]:
        """What is to be installed for a plugin, and its config."""
        values = self.values(name)
        plugin = values.plugin
        if plugin.kind not in RUNNABLE:
            raise fault(plugin.where, f"{name} is of the {plugin.kind}, which are not Dativo's to run")
        config = _hidden(values)
        return {"kind": RUNNABLE[plugin.kind], **self.package(name), "config": config}

    def jobs(self) -> list[str]:
        """Jobs and schedules."""
        return self.blocks.names()

    def job(self, name: str) -> JobSpec:
        """A job that is one pipeline. Raises `job.invalid` for one that is several."""
        found = self.run_specs([name])
        if len(found) > 1:
            steps = " · ".join(" ".join(one.steps) for one in found)
            raise errors.ConfigError(
                "job.invalid", f"{name} is {len(found)} pipelines: {steps}", hint="name the plugins of one of them"
            )
        return found[0]

    def run_specs(self, words: Sequence[str]) -> list[JobSpec]:
        """The jobs that words mean, in order; each is told what its plugins tell each other."""
        self._check_asked()
        known = [*self.blocks.names(), *self.plugins_known.words]
        if len(words) == 1 and words[0].partition(":")[0] not in known:
            return [super().job(words[0])]
        return [self._spec(one) for one in self.blocks.of(words)]

    def pipe_job(self, steps: Sequence[str]) -> str | None:
        """The state id of a tap and a target of meltano.yml, so that a pipe and a run have one bookmark."""
        known = [self.plugins_known.kind(word) for word in (steps[0], steps[-1])]
        return self.blocks.state_id(steps) if known == ["extractors", "loaders"] else None

    def steps(self, name: str) -> list[str]:
        """The steps of all of a job's pipelines."""
        return list(dict.fromkeys(step for one in self.run_specs([name]) for step in one.steps))

    def origin(self, name: str) -> dict[str, str]:
        """Setting -> where its value comes from."""
        values = self.values(name)
        found = {}
        for one in values.settings:
            value = values.get(one)
            if not one.extra and value.value is not None:
                found[one.name] = value.source + (f" ({value.variable})" if value.variable else "")
        return found

    def row(self) -> str:
        """With the first tap and the first target of meltano.yml."""
        tap, target = (self.plugins_known.first(*one) for one in (("extractors", "TAP"), ("loaders", "TARGET")))
        return f"dativo run {tap} {target}"

    def add_plugin(self, name: str, **_: Any) -> None:
        """Nothing to write where meltano.yml has it already."""
        if self.plugins_known.kind(name) is None:
            raise self._read_only(f"declare it there, with meltano add {name} or by hand; dativo run installs it")

    def may_add(self, name: str) -> None:
        """A plugin is declared in meltano.yml first."""
        self.add_plugin(name)

    def remove_plugin(self, name: str) -> None:
        """Nothing to write where meltano.yml does not have it."""
        if self.plugins_known.kind(name) is not None:
            raise self._read_only(f"take it out of meltano.yml, as meltano remove {name} does")

    # -- inside

    def _apply(self, changes: Sequence[Change]) -> None:
        change = next((one for one in changes if one.keys[:1] == ("plugins",) and len(one.keys) > 2), None)
        raise self._read_only(_by_hand(change.keys, change.value) if change else None)

    def _read_only(self, hint: str | None = None) -> errors.ConfigError:
        why = "meltano.yml is Meltano's: Dativo reads it and never changes it"
        return errors.ConfigError("meltano.readonly", why, hint=hint)

    def _check_asked(self) -> None:
        """Variables are options of `meltano run` too: one that Dativo does not read is refused, not skipped."""
        for name, instead in ASKED.items():
            said = self.process.get(name, "").lower()
            if said and said not in ("0", "false", "no", "off", "auto"):
                hint = f"unset {name}; here: {instead}"
                raise errors.ConfigError("meltano.unsupported", f"{name} is set, which Dativo does not read", hint=hint)

    def _check_environment(self, env: str) -> None:
        if env not in self.environments and env.lower() != "null":
            import difflib

            near = difflib.get_close_matches(env, self.environments, n=1)
            known = ", ".join(self.environments) or "none"
            hint = f"did you mean {near[0]}?" if near else f"environments here: {known}"
            raise errors.ConfigError("project.invalid", f"no environment {env} in {FILE}", hint=hint)

    @cached_property
    def _process(self) -> dict[str, str]:
        """The process environment with what Meltano adds to it."""
        own = {**self._folders, "MELTANO_ENVIRONMENT": ""}
        return {**self.process, **own, **_texts(self.files.data.get("env"))}

    @property
    def _folders(self) -> dict[str, str]:
        return {"MELTANO_PROJECT_ROOT": str(self.root), "MELTANO_SYS_DIR_ROOT": str(self.system_dir)}

    @property
    def _strict(self) -> bool:
        return str(self.setting("ff.strict_env_var_mode", "")).lower() in TRUE

    def _around(self, extra: Mapping[str, str]) -> Surroundings:
        section = self.environments.get(self.environment or "") or {}
        plugins = (section.get("config") or {}).get("plugins") or {}
        sections = {
            (kind, str(entry.get("name"))): entry
            for kind, entries in plugins.items()
            for entry in entries or []
            if isinstance(entry, Mapping)
        }
        own = {variable("meltano", key): str(value) for key, value in self._own_settings().items()}
        process = {**self._process, **own, "MELTANO_ENVIRONMENT": self.environment or "", **extra}
        return Surroundings(
            process, self.dotenv, self.environment, _texts(section.get("env")), sections,
            strict=self._strict, database=self._kept,
        )  # fmt: skip

    def _own_settings(self) -> dict[str, Any]:
        """Meltano's settings that meltano.yml holds, which its plugins see as MELTANO_…"""
        kept = {
            key: value
            for key, value in self.files.data.items()
            if key not in ("plugins", "environments", "schedules", "jobs", "env", "include_paths", "annotations")
        }
        found = {key: self.setting(key) for key in flat(kept)}
        return {key: value for key, value in found.items() if isinstance(value, str | int | float)}

    def _kept(self, plugin: Plugin) -> Mapping[str, Any]:
        return system.settings(self.system_uri, f"{plugin.kind}.{plugin.name}.default")

    def _spec(self, pipeline: Pipeline) -> JobSpec:
        """A pipeline as a job: each of its plugins knows what those before it are called and set to."""
        around = self._around(pipeline.env) if pipeline.env else self.around
        said: dict[str, Any] = {}
        told: dict[str, str] = {}
        state: Path | None = None
        for word in pipeline.steps:
            values = self.values(word, told, around)
            section = self._as_section(word, values)
            said[word] = {key: section[key] for key in ("config", "env", "select", "metadata") if section.get(key)}
            if values.extras.get("_state"):
                state = self.root / str(values.extras["_state"])
            told |= values.told
        data = self._annotated_job(pipeline.job)
        return job_spec(pipeline.state_id, {**data, "steps": list(pipeline.steps), "plugins": said}, state=state)

    def _annotated_job(self, name: str | None) -> dict[str, Any]:
        entry, where = self.blocks.jobs.get(name or "") or ({}, "")
        return job_annotations(entry, where)

    def _as_section(self, name: str, values: Values) -> dict[str, Any]:
        """A plugin as a section of dativo.yml would have it."""
        plugin = values.plugin
        if plugin.kind not in RUNNABLE:
            raise fault(plugin.where, f"{name} is of the {plugin.kind}, which are not Dativo's to run")
        config = _hidden(values)
        if plugin.mapping is not None:  # Meltano lays the mapping's own config over what its settings say
            env = {**self.dotenv, **self._process, **self.named_place}
            config = {**config, **expanded(plugin.config, env)}
        found = {"kind": RUNNABLE[plugin.kind], "config": config, "env": self.process_env(values)}
        if plugin.kind == "extractors":
            found |= selection.section(values.extras, plugin.where)
        joined: dict[str, Any] = merged(found, self.annotated(values))
        return joined

    @staticmethod
    def annotated(values: Values) -> dict[str, Any]:
        """What `annotations.dativo` says of a plugin, and of those that it inherits from."""
        found: dict[str, Any] = {}
        for at in reversed(_line(values.plugin)):
            found = merged(found, _annotations(at.own, at.where, OF_PLUGIN))
        return found

    @property
    def named_place(self) -> dict[str, str]:
        """The variables that say where the project is and which environment is active."""
        return {**self._folders, "MELTANO_ENVIRONMENT": self.environment or ""}

    def process_env(self, values: Values) -> dict[str, str]:
        """The variables that meltano.yml gives to the plugin's process, and no other (I6)."""
        section = self.environments.get(self.environment or "") or {}
        said = {**self.process, **self.named_place}
        own = expanded(_texts(self.files.data.get("env")), {**self.dotenv, **said})
        seen = {**said, **own, **self.dotenv}
        active = expanded(_texts(section.get("env")), seen)
        plugin = expanded(_texts(values.plugin.own.get("env")), active)
        of_section = self.around.sections.get((values.plugin.kind, values.plugin.name)) or {}
        last = expanded(_texts(of_section.get("env")), plugin)
        return {**own, **plugin, **active, **last}

    def package(self, word: str) -> dict[str, Any]:
        """`source`, `with`, `executable` and `python` of a plugin, as a section of dativo.yml has them."""
        values = self.values(word)
        plugin = values.plugin
        pip_url, executable = plugin.attribute("pip_url"), plugin.attribute("executable")
        name = plugin.base.name
        if pip_url:
            text = expanded(str(pip_url), {**self.dotenv, **values.env}, strict=self._strict)
            package = packages.read(text, plugin.where, self.root)
            version = packages.python(plugin.attribute("python") or self.setting("python"), plugin.where)
            found = package.section()
            self.notes[word] = package.notes
            if executable or name != plugin.called:
                found["executable"] = str(executable or name)
            return {**found, **({"python": version} if version else {})}
        return {"source": self._program(str(executable or name), plugin.where)}

    def _program(self, executable: str, where: str) -> str:
        """A plugin without a pip_url is a program: in the project, or on PATH."""
        if "/" in executable:
            return packages.folder(executable, where, self.root)
        import shutil

        found = shutil.which(executable, path=self.process.get("PATH"))
        if found is None:
            raise fault(where, f"{executable} has no pip_url and is not on PATH", hint="give it a pip_url")
        return found


def _hidden(values: Values) -> dict[str, Any]:
    """The plugin's config; what its definition calls sensitive is shown nowhere from now on (I13)."""
    for one in values.settings:
        if one.sensitive and isinstance(value := values.get(one).value, str) and value:
            REDACTOR.add(value)
    return values.config


def _line(plugin: Plugin) -> list[Plugin]:
    """A plugin and those that it inherits from."""
    found = [plugin]
    while isinstance(found[-1].parent, Plugin):
        found.append(found[-1].parent)
    return found


def _by_hand(at: tuple[str, ...], value: Any) -> str | None:
    """How a user makes a change that Dativo does not: `at` is its place in a dativo.yml."""
    _, name, section, *below = at
    if section == "config":
        return f"change it there: meltano config set {name} {' '.join(below) or 'SETTING'} VALUE"
    if section == "select":
        return f"change it there: meltano select {name} STREAM COLUMN"
    if section in OF_PLUGIN:
        shown = f": [{', '.join(map(str, value))}]" if isinstance(value, list) else ""
        return f"write it there by hand, at {name}: annotations.dativo.{'.'.join([section, *below])}{shown}"
    return None


def job_annotations(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What `annotations.dativo` says of a job."""
    return _annotations(entry, where, OF_JOB)


def _annotations(entry: Mapping[str, Any], where: str, table: keys.Table) -> dict[str, Any]:
    found = (entry.get("annotations") or {}).get("dativo") or {}
    if not isinstance(found, dict):
        raise fault(where, "annotations.dativo is a mapping")
    file, _, line = where.partition(":")
    lines: dict[KeyPath, int] = {(key,): int(line) for key in found} if line.isdigit() else {}
    keys.check(Document(Path(file), found, lines, file), table)
    return found


def _texts(env: Any) -> dict[str, str]:
    return {str(key): "" if one is None else str(one) for key, one in (env or {}).items()}
