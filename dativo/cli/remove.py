"""`dativo remove`: take plugins out of the project, the lock file and, when nobody else uses them, the disk."""

from __future__ import annotations

import click

from dativo.cli import options, report


@click.command(
    name="remove",
    help="""\b
  dativo remove target-jsonl

Remove plugins from dativo.yml and dativo.lock. Bookmarks and data stay.
""",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@options.json_option
@options.verbosity_options
def command(names: tuple[str, ...]) -> None:
    """Remove and unlock."""
    from dativo.config.project import Project
    from dativo.plugins.install import remove

    project = Project.find()
    wanted = list(dict.fromkeys(names))
    using = {name: [job for job in project.jobs() if name in project.steps(job)] for name in wanted}
    remove(project, wanted)
    for name, jobs in using.items():
        if jobs:
            report.warn(f"{name} is still a step of {', '.join(jobs)}")
    report.result({"removed": wanted, "still_in_jobs": using}, [f"  removed {', '.join(wanted)}"])
