"""The run options that `dativo run` and every plugin command share, each defined once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import report
from dativo.config.deprecations import renewed_words
from dativo.config.keys import PROFILES
from dativo.config.quantity import parse_duration, parse_size
from dativo.run.options import RunOptions

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic only in newer clicks

RECORD_HELP = "Keep a tape: all records are in there."
TAP_ONLY = {"streams", "select", "state"}
AS_LONG = "for-as-long-as-it-takes"


class Quantity(_ParamType):
    """A size or a duration as people write it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Bytes, or seconds."""
        if value == AS_LONG:
            return math.inf
        try:
            return parse_size(value) if self.name == "size" else parse_duration(value)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class _Tape(_ParamType):
    """A tape's file, which may be left out."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name; a plugin's name that was taken for one is refused."""
        if value and not str(value).endswith(".zst"):
            self.fail(f"{value!r} does not end in .zst; without a FILE, --record comes last", param, ctx)
        return value


_FILE = click.Path(path_type=Path)


def options(*, tap: bool = True, catalog: bool = True) -> list[click.Option]:
    """Fresh option objects; without `tap`, those that concern a tap are left out, and --catalog without `catalog`."""
    found = [
        click.Option(["--stream", "streams"], multiple=True, metavar="NAME", help="Only this stream (repeatable)."),
        click.Option(["--select"], multiple=True, metavar="PATTERN", help="Streams and columns, like 'a.*' '!a.b'."),
        click.Option(["--catalog"], type=_FILE, help="Use this catalog; nothing is discovered."),
        click.Option(["--state"], type=_FILE, help="Start from this state, not the bookmark."),
        click.Option(["--full-refresh"], is_flag=True, help="Read from the start (kept in the log)."),
        click.Option(["--junk"], type=click.Choice(["drop", "fail"]), help="Lines that are no messages."),
        click.Option(["--check"], type=click.Choice(["json", "envelope"]), help="How closely to check each line."),
        click.Option(
            ["--on-bad-record"],
            type=click.Choice(["fail", "quarantine", "discard"]),
            metavar="POLICY",
            help="fail, quarantine or discard bad ones (fail).",
        ),
        click.Option(
            ["--validate/--no-validate"], default=None, help="Check records against their SCHEMA (on).", is_flag=True
        ),
        click.Option(
            ["--adapt/--no-adapt"], default=None, help="Put SCHEMA as its reader understands it (on).", is_flag=True
        ),
        click.Option(["--stream-name"], metavar="TEMPLATE", help="Call streams so at the target, as '{table}'."),
        click.Option(
            ["--confirm"], type=click.Choice(["auto", "never"]), help="never: the target prints no STATE by design."
        ),
        click.Option(
            ["--sandbox"], type=click.Choice(PROFILES), metavar="PROFILE", help="off, limits, standard or strict."
        ),
        click.Option(["--max-line"], type=Quantity("size"), metavar="SIZE", help="Longest message (64M)."),
        click.Option(["--grace"], type=Quantity("duration"), metavar="TIME", help="What a target has after EOF."),
        click.Option(
            ["--wait"],
            type=Quantity("duration"),
            metavar="[TIME]",
            help="Wait while another run holds the job.",
        ),
        click.Option(
            ["--record"], type=_Tape(), is_flag=False, flag_value="", metavar="[FILE.tape.zst]", help=RECORD_HELP
        ),
        click.Option(["--pass-env"], multiple=True, metavar="NAME", help="Give plugins this variable (repeatable)."),
    ]
    left_out = ({"catalog"} if not catalog else set()) | (set() if tap else TAP_ONLY)
    return [one for one in found if one.name not in left_out]


def add_to(command: click.Command) -> click.Command:
    """The run options after a command's own."""
    command.params[:] = [*command.params, *options()]
    return command


class RunCommand(click.Command):
    """A command with the run options: `--wait` may stand alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with what `--wait` says made plain, and flags of old in today's spelling."""
        known = {flag for one in self.params for flag in (*one.opts, *one.secondary_opts)}
        return super().parse_args(ctx, with_wait(renewed_words(args, known)))


def with_wait(args: Sequence[str]) -> list[str]:
    """The words of a command line, `--wait` with what it says: in `dativo run --wait shop` shop is no time."""
    found: list[str] = []
    own = list(args[: args.index("--")] if "--" in args else args)
    for at, word in enumerate(own):
        alone = word == "--wait" and not (at + 1 < len(own) and _is_time(own[at + 1]))
        found.append(f"--wait={AS_LONG}" if alone else word)
    return [*found, *args[len(own) :]]


def _is_time(word: str) -> bool:
    try:
        parse_duration(word)
    except ValueError:
        return False
    return True


def run_options(values: dict[str, Any]) -> RunOptions:
    """What the parsed options say; takes them out of `values`."""
    names = (
        "catalog",
        "state",
        "junk",
        "check",
        "confirm",
        "on_bad_record",
        "validate",
        "adapt",
        "stream_name",
        "sandbox",
        "max_line",
        "grace",
        "record",
        "job",
        "tenant",
        "verify",
        "encoding",
        "parallel",
        "memory",
    )
    for name in values.get("pass_env", ()):
        if "=" in name:
            raise errors.ConfigError("usage", f"--pass-env {name.partition('=')[0]}: only the name is expected")
    return RunOptions(
        streams=tuple(values.pop("streams", ())),
        select=tuple(values.pop("select", ())),
        pass_env=tuple(values.pop("pass_env", ())),
        retries=values.pop("retries", None),
        continue_on_error=values.pop("continue_on_error", False),
        force=values.pop("force", False),
        full_refresh=values.pop("full_refresh", False),
        dry_run=values.pop("dry_run", False),
        wait=values.pop("wait", None) or 0.0,
        json=report.OUTPUT.json,
        quiet=report.OUTPUT.verbosity < 0,
        verbose=report.OUTPUT.verbosity > 0,
        **{name: values.pop(name, None) for name in names},
    )
