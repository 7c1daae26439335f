"""The draft for a Meltano project: its plugins, jobs and environments, its secrets and bookmarks, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.meltano.blocks import Pipeline
from dativo.config.meltano.expansion import mapped
from dativo.config.meltano.files import FILE
from dativo.config.meltano.kinds import configured
from dativo.config.meltano.project import MeltanoProject
from dativo.migrate.draft import Draft
from dativo.migrate.meltano import inventory, jobs, marks, sections
from dativo.migrate.meltano.sections import Section, difference
from dativo.migrate.meltano.texts import line
from dativo.migrate.report import Report

_IN_WORDS = "a date in words moves with the day, which only Meltano's settings do: write a date, or ${VARIABLE}"
NO_ENVIRONMENT = "null"


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
        self.used: dict[str, None] = {}
        self.secrets: dict[str, str] = {}

    def draft(self) -> Draft:
        files, report = self.project.files, self.report
        words = self.project.plugins()  # raises for a file that is no project, before anything is said of it
        inventory.top(files, report)
        inventory.plugins(files, report)
        for word in words:
            self._plugin(word)
        inventory.environments(files, report)
        environments = {env: self._environment(env) for env in self.project.environments}
        made = jobs.of(self.project, report)
        for name, pipeline in made.pipelines.items():
            self._told(name, made.data[name], pipeline)
        for word, section in self.sections.items():
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
        )

    def _plugin(self, word: str) -> None:
        where = FILE
        try:
            plugin = self.project.plugins_known.named(word)
            where = plugin.where
            if word != word.lower():
                self.report.left(where, word, "a plugin's name is in small letters here: rename it")
                return
            section = sections.of(self.project, word, self.folder, self.secrets)
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
        inventory.warn_of_variables(self.report, word, plugin.variables())
        for name, _ in section.secrets.items():
            self.report.changed(where, f"{word}: a secret in clear", f".env: {name}", "dativo.yml names the variable")
        for name in section.texts.replaced:
            self.report.changed(where, f"{word}: ${name}", f"plugins.{word}", "is written out")
        self._note(section)

    def _note(self, section: Section) -> None:
        self.used |= section.texts.used
        self.secrets |= section.secrets

    def _environment(self, env: str) -> dict[str, Any]:
        """What lies over the plugins in one environment; its bookmarks are a store of their own."""
        inside = MeltanoProject(self.project.root, env, process={})
        found = {}
        for word, base in self.sections.items():
            try:
                section = sections.of(inside, word, self.folder, self.secrets)
            except errors.DativoError as problem:
                self.report.left(FILE, f"environments.{env}: {word}", problem.message)
                continue
            self._note(section)
            for name in section.in_words:
                if name not in self.sections[word].in_words:
                    self.report.left(FILE, f"environments.{env}: {word}.{name}", _IN_WORDS)
            for name in section.secrets:
                if name not in self.sections[word].secrets:
                    what = f"environments.{env}: {word}: a secret in clear"
                    self.report.changed(FILE, what, f".env: {name}", "dativo.yml names the variable")
            over = difference(base.data, section.data)
            if over:
                found[word] = over
        return {"state": {"path": f".dativo/{env}.db"}, **({"plugins": found} if found else {})}

    def _told(self, name: str, job: dict[str, Any], pipeline: Pipeline) -> None:
        """A job's settings that are made of what one of its plugins tells another."""
        told: dict[str, str] = {}
        for word in pipeline.steps:
            section = self.sections.get(word)
            if section is None:
                continue
            values = self.project.values(word, told)
            found = {}
            for one in values.settings:
                if one.name in section.of_run:
                    found[one.name] = mapped(values.get(one).value, lambda text: text.replace("$", "$$"))
                    self.report.changed(
                        values.plugin.where, f"{word}.{one.name}", f"jobs.{name}.plugins.{word}.config",
                        f"is made of {', '.join('$' + variable for variable in section.of_run[one.name])}",
                    )  # fmt: skip
            config = configured(found)
            if config:
                job.setdefault("plugins", {})[word] = {"config": config}
            told |= values.told

    def _untold(self, word: str, section: Section, pipelines: Any) -> None:
        if section.of_run and not any(word in one.steps for one in pipelines):
            for setting, names in section.of_run.items():
                self.report.left(FILE, f"{word}.{setting}", f"needs a job that says {', '.join(names)}")

    def _dotenv(self) -> str:
        """Secrets that stood in clear; in another folder, the variables of .env that are used too."""
        known = self.project.dotenv
        for name in self.used:
            if name not in known and name not in self.secrets:
                self.report.changed(
                    FILE, f"${name}", f"${{{name}}}", "must be set when it runs; Meltano would take no text for it"
                )
        needed = {name: known[name] for name in self.used if name in known and self.folder != self.project.root}
        there = known if self.folder == self.project.root else {}
        secrets = {name: value for name, value in self.secrets.items() if name not in there}
        if needed:
            self.report.changed(".env", ", ".join(needed), ".env", "copied, so that it can be run there")
        return "".join(line(name, value) for name, value in {**needed, **secrets}.items())
