"""Meltano's jobs and schedules as jobs of dativo.yml: one for each pipeline of their tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.config.meltano.blocks import Pipeline, cron
from dativo.config.meltano.definitions import RUNNABLE
from dativo.config.meltano.project import MeltanoProject, job_annotations
from dativo.dataclass import dataclass
from dativo.migrate.meltano import inventory
from dativo.migrate.report import Report


@dataclass
class Jobs:
    """The jobs by name, and the pipeline that each is."""

    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    of_job: dict[str, list[str]] = field(default_factory=dict)
    """A job of Meltano -> what it became."""

    def add(self, name: str, found: list[Pipeline], more: Mapping[str, Any]) -> list[str]:
        """A job for each pipeline; the only one is called as it was."""
        names = [name] if len(found) == 1 else [f"{name}-{number}" for number in range(1, len(found) + 1)]
        for called, one in zip(names, found, strict=True):
            self.data[called] = {"steps": list(one.steps), **more}
            self.pipelines[called] = one
        self.of_job[name] = names
        return names


def of(project: MeltanoProject, report: Report) -> Jobs:
    """The jobs of a project."""
    jobs = Jobs()
    for index, (entry, where) in enumerate(project.files.items("jobs")):
        name = entry["name"]
        for key, value in entry.items():
            if key == "annotations":
                inventory.annotated(report, where, f"jobs.{name}.annotations", value, f"jobs.{name}")
            elif key not in ("name", "tasks"):
                at = project.files.where(("jobs",), index, key)
                report.left(at, f"jobs.{name}.{key}", "is no key of a job")
        found = _pipelines(project, name, where, report)
        if not found:
            report.left(where, f"jobs.{name}", "none of its tasks moves data from a tap to a target")
            continue
        names = jobs.add(name, found, job_annotations(entry, where))
        became = ", ".join(f"jobs.{one}" for one in names)
        if len(names) == 1:
            report.taken(where, f"jobs.{name}", became)
        else:
            report.changed(where, f"jobs.{name}", became, "one job a pipeline: run them in this order")
    for entry, where in project.files.items("schedules"):
        _schedule(project, entry, where, jobs, report)
    return jobs


def _pipelines(project: MeltanoProject, name: str, where: str, report: Report) -> list[Pipeline]:
    """The pipelines of a job's tasks; what else is in them is left, and said."""
    kept = []
    try:
        for word in project.blocks.tasks(name):
            kind = project.plugins_known.kind(word.partition(":")[0])
            if ":" in word or kind not in RUNNABLE:
                why = (
                    "is a command"
                    if ":" in word
                    else "there is no such plugin"
                    if kind is None
                    else f"is of the {kind}"
                )
                report.left(where, f"jobs.{name}: {word}", f"{why}: not Dativo's to run")
            else:
                kept.append(word)
        return project.blocks.of(kept) if kept else []
    except errors.DativoError as problem:
        report.left(where, f"jobs.{name}", problem.message)
        return []


def _schedule(project: MeltanoProject, entry: dict[str, Any], where: str, jobs: Jobs, report: Report) -> None:
    name = entry["name"]
    what = f"schedules.{name}"
    _schedule_keys(entry, where, what, report)
    try:
        when = cron(entry.get("interval"), where)
        if entry.get("job") is not None:
            names = jobs.of_job.get(str(entry["job"]), [])
        else:
            names = jobs.add(name, project.blocks.of_schedule(name), {})
    except errors.DativoError as problem:
        report.left(where, what, problem.message)
        return
    if not names:
        report.left(where, what, "its job became nothing")
    elif when is None:
        report.left(where, f"{what}.interval", f"is no time: run it by hand: dativo run {names[0]}")
    elif any("schedule" in jobs.data[one] for one in names):
        report.left(where, what, "its job has a schedule already; a job has one")
    else:
        _scheduled(where, what, {one: jobs.data[one] for one in names}, when, report)


def _scheduled(where: str, what: str, jobs: dict[str, dict[str, Any]], when: str, report: Report) -> None:
    became = ", ".join(f"jobs.{one}.schedule" for one in jobs)
    for data in jobs.values():
        data["schedule"] = when
    if len(jobs) == 1:
        report.taken(where, what, became)
    else:
        report.changed(where, what, became, "each starts at that time, not one after the other")


def _schedule_keys(entry: Mapping[str, Any], where: str, what: str, report: Report) -> None:
    for key in entry:
        if key not in ("name", "interval", "job", "extractor", "loader", "transform", "env", "start_date"):
            report.left(where, f"{what}.{key}", "is no key of a schedule")
    for variable, value in (entry.get("env") or {}).items():
        hint = f"run it with --env {value}" if variable == "MELTANO_ENVIRONMENT" else "set it where the job is started"
        report.left(where, f"{what}.env.{variable}", f"a job of dativo.yml sets no variables: {hint}")
    if entry.get("start_date"):
        report.left(where, f"{what}.start_date", "is a setting of the tap here")
