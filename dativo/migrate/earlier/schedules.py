"""When jobs ran: the `runner:` file's schedules, as `schedule:` of jobs."""

from __future__ import annotations

from typing import Any

from dativo.migrate.earlier.files import Folder
from dativo.migrate.reading import Keys
from dativo.migrate.settings import plain

_YOURS = "when jobs run is your scheduler's: `schedule:` of a job is where it is written down"


def schedules(folder: Folder, file: str, named: dict[str, str], jobs: dict[str, dict[str, Any]]) -> None:
    """Put each schedule at its job. `named` tells the job of a file."""
    keys = Keys(folder.documents[file], ("runner",), "runner")
    for key in keys.data:
        if key != "orchestrator":
            folder.report.left(keys.where(key), keys.what(key), _YOURS)
    if not isinstance(keys.data.get("orchestrator"), dict):
        return
    inside = keys.below("orchestrator", name="runner.orchestrator")
    for key in inside.data:
        if key != "schedules":
            folder.report.left(inside.where(key), inside.what(key), _YOURS)
    given = inside.get("schedules")
    for at, one in enumerate(given if isinstance(given, list) else []):
        schedule = inside.below("schedules", at, name=f"schedules.{at}")
        job = named.get(str(folder.found(one.get("config")))) if isinstance(one, dict) else None
        if job is None:
            folder.report.left(schedule.where(), schedule.name, "no job of this folder is meant by it")
            continue
        cron, enabled = one.get("cron"), one.get("enabled", True)
        if isinstance(cron, str) and enabled is not False:
            jobs[job]["schedule"] = plain(cron)
            folder.report.taken(schedule.where("cron"), schedule.what("cron"), f"jobs.{job}.schedule")
        for key in one:
            if key not in ("config", "name") and not (key == "cron" and "schedule" in jobs[job]) and key != "enabled":
                folder.report.left(schedule.where(key), schedule.what(key), _YOURS)
        if enabled is False:
            why = "a schedule that is switched off is not taken over"
            folder.report.left(schedule.where("enabled"), schedule.what("enabled"), why)
