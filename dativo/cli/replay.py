"""`dativo replay`: a recorded run again, without its source: into a target, onto stdout, or as a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dativo import errors
from dativo.cli import options, report, runflags

_KEPT = {"junk", "confirm", "sandbox", "max_line", "catalog"}
"""The run options that mean something for a replay."""


def replay_options() -> list[click.Option]:
    """What a replay shares with a run."""
    return [one for one in runflags.options(tap=False) if one.name in _KEPT]


@click.command(
    "replay",
    short_help="Run a recorded tape again, without its source.",
    help="""\b
  dativo replay orders.tape.zst --info
  dativo replay orders.tape.zst --to target-jsonl --set target-jsonl.path=out
  dativo replay orders.tape.zst | dativo target-jsonl --path out

Runs a tape, the recording of a run (--record), again: the source is not asked and no credential of it is
needed. TAPE is a file, or the name of the run. Without --to the stream is printed. A tape holds all records.
""",
    epilog="docs/guides/replay.md",
)
@click.argument("tape", metavar="TAPE")
@click.argument("mappers", nargs=-1, metavar="[MAPPER…]")
@click.option("--to", metavar="TARGET", help="Load it with this target.")
@click.option("--until", type=click.IntRange(min=0), metavar="N", help="Stop behind so many records.")
@click.option("--speed", type=click.Choice(["real", "max"]), default="max", help="real: as slowly as it was recorded.")
@click.option("--info", is_flag=True, help="Say what the tape holds, and play nothing.")
@click.option("--test", type=click.Path(path_type=Path), metavar="FILE.py", help="Make a pytest file of it, for --to.")
@click.option("--config", "files", multiple=True, metavar="PLUGIN=FILE", help="Settings of a plugin, or PLUGIN=ENV.")
@click.option("--set", "sets", multiple=True, metavar="PLUGIN.KEY=VALUE", help="One setting of a plugin.")
@options.job_option
@options.env_option
@options.json_option
@options.verbosity_options
def command(
    *,
    tape: str,
    mappers: tuple[str, ...],
    to: str | None,
    until: int | None,
    speed: str,
    info: bool,
    test: Path | None,
    files: tuple[str, ...],
    sets: tuple[str, ...],
    env: str | None,
    **rest: Any,
) -> int | None:
    """Replay a tape."""
    from dativo.cli.run import show
    from dativo.config.project import Project
    from dativo.run import job as jobs
    from dativo.run import tape as tapes
    from dativo.run import tape_replay, tape_test

    project = Project.find(env=env)
    path = tapes.find(project, tape)
    if info:
        _show(tapes.info(path))
        return None
    if test is not None:
        if to is None:
            raise errors.ConfigError("usage", "--test needs --to TARGET: the target under test")
        made = tape_test.write(test, path, to, sets)
        report.result({"test": str(made[0]), "tape": str(made[1])}, [f"  pytest {made[0]}"])
        return None
    chosen = runflags.run_options(rest)
    name = chosen.job or tape_replay.job_of(path)
    tap = tape_replay.tape_player(project, path, chosen, until=until, real_time=speed == "real")
    if to is None:
        if mappers or sets or files:
            raise errors.ConfigError(
                "usage", "mappers and settings are for --to TARGET", hint=f"or: dativo replay {tape} | dativo map-… | …"
            )
        report.OUTPUT.errors_on = "stderr"
        return tape_replay.stream(tap, name, chosen)[0]
    job = tape_replay.into(tap, name, [*mappers, to], chosen, sets=sets, files=files)
    show(jobs.run(job), quiet=chosen.quiet)
    return None


def _show(found: dict[str, Any]) -> None:
    def lines() -> list[str]:
        hops = " > ".join([found["hops"][0][0], *(reader for _, reader in found["hops"])]) if found["hops"] else "-"
        end = found["verdict"] or "the recording breaks off"
        why = f" ({found['reason']}: {found['message']})" if found["reason"] else ""
        rows = [
            ["run", found["run"]],
            ["job", found["job"]],
            ["plugins", hops],
            ["recorded", f"{found['at']}, {found['seconds']:.1f} s, {found['size']:,} bytes"],
            ["ended", f"{end}{why}"],
        ]
        rows += [["attempts", found["attempts"]]] if found["attempts"] > 1 else []
        head = [*report.columns(rows), f"  {found['records']:,} records, {found['states']:,} STATEs:"]
        counts = [[name, f"{count:,}"] for name, count in found["streams"].items()]
        return head + (report.columns(counts, right=[1], indent="    ") if counts else [])

    report.result(found, lines)


command.params[:] = [*command.params, *replay_options()]
