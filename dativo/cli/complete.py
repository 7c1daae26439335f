"""Names for the shell's completion: jobs and plugins. Completion never fails, it only finds nothing."""

from __future__ import annotations

import click


def installed_names() -> list[str]:
    """The names of the plugins of the project around the working directory (none if that cannot be told)."""
    from dativo import errors
    from dativo.config.project import Project
    from dativo.plugins.installed import all_installed

    try:
        return [plugin.name for plugin in all_installed(Project.find())]
    except (errors.DativoError, OSError):
        return []


def job_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """For `shell_complete=`: jobs of the project file and jobs that have a bookmark."""
    from dativo import errors
    from dativo.cli.state_store import open_to_read

    try:
        with open_to_read(None) as store:
            known = {job.name for job in store.jobs()}
        from dativo.config.project import Project

        known.update(Project.find().jobs())
    except (errors.DativoError, OSError):
        return []
    return sorted(name for name in known if name.startswith(incomplete))
