"""Meltano's states as bookmarks: of each environment into that environment's own store."""

from __future__ import annotations

from collections.abc import Mapping

from dativo import errors
from dativo.config.meltano.blocks import Pipeline
from dativo.config.meltano.files import FILE
from dativo.config.meltano.project import MeltanoProject
from dativo.migrate.report import Report
from dativo.state import meltano


def of(project: MeltanoProject, pipelines: Mapping[str, Pipeline], report: Report) -> dict[str, dict[str, str]]:
    """Environment -> job -> the exact text of its bookmark."""
    found: dict[str, dict[str, str]] = {}
    try:
        kept = meltano.states(project)
    except errors.DativoError as problem:
        report.left(FILE, "states", f"{problem.message}: {problem.remedy}")
        return found
    known: set[str] = set()
    for env in project.environments:
        inside = MeltanoProject(project.root, env, process=project.process)
        for job, pipeline in pipelines.items():
            state_id = _state_id(inside, pipeline)
            if state_id in kept:
                found.setdefault(env, {})[job] = kept[state_id]
                known.add(state_id)
                report.taken("state", state_id, f"bookmark {job} ({env})")
    for state_id, text in kept.items():
        env, colon, rest = state_id.partition(":")
        plain = rest.partition(":")[0]
        if state_id in known:
            continue
        if colon and env in project.environments and "-to-" in plain and plain not in found.setdefault(env, {}):
            found[env][plain] = text
            report.taken("state", state_id, f"bookmark {plain} ({env})")
        else:
            report.left("state", state_id, "belongs to no job here: meltano state get … | dativo state import -")
    return {env: marks for env, marks in found.items() if marks}


def _state_id(project: MeltanoProject, pipeline: Pipeline) -> str:
    """A pipeline's state id in an environment. A schedule's own one is the same in all of them."""
    own = ":" not in pipeline.state_id and pipeline.state_id == pipeline.job
    return pipeline.state_id if own else project.blocks.state_id(pipeline.steps)
