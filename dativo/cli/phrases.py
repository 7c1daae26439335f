"""What Meltano's commands and options are called here: the hint of a word that Dativo does not know.

Looked at only after a word was refused, so that who comes from there finds the way. Nothing is done under two names.
"""

from __future__ import annotations

import re

import click

COMMANDS = {
    "el": "dativo run TAP TARGET; --state-id NAME is --job NAME",
    "elt": "dativo run TAP TARGET; --state-id NAME is --job NAME",
    "install": "dativo sync; `dativo run` does it by itself in a Meltano project",
    "lock": "dativo sync pins all plugins in dativo.lock",
    "invoke": "dativo discover TAP, dativo config PLUGIN test, dativo inspect PLUGIN; others stay with meltano invoke",
    "test": "dativo config PLUGIN test starts a plugin, dativo check starts nothing",
    "job": "jobs stand in the project's file: dativo run NAME runs one, dativo check looks at all",
    "schedule": "dativo run NAME runs a schedule of meltano.yml by its name; cron or systemd starts it",
    "environment": "dativo run NAME --env ENVIRONMENT",
    "init": "an empty file dativo.yml is a project: touch dativo.yml, then dativo add tap-csv target-duckdb",
    "hub": "dativo registry add NAME URL, dativo search WORDS",
    "plugin": "dativo list, dativo inspect PLUGIN",
    "compile": "dativo run NAME --dry-run prints all that a run is made of",
    "state merge": "dativo state get JOB, then dativo state set JOB --stream NAME VALUE for each stream",
    "state copy": "dativo state get JOB | dativo state set OTHER",
    "state move": "dativo state get JOB | dativo state set OTHER, then dativo state clear JOB",
    "state edit": "dativo state get JOB > state.json, edit it, dativo state set JOB --file state.json",
}
OPTIONS = {
    "--environment": "dativo run NAME --env ENVIRONMENT",
    "--no-environment": "dativo run NAME --env null",
    "--cwd": "change into the folder first",
    "--env-file": "it is .env beside the project's file",
    "--log-level": "-v says more, -q less, behind the command",
    "--log-format": "--json behind the command",
    "--log-config": "-v, -q or --json behind the command",
    "--state-id": "--job NAME",
    "--state-id-suffix": "--job ENVIRONMENT:TAP-to-TARGET:SUFFIX, or state_id_suffix of an environment in meltano.yml",
    "--state-strategy": "--full-refresh --stream NAME reads some streams anew and keeps the other bookmarks",
    "--merge-state": "--full-refresh --stream NAME reads some streams anew and keeps the other bookmarks",
    "--no-state-update": "--job NAME keeps the run's bookmark apart, --state FILE starts from one of yours",
    "--refresh-catalog": "leave it out: the streams are discovered for each run",
    "--timeout": "limits: {wall: 1h} of the job; in meltano.yml under annotations.dativo",
    "--run-id": "leave it out: a run has a number, see dativo state log JOB",
    "--install": "leave it out: in a Meltano project, what is missing is installed",
    "--no-install": "dativo sync --frozen refuses what dativo.lock does not pin",
    "--only-install": "dativo sync",
    "--exclude": "--select '!STREAM.*'",
    "--dump": "dativo run … --dry-run, dativo discover TAP, dativo config PLUGIN, dativo state get JOB",
    "--dry": "--dry-run",
    "--list": "dativo select TAP shows what is read",
    "--all": "dativo select TAP -v, dativo discover TAP",
}


def command(name: str) -> str | None:
    """What a command of Meltano's is here: `el`, or `state merge`."""
    return _said(COMMANDS.get(name))


def refused(problem: click.UsageError) -> tuple[str, str] | None:
    """The message and the hint for an option or a command below another that Meltano has."""
    message = problem.format_message()
    if isinstance(problem, click.NoSuchOption):
        hint = OPTIONS.get(problem.option_name)
        return (f"No such option '{problem.option_name}'", _said(hint) or "") if hint else None
    found = re.match(r"No such command '(\w+)'", message)
    within = problem.ctx.command_path.partition(" ")[2] if problem.ctx else ""
    hint = command(f"{within} {found[1]}") if found else None
    return (f"No such command '{found[1]}'", hint) if found and hint else None


def _said(hint: str | None) -> str | None:
    return f"here: {hint}" if hint else None
