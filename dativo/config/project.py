"""The project: the nearest dativo.yml above the working directory, else the user's own (config_dir)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.config.deprecations import renewed
from dativo.config.document import Document, KeyPath, load
from dativo.config.keys import JOB_FILE, NAME, PROJECT, check
from dativo.config.layers import Layers
from dativo.config.paths import config_dir, state_dir
from dativo.config.quantity import parse_duration
from dativo.config.specs import JobSpec, PluginSpec, job_name, job_spec, plugin_spec
from dativo.config.variables import Variables, read_env_file, references

if TYPE_CHECKING:
    from dativo.config.edits import Change
    from dativo.config.policy import Policy

FILE, LOCK = "dativo.yml", "dativo.lock"
MELTANO = "meltano.yml"


class Project:
    """What is configured, whichever file it stands in. Reads lazily; variables are replaced on access.

    `root` is where relative paths start; `file` is dativo.yml, or None outside a project; `lock_file` may not exist
    yet; `settings_file` is what edits change: `file`, or the user's own dativo.yml in config_dir.
    """

    def __init__(self, root: Path, file: Path | None, env: str | None = None, overlay: Document | None = None) -> None:
        self.root, self.file, self.env = root, file, env or None
        self._overlay = overlay
        home = root if file else config_dir()
        self.settings_file = file or home / FILE
        self.lock_file = home / LOCK
        if self.env:
            self._check_environment(self.env)

    @classmethod
    def find(cls, start: Path | None = None, env: str | None = None) -> Project:
        """Walk up to the nearest dativo.yml, or meltano.yml where there is none beside it.

        Without either, the user's own project, with paths from `start`.
        """
        here = (start or working_directory()).absolute()
        found = _nearest(here)
        if found is not None and found.name == MELTANO:
            from dativo.config.meltano.project import MeltanoProject

            return MeltanoProject(found.parent, env)
        return cls(found.parent if found else here, found, env)

    @classmethod
    def from_job_file(cls, path: Path, env: str | None = None) -> tuple[Project, JobSpec]:
        """A job file: the keys of one job, `name`, and plugins in full. A project is sought from its folder."""
        document = renewed(load(path, code="job.invalid"), job_file=True, code="job.invalid")
        check(document, JOB_FILE, code="job.invalid")
        around = cls.find(path.absolute().parent, env)
        if not around.changes:
            raise errors.ConfigError(
                "job.invalid",
                f"{path.name} stands in a project of {around.settings_file.name}, whose plugins it cannot use",
                hint="run the project's own jobs by their names, or keep the file beside a dativo.yml",
            )
        project = cls(around.root, around.file, env, overlay=document)
        name = str(document.data.get("name") or path.stem)
        if not NAME.fullmatch(name):
            raise errors.ConfigError("job.invalid", f"{name!r} cannot be a job's name", hint="give the file a name:")
        layers = Layers.of(document)
        skipped = ("name", "plugins", "state")  # inline plugins are part of the project: `plugin()` resolves them
        data = {key: project.variables.resolve(value, layers, (key,))
                for key, value in document.data.items() if key not in skipped}  # fmt: skip
        inline = document.data.get("plugins") or {}
        data["plugins"] = project.variables.resolve(_parts(inline, keep=True), layers, ("plugins",))
        return project, job_spec(name, data)

    # -- reading

    @property
    def active(self) -> str | None:
        """The environment that holds here."""
        return self.env

    @property
    def changes(self) -> bool:
        """Whether `settings_file` is Dativo's own to change."""
        return True

    def run_specs(self, words: Sequence[str]) -> list[JobSpec]:
        """The jobs that the words of a run mean: one, a job by its name or plugins in a row."""
        return [self.job(words[0]) if len(words) == 1 else JobSpec(job_name(words), tuple(words))]

    def pipe_job(self, steps: Sequence[str]) -> str | None:
        """What the project itself calls plugins in a row, as a shell pipe has them. None: nothing of its own."""
        return None

    @cached_property
    def layers(self) -> Layers:
        """The checked file, the environment on top of it, and a job file's plugins on top of that."""
        found = Document(self.settings_file, {})
        if self.settings_file.is_file():
            found = renewed(load(self.settings_file))
            check(found, PROJECT)
        layers = Layers.of(found)
        if self.env:
            layers = layers.with_environment(self.env)
        if self._overlay is not None:
            kept = {key: self._overlay.data[key] for key in ("plugins", "state") if self._overlay.data.get(key)}
            kept["plugins"] = _parts(kept.get("plugins") or {}, keep=False)
            layers = layers.with_document(Document(self._overlay.path, kept, self._overlay.lines))
        return layers

    @cached_property
    def variables(self) -> Variables:
        """The process environment over the `.env` beside the project file (and beside a job file)."""
        found = read_env_file(self.settings_file.parent / ".env")
        if self._overlay is not None and self._overlay.path.absolute().parent != self.settings_file.parent:
            found |= read_env_file(self._overlay.path.absolute().parent / ".env")
        return Variables(found)

    @cached_property
    def state_path(self) -> Path:
        """The bookmark store: `state.path`, else .dativo/state.db in a project, else the user's."""
        at = ("state", "path")
        given = self.variables.resolve(self.layers.at(*at), self.layers, at)
        if given:
            return self.root / Path(given).expanduser()
        return self.root / ".dativo" / "state.db" if self.file else state_dir() / "dativo.db"

    @cached_property
    def state_url(self) -> tuple[str | None, dict[str, Any]]:
        """`state.url` and `state.options`, references unread. Raises project.invalid beside `state.path`."""
        at = ("state",)
        given = self.variables.resolve(self.layers.at(*at) or {}, self.layers, at)
        url, options = given.get("url"), given.get("options") or {}
        if (url and given.get("path")) or (options and not url):
            said = "state.path and state.url are two places" if url else "state.options say something about state.url"
            raise errors.ConfigError("project.invalid", said, hint="keep one of them, or give state.url")
        return url, {key: _spelt(one) for key, one in options.items()}

    @cached_property
    def secrets(self) -> dict[str, Any]:
        """The settings of the secret backends and the tenants' patterns. A job file has no say in them."""
        at = ("secrets",)
        found = dict(self.variables.resolve(self.layers.at(*at) or {}, self.layers, at))
        if "timeout" in found:
            found["timeout"] = parse_duration(found["timeout"])
        return found

    def indexes(self) -> dict[str, dict[str, Any]]:
        """`index:` by name, with its secrets: url, username, password, default. A job file has no say in it."""
        from dativo.secrets.resolve import Resolver

        found = self.variables.resolve(self.layers.at("index") or {}, self.layers, ("index",))
        if not found:
            return {}
        resolver = Resolver(self.secrets, root=self.root, variable=self.variables.get)
        return dict(resolver.resolve(found, "index").config)

    @property
    def tenant(self) -> str | None:
        """Whose project this is."""
        at = ("tenant",)
        found = self.variables.resolve(self.layers.at(*at), self.layers, at)
        return str(found) if found else None

    @property
    def own_files(self) -> list[Path]:
        """The files that decide what runs: no plugin has business with them (I6)."""
        folders = {self.settings_file.parent, *([self._overlay.path.absolute().parent] if self._overlay else [])}
        found = [self.settings_file, self.lock_file, *(folder / ".env" for folder in sorted(folders))]
        return [*found, *([self._overlay.path.absolute()] if self._overlay else []), *self._secret_files()]

    def _secret_files(self) -> list[Path]:
        """The files that hold secrets of any plugin here, and the key that opens them (I13)."""
        from dativo.secrets import reference

        mark = f"{reference.SCHEME}file/"
        named = [text for _, text in reference.found(self.layers.data) if text.startswith(mark)]
        identity = self.layers.at("secrets", "file", "identity")
        names = [text.removeprefix(mark).partition("#")[0] for text in named]
        names += [identity] if isinstance(identity, str) else []
        return [self.root / Path(name).expanduser() for name in dict.fromkeys(names)]

    def policies(self) -> list[Policy]:
        """What bounds every plugin's permissions here: this machine's policy, the user's own, the project's."""
        from dativo.config import policy

        own = self.variables.resolve(self.layers.at("sandbox") or {}, self.layers, ("sandbox",))
        return policy.found(self.settings_file, own, in_project=self.file is not None)

    def plugins(self) -> list[str]:
        """The plugins the file mentions."""
        return list(self.layers.at("plugins") or {})

    def plugin(self, name: str) -> PluginSpec:
        """What is configured for a plugin: defaults when the file does not mention it."""
        return plugin_spec(name, self._resolved("plugins", name))

    def engine(self, name: str) -> str | None:
        """The engine that a plugin's section asks for; the rest of the section is not looked at."""
        at = ("plugins", name, "engine")
        found = self.variables.resolve(self.layers.at(*at), self.layers, at)
        return str(found) if found else None

    def declared(self, name: str) -> dict[str, Any]:
        """A plugin's section as it is written, variables not replaced."""
        return dict(self.layers.at("plugins", name) or {})

    def jobs(self) -> list[str]:
        """The jobs the file defines."""
        return list(self.layers.at("jobs") or {})

    def job(self, name: str) -> JobSpec:
        """A job, or `job.unknown` with the nearest name."""
        if name not in self.jobs():
            raise self._nothing_called(name)
        return job_spec(name, self._resolved("jobs", name))

    def _nothing_called(self, name: str) -> errors.ConfigError:
        """`job.unknown`, with the nearest name, the jobs that there are, or how plugins are run by their names."""
        import difflib

        known = self.jobs()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"jobs here: {', '.join(known)}" if known else None
        hint = hint or f"there are none yet: {self.row()}"
        return errors.ConfigError("job.unknown", f"no job {name} in {self.settings_file.name}", hint=hint)

    def row(self) -> str:
        """A command that runs plugins of the project in a row, or shows the shape of one."""
        names = self.plugins()
        tap = next((name for name in names if "tap-" in name), "TAP")
        target = next((name for name in names if "target-" in name), "TARGET")
        return f"dativo run {tap} {target}"

    def steps(self, name: str) -> list[str]:
        """A job's steps as they are written."""
        return list(self.layers.at("jobs", name, "steps") or [])

    def origin(self, name: str) -> dict[str, str]:
        """Setting -> where its value stands, and which variables it comes from."""
        found = {}
        for key, value in (self.layers.at("plugins", name, "config") or {}).items():
            at = ("plugins", name, "config", key)
            _, hung = self.layers.source(at)
            place = self.layers.where(at) + (f" ({hung[0]}.{hung[1]})" if hung else "")
            via = [f"${{{variable}}} from {self.variables.origin(variable)}" for variable in references(value)]
            found[key] = " · ".join([place, *via])
        return found

    def shown_path(self, path: Path) -> str:
        """A path relative to the project where it is inside, else absolute: what the lock file records."""
        absolute = path.absolute()
        if self.file and absolute.is_relative_to(self.root):
            inside = absolute.relative_to(self.root)
            return f"./{inside}" if inside.parts else "."
        return str(absolute)

    # -- changing

    def add_plugin(
        self,
        name: str,
        *,
        kind: str | None = None,
        variant: str | None = None,
        engine: str | None = None,
        source: str | None = None,
        executable: str | None = None,
        with_: Sequence[str] = (),
        constraints: Sequence[str] = (),
        python: str | None = None,
    ) -> None:
        """Declare a plugin, or change what is declared; its config and everything else stay."""
        from dativo.config.edits import GONE, Change

        given: dict[str, Any] = {"kind": kind, "variant": variant, "source": source, "executable": executable}
        given |= {"engine": engine, "python": python, "with": list(with_) or None}
        given["constraints"] = list(constraints) or None
        at = ("plugins", name)
        changes = [Change((*at, key), GONE if value is None else value) for key, value in given.items()]
        present = all(change.value is GONE for change in changes) and name not in self.plugins()
        self._apply([*changes, *([Change(at, {})] if present else [])])

    def may_add(self, name: str) -> None:
        """Refuse, before anything is installed, a plugin that `add_plugin` could not declare. Any can be here."""

    def remove_plugin(self, name: str) -> None:
        """Remove a plugin's section, here and in the environments."""
        from dativo.config.edits import Change

        if not self.settings_file.is_file():
            return
        environments = load(self.settings_file).data.get("environments") or {}
        self._apply(
            [Change((*hung, "plugins", name)) for hung in ((), *(("environments", one) for one in environments))]
        )

    def set_config(self, name: str, key: str | tuple[str, ...], value: Any) -> None:
        """Set one setting (a tuple is a path into nested settings), in the chosen environment if there is one."""
        from dativo.config.edits import Change

        self._apply([Change((*self._section(name), "config", *_path(key)), value)])

    def unset_config(self, name: str, key: str | tuple[str, ...]) -> None:
        """Remove one setting; `config.unknown` when it is not set in the file."""
        from dativo.config.edits import Change

        at = (*self._section(name), "config", *_path(key))
        found: Any = load(self.settings_file).data if self.settings_file.is_file() else {}
        for part in at[:-1]:
            found = found.get(part) if isinstance(found, dict) else {}
        if not isinstance(found, dict) or at[-1] not in found:
            shown = ".".join(_path(key))
            raise errors.ConfigError(
                "config.unknown", f"{name}: {shown} is not set in {self.settings_file.name}", hint="nothing to unset"
            )
        self._apply([Change(at)])

    def set_sandbox(self, name: str, sandbox: Mapping[str, Any]) -> None:
        """Replace what the project's owner grants to a plugin; nothing at all removes the section."""
        from dativo.config.edits import GONE, Change

        at = ("plugins", name, "sandbox")
        there = self.declared(name).get("sandbox") or {}
        changes = [Change((*at, key)) for key in there if key not in sandbox]
        changes += [Change((*at, key), value) for key, value in sandbox.items() if there.get(key) != value]
        self._apply(changes if sandbox else [Change(at, GONE)])

    def set_select(self, name: str, patterns: Sequence[str]) -> None:
        """Replace a plugin's selection patterns; none at all removes the key."""
        from dativo.config.edits import GONE, Change

        self._apply([Change((*self._section(name), "select"), list(patterns) or GONE)])

    def set_metadata(self, name: str, stream: str, key: str, value: Any) -> None:
        """Set one metadata value of a stream (`replication-method`, …); None removes it."""
        from dativo.config.edits import GONE, Change

        self._apply([Change((*self._section(name), "metadata", stream, key), GONE if value is None else value)])

    # -- inside

    def _resolved(self, section: str, name: str) -> dict[str, Any]:
        at: KeyPath = (section, name)
        value = self.variables.resolve(self.layers.at(section, name) or {}, self.layers, at)
        assert isinstance(value, dict)
        return value

    def _section(self, name: str) -> tuple[str, ...]:
        return ("environments", self.env, "plugins", name) if self.env else ("plugins", name)

    def _apply(self, changes: Sequence[Change]) -> None:
        from dativo.config import edits

        edits.apply(self.settings_file, changes)
        self.__dict__.pop("layers", None)

    def _check_environment(self, env: str) -> None:
        found: Mapping[str, Any] = {}
        if self.settings_file.is_file():
            found = load(self.settings_file).data.get("environments") or {}
        if env not in found:
            import difflib

            near = difflib.get_close_matches(env, found, n=1)
            hint = f"did you mean {near[0]}?" if near else "environments here: " + (", ".join(found) or "none")
            raise errors.ConfigError("project.invalid", f"no environment {env} in {self.settings_file.name}", hint=hint)


def _parts(plugins: Mapping[str, Any], *, keep: bool) -> dict[str, Any]:
    """What a job file's plugins say about limits and sandbox, which only tightens; or all the rest of them."""
    tightening = ("limits", "sandbox")
    return {name: {key: value for key, value in (section or {}).items() if (key in tightening) is keep}
            for name, section in plugins.items()}  # fmt: skip


def _path(key: str | tuple[str, ...]) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else key


def _spelt(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nearest(here: Path) -> Path | None:
    """The dativo.yml or meltano.yml of a folder, or of the nearest above it."""
    places = (folder / name for folder in (here, *here.parents) for name in (FILE, MELTANO))
    return next((place for place in places if place.is_file()), None)


def meltano_file() -> Path | None:
    """The meltano.yml that commands here work with; None in a project of another kind, and outside of any."""
    try:
        found = _nearest(working_directory().absolute())
    except (errors.DativoError, OSError):
        return None
    return found if found is not None and found.name == MELTANO else None


def working_directory() -> Path:
    """The working directory, or an error when it has been removed."""
    try:
        return Path(os.getcwd())  # noqa: PTH109 - the error is the point
    except FileNotFoundError as problem:
        raise errors.EnvironmentFault("env.read_only", "the working directory is gone") from problem
