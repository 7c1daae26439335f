"""`dativo dlq list|show|replay|drop`: the records that runs set aside, why, and what becomes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report, runflags
from dativo.cli.replay import replay_options
from dativo.observe import figures

if TYPE_CHECKING:
    from dativo.run.letters import Letter, Letters, Tally

PAGE = "docs/guides/dead-letters.md"
NO_MESSAGE = "(no message)"


@click.group(
    name="dlq",
    help="""\b
  dativo dlq list
  dativo dlq show 41
  dativo dlq replay 41 map-fix
  dativo dlq drop 41

Dead letters: records that a run set aside instead of loading them, with the reason. RUN is a run's number
or name, JOB all runs of a job.
""",
    epilog=PAGE,
)
def command() -> None:
    """Look after dead letters."""


def _found(env: str | None, named: str) -> tuple[Any, list[Letters]]:
    from dativo.config.project import Project
    from dativo.run import letters

    project = Project.find(env=env)
    return project, letters.find(project, named)


@command.command(
    "list",
    short_help="Show which runs set records aside.",
    help="""\b
  dativo dlq list
  dativo dlq list --all --json

Show every run and stream with dead letters, how many wait and why the first was set aside.
""",
    epilog=PAGE,
)
@click.option("--all", "everything", is_flag=True, help="Those too of which all letters were replayed.")
@options.env_option
@options.json_option
def list_command(everything: bool, env: str | None) -> None:
    """Show what waits."""
    from dativo.config.project import Project
    from dativo.run import letters

    rows: list[tuple[Letters, str | None, Tally]] = [
        (one, stream, counted)
        for one in letters.all_letters(Project.find(env=env))
        for stream, counted in letters.tally(one).items()
        if everything or counted.count
    ]
    if not rows:
        report.note("no dead letters")
    report.result([_as_dict(*row) for row in rows], lambda: _lines(rows))


def _as_dict(one: Letters, stream: str | None, counted: Tally) -> dict[str, Any]:
    counts = {"count": counted.count, "replayed": counted.replayed, "bytes": counted.size, "reason": counted.reason}
    return {"job": one.job, "run": one.run, "number": one.number, "stream": stream, **counts, "file": str(one.path)}


def _lines(rows: Sequence[tuple[Letters, str | None, Tally]]) -> list[str]:
    shown = [
        [
            one.job,
            f"run {one.named}",
            NO_MESSAGE if stream is None else stream,
            f"{counted.count:,}",
            figures.scaled(counted.size, "B"),
            counted.reason or f"{counted.replayed:,} replayed",
        ]
        for one, stream, counted in rows
    ]
    return report.columns(shown, right=[3, 4]) if shown else []


@command.command(
    "show",
    short_help="Show dead letters with their reasons.",
    help="""\b
  dativo dlq show 41
  dativo dlq show 41 --stream orders --limit 5
  dativo dlq show 41 --json > letters.json

Show the letters that wait: why, which column and row, and the record, shortened to the terminal's width.
With --json they are whole.
""",
    epilog=PAGE,
)
@click.argument("named", metavar="RUN|JOB")
@options.stream_option
@click.option("--limit", type=click.IntRange(min=1), default=20, metavar="N", help="At most so many (20).")
@options.env_option
@options.json_option
def show_command(named: str, stream: str | None, limit: int, env: str | None) -> None:
    """Show some letters."""
    _, found = _found(env, named)
    shown: list[tuple[Letters, Letter]] = []
    more = 0
    for one in found:
        for letter in one.open():
            if stream is not None and letter.stream != stream:
                continue
            if len(shown) < limit:
                shown.append((one, letter))
            else:
                more += 1
    if not shown:
        report.note("none of its letters waits" if stream is None else f"no letter of {stream} waits")
    if more:
        report.note(f"{more:,} more: --limit {len(shown) + more}")
    document = [
        {"run": one.run, "stream": letter.stream, "record": letter.record, "dead_letter": letter.about}
        for one, letter in shown
    ]
    report.result(document, lambda: [line for _, letter in shown for line in _letter_lines(letter)], exact=True)


def _letter_lines(letter: Letter) -> list[str]:
    about = letter.about
    place = [f"row {about['line']:,}"] if isinstance(about.get("line"), int) else []
    place += [f"column {str(about['path']).strip('/').replace('/', '.')}"] if about.get("path") else []
    place += [f"rule {about['rule']}"] if about.get("rule") else []
    stream = NO_MESSAGE if letter.stream is None else letter.stream
    head = f"  {stream}  {', '.join(place)}: {about.get('reason') or 'no reason is known'}"
    text = letter.record if isinstance(letter.record, str) else json.dumps(letter.record, ensure_ascii=False)
    width = shutil.get_terminal_size((100, 24)).columns - 4
    text = report.clean(text)
    return [report.clean(head), f"    {text if len(text) <= width else text[: width - 1] + '…'}"]


@command.command(
    "replay",
    short_help="Load dead letters, perhaps through a mapper.",
    help="""\b
  dativo dlq replay 41
  dativo dlq replay 41 map-fix --to target-duckdb
  dativo dlq replay 41 | dativo map-fix | dativo target-duckdb --path shop.duckdb

Loads the letters that wait into the job's own target, or into --to TARGET, through mappers if there are any.
When that is done they are marked as replayed. In a pipe between two `dativo` it is a tap; --to - prints them.
""",
    epilog=PAGE,
)
@click.argument("named", metavar="RUN|JOB")
@click.argument("mappers", nargs=-1, metavar="[MAPPER…]")
@click.option("--to", metavar="TARGET", help="Load them with this target; - is stdout.")
@options.streams_option
@click.option("--until", type=click.IntRange(min=1), metavar="N", help="Only the first so many.")
@click.option("--config", "files", multiple=True, metavar="PLUGIN=FILE", help="Settings of a plugin, or PLUGIN=ENV.")
@click.option("--set", "sets", multiple=True, metavar="PLUGIN.KEY=VALUE", help="One setting of a plugin.")
@options.env_option
@options.json_option
@options.verbosity_options
def replay_command(
    *,
    named: str,
    mappers: tuple[str, ...],
    to: str | None,
    streams: tuple[str, ...],
    until: int | None,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    env: str | None,
    **rest: Any,
) -> int | None:
    """Replay letters."""
    from dativo.cli.run import show
    from dativo.run import letters_replay

    project, found = _found(env, named)
    chosen = runflags.run_options(rest)
    replay = letters_replay.Replay(project, found, streams, until)
    alone = not (mappers or sets or files)
    if to == "-" and not alone:
        raise errors.ConfigError("usage", "mappers and settings are for a target", hint="put the mappers behind the |")
    if to == "-" or (to is None and alone and letters_replay.reader_is_ours()):
        report.OUTPUT.errors_on = "stderr"
        code, note = replay.pipe(chosen)
        if note:
            report.note(note)
        return code
    count, summary = replay.load(replay.spec(mappers, to), chosen, sets=sets, files=files)
    if summary is None:
        report.note("no letter waits to be replayed")
        report.result({"replayed": 0}, ())
        return None
    if report.OUTPUT.json:
        report.result({"replayed": count, **summary.as_dict()}, ())
        return None
    show(summary, quiet=chosen.quiet)
    report.note(f"{figures.count(count, 'letter')} replayed; one that was rejected again is a letter of this run")
    return None


@command.command(
    "drop",
    short_help="Remove dead letters for good.",
    help="""\b
  dativo dlq drop 41
  dativo dlq drop shop --yes

Remove the letters of a run, or of all runs of a job: what was not replayed is lost.
""",
    epilog=PAGE,
)
@click.argument("named", metavar="RUN|JOB")
@options.yes_option
@options.env_option
@options.json_option
def drop_command(named: str, yes: bool, env: str | None) -> None:
    """Remove letters."""
    from dativo.run import letters

    project, found = _found(env, named)
    waiting = sum(counted.count for one in found for counted in letters.tally(one).values())
    runs = figures.count(len(found), "run")
    report.confirm(f"drop the letters of {found[0].job} from {runs}, {waiting:,} of them not replayed", yes=yes)
    letters.drop(project, found)
    report.result(
        {"dropped": waiting, "files": [str(one.path) for one in found]}, [f"  dropped {waiting:,} from {runs}"]
    )


replay_command.params[:] = [*replay_command.params, *replay_options()]
