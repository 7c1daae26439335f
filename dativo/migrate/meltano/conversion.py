"""The draft for a Meltano project: its plugins, jobs and environments, its secrets and bookmarks, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.meltano.blocks import Pipeline
from dativo.config.meltano.expansion import variable
from dativo.config.meltano.files import FILE
from dativo.config.meltano.project import MeltanoProject
from dativo.migrate.draft import Draft
from dativo.migrate.meltano import inventory, jobs, marks, sections
from dativo.migrate.meltano.sections import Section, difference
from dativo.migrate.meltano.texts import HERE, ROOT, line
from dativo.migrate.report import Report

_IN_WORDS = "a date in words moves with the day, which only Meltano's settings do: write a date, or ${VARIABLE}"
NO_ENVIRONMENT = "null"
OF_ENV = variable("env", "x").removesuffix("X")


def convert(root: Path, folder: Path) -> Draft:
    """The draft of a dativo.yml in `folder`. The user's own environment variables are not looked at."""
    if not (root / FILE).is_file():
        raise errors.ConfigError("import.invalid", f"{root} holds no {FILE}", hint="name the project's folder")
    return _Conversion(root, folder).draft()


class _Conversion:
    def __init__(self, root: Path, folder: Path) -> None:
        self.project = MeltanoProject(root, NO_ENVIRONMENT, process={})
        self.folder = folder
        self.report = Report()
        self.sections: dict[str, Section] = {}
        self.inside = {env: MeltanoProject(root, env, process={}) for env in self.project.environments}
        self.sections_of: dict[str, dict[str, Section]] = {}
        """Environment -> word -> its section there."""
        self.told: set[str] = set()
        self.prefixes: dict[str, None] = {}
        self.used: dict[str, None] = {}
        self.secrets: dict[str, str] = {}

    def draft(self) -> Draft:
        files, report = self.project.files, self.report
        words = self.project.plugins()  # raises for a file that is no project, before anything is said of it
        inventory.top(files, report)
        inventory.plugins(files, report)
        self.told = sections.names_told(self.project, words)
        for word in words:
            self._plugin(word)
        if self.prefixes:
            inventory.warn_of_variables(report, list(self.prefixes))
        inventory.environments(files, report)
        environments = {env: self._environment(env) for env in self.project.environments}
        made = jobs.of(self.project, report)
        for name, pipeline in made.pipelines.items():
            self._told(name, made.data[name], pipeline, environments)
        for found in (self.sections, *self.sections_of.values()):
            for word, section in found.items():
                self._untold(word, section, made.pipelines.values())
        bookmarks = marks.of(self.project, made.pipelines, report)
        data: dict[str, Any] = {
            **self.project.layers.data,
            "plugins": {word: section.data for word, section in self.sections.items()},
            "jobs": made.data,
            "environments": environments,
        }
        env = self._dotenv()
        return Draft(
            {key: value for key, value in data.items() if value},
            report,
            files={".env": env} if env else {},
            of_environments=bookmarks,
            environment=self._chosen(),
        )

    def _chosen(self) -> str | None:
        """`default_environment`, where there is such an environment."""
        name = self.project.setting("default_environment")
        return str(name) if name in self.inside else None

    def _plugin(self, word: str) -> None:
        where = FILE
        try:
            plugin = self.project.plugins_known.named(word)
            where = plugin.where
            if word != word.lower():
                self.report.left(where, word, "a plugin's name is in small letters here: rename it")
                return
            section = sections.of(self.project, word, self.folder, self.secrets, self.told)
        except errors.DativoError as problem:
            self.report.left(where, word, problem.message)
            return
        self.sections[word] = section
        if section.package_fault:
            self.report.left(where, f"{word}.pip_url", f"{section.package_fault}; add it: dativo add … --as {word}")
        for name in section.in_words:
            self.report.left(where, f"{word}.{name}", _IN_WORDS)
        for note in section.notes:
            self.report.changed(where, f"{word}: pip_url", f"plugins.{word}.source", note)
        self.prefixes |= dict.fromkeys(plugin.variables())
        for name in section.secrets:
            self._secret(f"{word}: ", where, name)
        for name in section.texts.replaced:
            if name != ROOT or not section.texts.here:
                self.report.changed(where, f"{word}: ${name}", f"plugins.{word}", "is written out")
                continue
            why = "the folder that it is run in; set the variable to run it from another"
            self.report.changed(FILE, f"${name}", HERE, why)
        self._note(section)

    def _note(self, section: Section) -> None:
        self.used |= section.texts.used
        self.secrets |= section.secrets

    def _environment(self, env: str) -> dict[str, Any]:
        """What lies over the plugins in one environment; its bookmarks are a store of their own."""
        inside = self.inside[env]
        found = {}
        self.sections_of[env] = {}
        for word, base in self.sections.items():
            try:
                section = sections.of(inside, word, self.folder, self.secrets, self.told)
            except errors.DativoError as problem:
                self.report.left(FILE, f"environments.{env}: {word}", problem.message)
                continue
            self._note(section)
            self.sections_of[env][word] = section
            for name in section.in_words:
                if name not in self.sections[word].in_words:
                    self.report.left(FILE, f"environments.{env}: {word}.{name}", _IN_WORDS)
            for name in section.secrets:
                if name not in self.sections[word].secrets:
                    self._secret(f"environments.{env}: {word}: ", FILE, name)
            over = difference(base.data, section.data)
            if over:
                found[word] = over
        return {"state": {"path": f".dativo/{env}.db"}, **({"plugins": found} if found else {})}

    def _secret(self, whose: str, where: str, name: str) -> None:
        """Said once of a variable of `env:`, which every plugin has."""
        if name.startswith(OF_ENV):
            where, whose = FILE, f"{whose.partition(':')[0]}: " if whose.startswith("environments.") else ""
        self.report.changed(where, f"{whose}a secret in clear", f".env: {name}", "dativo.yml names the variable")

    def _told(
        self, name: str, job: dict[str, Any], pipeline: Pipeline, environments: dict[str, dict[str, Any]]
    ) -> None:
        """A job's settings that are made of what one of its plugins tells another, in each environment."""
        of_run: dict[str, dict[str, list[str]]] = {}
        for found in (self.sections, *self.sections_of.values()):
            for word in pipeline.steps:
                if word in found:
                    of_run.setdefault(word, {}).update(found[word].of_run)
        base = self._spoken(self.project, self.sections, pipeline, of_run)
        if base:
            job["plugins"] = base
        for word, settings in of_run.items():
            for setting, variables in settings.items():
                self.report.changed(
                    self.project.plugins_known.named(word).where, f"{word}.{setting}",
                    f"jobs.{name}.plugins.{word}.config", f"is made of {', '.join(f'${one}' for one in variables)}",
                )  # fmt: skip
        for env, inside in self.inside.items():
            over = difference(base, self._spoken(inside, self.sections_of[env], pipeline, of_run))
            if over:
                environments[env].setdefault("jobs", {})[name] = {"plugins": over}

    @staticmethod
    def _spoken(
        project: MeltanoProject, found: dict[str, Section], pipeline: Pipeline, of_run: dict[str, dict[str, list[str]]]
    ) -> dict[str, Any]:
        told: dict[str, str] = {}
        made = {}
        for word in pipeline.steps:
            if word not in found:
                continue
            config = sections.spoken(project, found[word], of_run.get(word, {}), told)
            if config:
                made[word] = {"config": config}
            told |= sections.told(project, found[word])
        return made

    def _untold(self, word: str, section: Section, pipelines: Any) -> None:
        if section.of_run and not any(word in one.steps for one in pipelines):
            for setting, names in section.of_run.items():
                self.report.left(FILE, f"{word}.{setting}", f"needs a job that says {', '.join(names)}")

    def _dotenv(self) -> str:
        """Secrets that stood in clear; in another folder, the variables of .env that are used too."""
        known = self.project.dotenv
        for name in self.used:
            if name not in known and name not in self.secrets and name != ROOT:
                self.report.changed(
                    FILE, f"${name}", f"${{{name}}}", "must be set when it runs; Meltano would take no text for it"
                )
        needed = {name: known[name] for name in self.used if name in known and self.folder != self.project.root}
        there = known if self.folder == self.project.root else {}
        secrets = {name: value for name, value in self.secrets.items() if name not in there}
        if needed:
            self.report.changed(".env", ", ".join(needed), ".env", "copied, so that it can be run there")
        return "".join(line(name, value) for name, value in {**needed, **secrets}.items())
