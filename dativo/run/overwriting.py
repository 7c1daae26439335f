"""Whether a job's target overwrites rows by key: what becomes of rows that are read again."""

from __future__ import annotations

from collections.abc import Sequence

from dativo import errors
from dativo.config.project import Project
from dativo.config.specs import JobSpec
from dativo.run import engine

SETTINGS = ("mode", "load_method")
"""How targets call the setting: ours, and those made with Meltano's SDK."""


def spec_of(project: Project, job: str) -> JobSpec:
    """A job of dativo.yml with the plugins that its engines mean, or the pair of plugins that a job was named after."""
    if job in project.jobs():
        return engine.applied(project, project.job(job))
    tap, between, target = job.rpartition("-to-")
    if not (tap and between and target):
        return project.job(job)  # raises job.unknown with the nearest name
    return JobSpec(job, (tap, target))


def told(project: Project, job: str, keys: Sequence[str] | None) -> str:
    """What happens to rows that come again, in a few words. `keys` are the stream's, None where they are unknown."""
    from dativo.plugins.installed import installed

    try:
        target = spec_of(project, job).steps[-1]
        schema = installed(project, target).settings_schema.get("properties", {})
        given = project.plugin(target).config
    except errors.DativoError:
        return "if its target does not overwrite by key, rows come twice"
    name = next((one for one in SETTINGS if one in schema), None)
    if name is None:
        return f"if {target} does not overwrite by key, rows come twice"
    described = schema[name]
    mode = str(given.get(name) or described.get("default") or "")
    if not mode and "upsert" in (described.get("enum") or ()):
        if keys is None:
            return f"{target} overwrites by key where the stream has one, else rows come twice"
        mode = "upsert" if keys else "append"
    if mode == "upsert":
        return f"{target} overwrites by key, so no duplicates"
    if mode == "overwrite":
        return f"{target} replaces the table"
    return f"{target} appends, so those rows come twice"
