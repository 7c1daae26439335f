"""`dativo check`: whether the jobs and plugins of a project can be run, and whether they are the right tool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.config.specs import JobSpec
    from dativo.plugins.advice import Advice
    from dativo.plugins.lockfile import Lock


@dataclass(frozen=True)
class Finding:
    """What became of one job or plugin."""

    what: str
    name: str
    problem: errors.DativoError | None = None
    advice: Sequence[Advice] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "what": self.what,
            "name": self.name,
            "ok": self.problem is None,
            "problem": self.problem.as_dict() if self.problem else None,
            "warnings": [asdict(one) for one in self.advice],
        }


@click.command(
    name="check",
    help="""\b
  dativo check
  dativo check shop
  dativo check nightly.yml --strict

Check jobs and plugins without starting anything or reading a secret: that their plugins are installed and fit together,
that settings and permissions are complete, and whether a plugin of your own does what a connector of the registry does,
or a connector is bent into what should be a plugin. Those are warnings; with --strict they end with exit 2 as well.
""",
    epilog="docs/guides/choosing-a-plugin.md",
)
@click.argument("names", nargs=-1, metavar="[JOB | JOB.yml]…")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@options.env_option
@options.json_option
@options.verbosity_options
def command(*, names: tuple[str, ...], strict: bool, env: str | None) -> int:
    """Check them all, then say what is wrong."""
    from dativo.config.project import Project

    found = list(_named(names, env) if names else _everything(Project.find(env=env)))
    wrong = [one.problem for one in found if one.problem is not None]
    warnings = sum(len(one.advice) for one in found)
    code = wrong[0].exit_code if wrong else 2 if strict and warnings else 0
    data = {"ok": code == 0, "errors": len(wrong), "warnings": warnings, "checked": [one.as_dict() for one in found]}
    report.result(data, lambda: _lines(found, len(wrong), warnings))
    return code


def _everything(project: Project) -> Iterator[Finding]:
    from dativo.plugins import lockfile

    lock = lockfile.headers(project.lock_file)
    yield from (_job(project, lock, name) for name in project.jobs())
    yield from (_plugin(project, lock, name) for name in sorted({*lock.plugins, *project.plugins()}))


def _named(names: Sequence[str], env: str | None) -> Iterator[Finding]:
    """Jobs by name or file, each with its plugins."""
    from dativo.config.project import Project
    from dativo.plugins import lockfile

    for name in names:
        is_file = name.endswith((".yml", ".yaml")) or Path(name).is_file()
        project, spec = Project.from_job_file(Path(name), env) if is_file else (Project.find(env=env), None)
        lock = lockfile.headers(project.lock_file)
        finding = _job(project, lock, name, spec)
        yield finding
        steps = spec.steps if spec is not None else project.steps(name)
        yield from (_plugin(project, lock, one) for one in dict.fromkeys(steps) if one in lock.plugins)


def _job(project: Project, lock: Lock, name: str, spec: JobSpec | None = None) -> Finding:
    """A job as `dativo run` would prepare it; all of its pipelines, where it is several."""
    from dativo.plugins import advice
    from dativo.run import engine
    from dativo.run.job import Job, planned
    from dativo.run.options import RunOptions

    remarks: list[Advice] = []
    try:
        for one in [spec] if spec is not None else project.run_specs([name]):
            wanted = engine.applied(project, one)
            kinds = {step: lock.plugins[step].kind for step in wanted.steps if step in lock.plugins}
            remarks += advice.of_job(wanted, kinds)
            planned(Job(project, wanted, RunOptions()))
    except errors.DativoError as problem:
        return Finding("job", name, problem, remarks)
    return Finding("job", name, None, remarks)


def _plugin(project: Project, lock: Lock, name: str) -> Finding:
    """A plugin as it is locked and configured; settings that it lacks may still be given when it is run."""
    from dativo.plugins import advice
    from dativo.plugins.installed import installed
    from dativo.plugins.registry.index import everything

    try:
        installed(project, name)
        return Finding("plugin", name, None, advice.of_plugin(project, lock.plugins[name], everything()))
    except errors.DativoError as problem:
        return Finding("plugin", name, problem)


def _lines(found: Sequence[Finding], wrong: int, warnings: int) -> Iterator[str]:
    if not found:
        yield "  there is nothing to check: no jobs, no plugins"
        return
    words = [["error" if one.problem else "warning" if one.advice else "ok", one.what, one.name] for one in found]
    yield from report.columns(words)
    for one in found:
        if one.problem is not None:
            yield f"  {one.name}: [{one.problem.code}] {report.clean(one.problem.message)}"
            yield from (
                f"    {report.clean(line)}" for line in (*one.problem.details, one.problem.remedy or "") if line
            )
        for remark in one.advice:
            yield f"  {remark.about}: {report.clean(remark.message)}"
            yield f"    {remark.hint}"
    yield f"  {_count(wrong, 'error')}, {_count(warnings, 'warning')}"


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
