"""The pipelines of a script as a draft: a plugin for each program with its files, a job for each pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.environment import VARIABLES
from dativo.migrate import clear, reading, settings
from dativo.migrate.draft import Draft
from dativo.migrate.reading import UnreadableError
from dativo.migrate.report import LEFT, Report
from dativo.migrate.settings import Settings, plain
from dativo.migrate.shell import crontab, packages
from dativo.migrate.shell.catalog import today
from dativo.migrate.shell.packages import Package
from dativo.migrate.shell.script import Pipeline, Script
from dativo.migrate.shell.stage import Stage
from dativo.migrate.shell.words import Scope, Word
from dativo.migrate.shell.writing import normal
from dativo.secrets import names

MAX_SCRIPT = 1 << 20
MOST_PIPELINES = 500
ENVIRONMENT = "ENV"
_OURS = {one.name for one in VARIABLES}
_KEPT_BACK = re.compile(r"PATH|HOME|TMPDIR|IFS|SHELL|PWD|USER|(LD|PYTHON|BASH|GIT|VIRTUAL|DATIVO)_?.*")
_OWN = "plugins get one of their own from Dativo"


def draft(script: Path, folder: Path | None, into: Path) -> Draft:
    """The draft of a script. `folder` is where it is started (its own folder), `into` where dativo.yml is to be."""
    report = Report()
    try:
        text = reading.text(script, MAX_SCRIPT)
    except UnreadableError as problem:
        raise errors.ConfigError("import.invalid", f"{script}: {problem}", hint="name a shell script") from None
    own = script.absolute().parent
    read = Script(report, script.name, Scope(own, (folder or own).absolute()))
    cron = crontab.entries(text, script)
    if cron:
        read.read_crontab(cron)
    else:
        read.read(text)
    if len(read.pipelines) > MOST_PIPELINES:
        raise errors.ConfigError(
            "import.invalid", f"{script} has more than {MOST_PIPELINES:,} pipelines", hint="split it"
        )
    return _Project(read, into.absolute()).draft()


class _Project:
    def __init__(self, script: Script, into: Path) -> None:
        self.script, self.report, self.into = script, script.report, into
        self.settings = Settings(script.report, into)
        self.plugins: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.bookmarks: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.seen: dict[str, str] = {}
        """What a plugin is made of -> its name."""

    def draft(self) -> Draft:
        for pipeline in self.script.pipelines:
            self._job(pipeline)
        project = {"plugins": self.plugins, "jobs": self.jobs} if self.jobs else {}
        return Draft(project, self.report, {**self.files, **self.settings.lines()}, self.bookmarks)

    def _job(self, pipeline: Pipeline) -> None:
        steps = [self._plugin(stage, pipeline) for stage in pipeline.stages]
        job = reading.called(f"{'-'.join(steps[:-1])}-to-{steps[-1]}", taken=tuple(self.jobs))
        self.jobs[job] = {"steps": steps}
        what = " | ".join(stage.name for stage in pipeline.stages)
        self.report.changed(self.script.where(pipeline.line), what, f"jobs.{job}", f"run with: dativo run {job}")
        if pipeline.when:
            self.jobs[job]["schedule"] = plain(pipeline.when)
            self.report.scheduled(self.script.where(pipeline.line), pipeline.when, job)
        self._state(pipeline, job)

    # -- plugins

    def _plugin(self, stage: Stage, pipeline: Pipeline) -> str:
        given, rest = stage.given()
        env = {**pipeline.env, **stage.env}
        named = stage.name.replace("_", "-").lower().removesuffix(".py")
        size = len(self.report.entries)
        config, where = self._config(stage, named, given.get("config", []), pipeline, env)
        package = self._package(stage, pipeline, config)
        plugin = reading.called(named, taken=tuple(self.plugins))
        became = f"plugins.{plugin}"
        chosen = self._catalog(stage, given.get("catalog", []), pipeline) if stage.kind == "tap" else None
        whole = json.dumps([named, package.source, package.variant, config, chosen, env], sort_keys=True)
        if whole in self.seen:  # the same program with the same files: one plugin for both
            before, since = self.report.entries[:size], self.report.entries[size:]
            self.report.entries[size:] = [one for one in since if one.fate == LEFT and one not in before]
            self.report.taken(self.script.where(stage.line), stage.name, f"plugins.{self.seen[whole]}")
            self._left_words(stage, self.seen[whole], rest)
            return self.seen[whole]
        self.seen[whole] = plugin
        self.report.changed(self.script.where(stage.line), stage.name, became, f"installed as {package.told}")
        section = self.plugins[plugin] = self._origin(package, named, plugin)
        if stage.kind == "mapper":
            section["kind"] = "mapper"
        local = settings.paths(config)
        if local and pipeline.here.resolve() != self.into.resolve():
            unmoved, config = config, settings.rebased(config, pipeline.here)
            if config != unmoved:
                why = f"relative paths begin in {pipeline.here}: they are written out"
                self.report.changed(where, ", ".join(local), f"{became}.config", why)
        schema = package.entry.settings if package.entry else {}
        made = self.settings.config(plugin, config, where=where, what="config", schema=schema)
        if made:
            section["config"] = made
        if local and not (package.entry and package.entry.permissions):
            word = "read" if stage.kind == "tap" else "write"
            section["sandbox"] = {word: [f"{{config:{key}}}" for key in local]}
            why = "the script's plugins may use every file: this one is granted what its settings name"
            self.report.changed(where, ", ".join(local), f"{became}.sandbox.{word}", why)
        if chosen is not None:
            section["catalog"] = self._keep_catalog(stage, plugin, *chosen)
        self._environment(stage, plugin, section, env)
        self._left_words(stage, plugin, rest)
        return plugin

    @staticmethod
    def _origin(package: Package, named: str, plugin: str) -> dict[str, Any]:
        """`variant` and `source` of a plugin's section; a second plugin of one name needs a source."""
        section: dict[str, Any] = {"variant": package.variant} if package.variant and plugin == named else {}
        source = package.source or (package.entry.package if package.entry and plugin != named else None)
        section |= {} if source in (None, plugin) else {"source": source}
        return section | ({"executable": package.executable} if package.executable else {})

    def _left_words(self, stage: Stage, plugin: str, words: list[Word]) -> None:
        for word in words:
            flag = (word.text or "").partition("=")[0]
            what = flag if flag.startswith("-") else "an argument"
            ours = f"a setting: put it into plugins.{plugin}.config" if stage.ours else ""
            why = word.why or ours or "plugins get no arguments of their own"
            self.report.left(self.script.where(stage.line), f"{stage.name}: {what}", why)

    def _package(self, stage: Stage, pipeline: Pipeline, config: Mapping[str, Any]) -> Package:
        assert stage.program is not None
        program = pipeline.here / stage.program if stage.script or len(stage.program.parts) > 1 else None
        if program is None and pipeline.venv is not None and reading.exists(pipeline.venv / "bin" / stage.name):
            program = pipeline.venv / "bin" / stage.name
        if program is not None and (home := packages.environment(program)) is not None:
            found = packages.of_environment(home, stage.name)
            if found is not None:
                return found
        elif program is not None and reading.is_file(program):
            return Package(str(program), None, packages.of_script(program))
        elif stage.script:
            return Package(str(program), None, "the script that it is, which is not there")
        return packages.of_index(stage.name, config)

    # -- files

    def _file(self, stage: Stage, words: list[Word], what: str, here: Path) -> Path | None:
        if not words:
            return None
        word = words[-1]
        if word.text is None:
            self.report.left(self.script.where(stage.line), f"{stage.name}: its {what}", f"which file: {word.why}")
            return None
        return here / word.text

    def _config(
        self, stage: Stage, named: str, words: list[Word], pipeline: Pipeline, env: dict[str, str | None]
    ) -> tuple[dict[str, Any], str]:
        """The settings, and the name of the file that they are from."""
        config: dict[str, Any] = {}
        where = self.script.where(stage.line)
        if any(word.text == ENVIRONMENT for word in words):
            config |= self._from_environment(named, env, where)
        for word in words:
            path = None if word.text == ENVIRONMENT else self._file(stage, [word], "config", pipeline.here)
            if path is None:
                continue
            try:
                config |= self._object(path, pipeline)
                where = path.name
            except UnreadableError as problem:
                self.report.left(path.name, f"{stage.name}: its config", str(problem))
        return config, where

    @staticmethod
    def _object(path: Path, pipeline: Pipeline) -> dict[str, Any]:
        """A JSON file as it is when the pipeline runs."""
        written = pipeline.written.get(normal(path))
        return reading.json_object(path) if written is None else reading.object_of(written)

    @staticmethod
    def _from_environment(named: str, env: dict[str, str | None], where: str) -> dict[str, Any]:
        prefix = named.upper().replace("-", "_") + "_"
        found: dict[str, Any] = {}
        for name in [one for one in env if one.startswith(prefix)]:
            value = env.pop(name)
            if value is not None:
                found[name.removeprefix(prefix).lower()] = value
        return found

    def _catalog(self, stage: Stage, words: list[Word], pipeline: Pipeline) -> tuple[str, dict[str, Any]] | None:
        """The catalog file's name and what is in it."""
        path = self._file(stage, words, "catalog", pipeline.here)
        if path is None:
            return None
        try:
            return path.name, today(self._object(path, pipeline))
        except (UnreadableError, ValueError) as problem:
            self.report.left(path.name, f"{stage.name}: its catalog", str(problem))
            return None

    def _keep_catalog(self, stage: Stage, plugin: str, name: str, catalog: dict[str, Any]) -> str:
        file = f"catalogs/{plugin}.json"
        self.files[file] = json.dumps(catalog, indent=1, ensure_ascii=False) + "\n"
        why = "kept as it is; without it streams are discovered by each run, and chosen with `dativo select`"
        self.report.changed(name, f"{stage.name}: its catalog", f"plugins.{plugin}.catalog: {file}", why)
        return file

    # -- the environment

    def _environment(self, stage: Stage, plugin: str, section: dict[str, Any], env: Mapping[str, str | None]) -> None:
        found: dict[str, str] = {}
        for name, value in env.items():
            where = self.script.where(stage.line)
            if name in _OURS or _KEPT_BACK.fullmatch(name):
                self.report.left(where, f"{stage.name}: ${name}", _OWN)
            elif value is None:
                section.setdefault("pass_env", []).append(name)
                why = "its value is not known here: it is taken from the environment of `dativo run`"
                self.report.changed(where, f"{stage.name}: ${name}", f"plugins.{plugin}.pass_env", why)
            elif any(names.inline(name, value, {})) or clear.in_address(value):
                reference = self.settings.secret("", name, value)
                if reference is None:
                    self.report.left(where, f"{stage.name}: ${name}", "a secret with characters that .env cannot hold")
                    continue
                variable = reference.rpartition("/")[2]
                found[name] = f"${{{variable}}}"
                why = f"a secret: its value is in .env as {variable}"
                self.report.changed(where, f"{stage.name}: ${name}", f"plugins.{plugin}.env.{name}", why)
            else:
                found[name] = plain(value)
                self.report.taken(where, f"{stage.name}: ${name}", f"plugins.{plugin}.env.{name}")
        if found:
            section["env"] = found

    # -- the state

    def _state(self, pipeline: Pipeline, job: str) -> None:
        tap, target = pipeline.stages[0], pipeline.stages[-1]
        given = self._file(tap, tap.given()[0].get("state", []), "state", pipeline.here)
        where = self.script.where(pipeline.line)
        if given is None:
            self.jobs[job]["full_refresh"] = True
            why = (
                "its tap gets no state: each run reads everything; take full_refresh out and runs go on at the bookmark"
            )
            self.report.changed(where, f"{tap.name} without --state", f"jobs.{job}.full_refresh", why)
            return
        if normal(given) in pipeline.written:
            why = "the script writes it anew each time: set the bookmark with `dativo state set`"
            self.report.left(given.name, f"{job}: its state", why)
            return
        out = pipeline.here / target.stdout if target.stdout else None
        for path in dict.fromkeys([given, *self._behind(given, out), *([out] if out else [])]):
            if not reading.exists(path):
                continue
            try:
                state = reading.state_text(path)
            except UnreadableError as problem:
                self.report.left(path.name, f"{job}: its state", str(problem))
                return
            if state is not None:
                self.bookmarks[job] = state
                self.report.taken(path.name, f"{job}: its state", f"the bookmark of {job}")
                return
        self.report.left(given.name, f"{job}: its state", "there is none yet: the first run reads from the start")

    def _behind(self, given: Path, out: Path | None) -> list[Path]:
        """The files that the target's states pass through on their way to the tap's state file."""
        found: list[Path] = []
        wanted = {given}
        for origin, goal in reversed(self.script.flows):
            if goal in wanted and origin != out:
                wanted.add(origin)
                found.append(origin)
        return found
