"""Options that mean the same on every command, each defined once (house rule 5).

Use them as decorators: `@options.json_option`. `--json`, `-v` and `-q` are kept in `report.OUTPUT`, so a command need
not take them as arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dativo.cli import report

F = TypeVar("F", bound=Callable[..., Any])


def _json(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    report.OUTPUT.json = value or report.OUTPUT.json


def _verbose(_ctx: click.Context, _param: click.Parameter, value: int) -> None:
    report.OUTPUT.verbosity += value


def _quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    report.OUTPUT.verbosity -= int(value)


def json_option(command: F) -> F:
    """`--json`: the result, or the error, as JSON on stdout. Kept in `report.OUTPUT.json`."""
    return click.option(
        "--json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_json,
        help="Print the result as JSON on stdout.",
    )(command)


def verbosity_options(command: F) -> F:
    """`-v` (repeatable) and `-q`. Kept in `report.OUTPUT.verbosity`: -1 quiet, 0, 1, 2 with tracebacks."""
    command = click.option(
        "-q",
        "--quiet",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_quiet,
        help="Say only what went wrong.",
    )(command)
    return click.option(
        "-v",
        "--verbose",
        count=True,
        is_eager=True,
        expose_value=False,
        callback=_verbose,
        help="Say more; -vv shows the inside of a crash.",
    )(command)


def trust_build_option(command: F) -> F:
    """`--trust-build` -> argument `trust_build`."""
    return click.option(
        "--trust-build", is_flag=True, help="Build ./folder as you would, outside the sandbox (Rust and the like)."
    )(command)


def approve_option(command: F) -> F:
    """`--approve` -> argument `approve`: nobody has to be asked."""
    return click.option("--approve", is_flag=True, help="Agree when a plugin asks for more than was approved.")(command)


def offline_option(command: F) -> F:
    """`--offline` -> argument `offline`."""
    return click.option("--offline", is_flag=True, help="Use only what is in the cache.")(command)


def tenant_option(command: F) -> F:
    """`--tenant NAME` -> argument `tenant`: whose secrets may be named."""
    return click.option(
        "--tenant", envvar="DATIVO_TENANT", metavar="NAME", default=None, help="Tenant whose secrets may be named."
    )(command)


def env_option(command: F) -> F:
    """`--env NAME` -> argument `env`: the environment of dativo.yml to use."""
    return click.option(
        "--env", envvar="DATIVO_ENV", metavar="NAME", default=None, help="Environment of the project to use."
    )(command)


def stream_option(command: F) -> F:
    """`--stream NAME` -> argument `stream`."""
    return click.option("--stream", metavar="NAME", default=None, help="Only this stream.")(command)


def streams_option(command: F) -> F:
    """`--stream NAME`, repeatable -> argument `streams`."""
    return click.option("--stream", "streams", metavar="NAME", multiple=True, help="Only this stream (repeatable).")(
        command
    )


def job_option(command: F) -> F:
    """`--job NAME` -> argument `job`."""
    return click.option(
        "--job", envvar="DATIVO_JOB", metavar="NAME", default=None, help="Name that the bookmark is kept under."
    )(command)


def yes_option(command: F) -> F:
    """`-y`/`--yes` -> argument `yes`: do not ask."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def dry_run_option(command: F) -> F:
    """`--dry-run` -> argument `dry_run`."""
    return click.option("--dry-run", is_flag=True, help="Say what would happen and do nothing.")(command)
