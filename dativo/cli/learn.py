"""`dativo learn`: run a plugin, see what it is refused, propose the least that lets it pass, grant it on request."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.plugin import PluginCommand
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.config.project import Project
    from dativo.plugins.installed import Installed
    from dativo.run.learn import Round
    from dativo.run.needs import Needs
    from dativo.run.sides import Side

ROUNDS = 5
LEFT_OUT = {"about", "form", "version", "discover"}
WORDS = {"read": "read", "write": "write", "unix": "connect to", "network": "reach"}


@click.command(
    name="learn",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help="""\b
  dativo learn tap-x --files 'data/*.csv'
  dativo learn target-y --path out.db --input messages.jsonl
  dativo learn tap-x --yes

Run a plugin in its sandbox, watch which files and hosts it is refused, and propose the least that lets it pass. What it
reads is thrown away; no bookmark moves. ARGS are the plugin's own flags: `dativo learn tap-x --help` lists them.
--dry-run proposes only; -y grants without asking, up to five rounds.
""",
)
@click.argument("plugin")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@options.dry_run_option
@options.yes_option
@options.json_option
def command(*, plugin: str, args: tuple[str, ...], dry_run: bool, yes: bool) -> Any:
    """Make the plugin's own command, and run that. The options here may stand before the name or behind it."""
    from dativo.config.project import Project
    from dativo.plugins.installed import installed

    learning = LearnCommand(installed(Project.find(), plugin))
    own = [*(["--dry-run"] if dry_run else []), *(["--yes"] if yes else [])]
    return learning.main([*own, *args], prog_name=f"dativo learn {plugin}", standalone_mode=False)


class LearnCommand(PluginCommand):
    """A plugin's flags, and those of learning."""

    def __init__(self, plugin: Installed) -> None:
        super().__init__(plugin)
        self.help = f"\b\n  dativo learn {plugin.name}\n\nWatch {plugin.name} run, and propose what it must be granted."
        self.params = [one for one in self.params if one.name not in LEFT_OUT]
        if plugin.kind != "tap":
            file = click.Path(exists=True, dir_okay=False, path_type=Path)
            text = "Singer messages; without it they are read from stdin."
            self.params.append(click.Option(["--input", "source"], type=file, metavar="FILE", help=text))
        self.params.append(click.Option(["-y", "--yes"], is_flag=True, help="Do not ask."))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse. No pipe is at either end, so nobody else is told of a mistake."""
        return click.Command.make_context(self, info_name, args, parent, **extra)

    def _run(self, **values: Any) -> int:
        yes, path = values.pop("yes"), values.pop("source", None)
        for name in LEFT_OUT:
            values.setdefault(name, False)
        values.pop("about"), values.pop("form"), values.pop("version"), values.pop("discover")
        side = self._side(values)
        with _messages(path, wanted=self.plugin.kind != "tap") as source:
            return _learn(side, self.plugin, source, yes=yes)


@contextlib.contextmanager
def _messages(path: Path | None, *, wanted: bool) -> Iterator[int | None]:
    """An open file of messages that each round can read from its start."""
    if not wanted:
        yield None
    elif path is not None:
        with path.open("rb") as file:
            yield file.fileno()
    elif sys.stdin.isatty():
        raise errors.ConfigError("usage", "there are no messages to give it", hint="--input FILE, or a pipe from a tap")
    else:
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            kept.flush()
            yield kept.fileno()


@dataclass(frozen=True)
class Lesson:
    """What came of it. `granted` was written into dativo.yml, `proposed` waits for somebody's word."""

    name: str
    last: Round
    granted: Mapping[str, Sequence[str]]
    proposed: Mapping[str, Sequence[str]]
    rounds: int


def _learn(side: Side, plugin: Installed, source: int | None, *, yes: bool) -> int:
    from dativo.run.interrupts import Interrupts
    from dativo.run.learn import once
    from dativo.run.needs import merged

    asks = not side.options.dry_run and (yes or _somebody_is_here())
    granted: dict[str, tuple[str, ...]] = {}
    with Interrupts() as interrupts:
        for number in range(1, ROUNDS + 1):
            found = once(side, source, interrupts)
            entries = _entries(side.project, found.needs)
            if found.passed or not entries or not asks or number == ROUNDS:
                break
            _tell(plugin.name, number, found.needs, entries)
            report.confirm(f"grant this to {plugin.name} in {side.project.settings_file.name}", yes=yes)
            outgrown = _outgrown(granted, entries)
            side = _apply(side, plugin, entries, outgrown)
            granted = _without(merged(granted, entries), outgrown)
    unused = [one for one in granted.get("network", ()) if found.passed and one not in found.reached]
    if unused:  # a port that was only guessed
        _apply(side, plugin, {}, {"network": unused})
        granted = _without(granted, {"network": unused})
    if found.problem is not None and not entries:
        raise _unlearned(found.problem, granted)
    lesson = Lesson(plugin.name, found, granted, {} if found.passed else entries, number)
    report.result({**_data(lesson), "file": str(side.project.settings_file)}, lambda: _lines(lesson))
    return 0 if found.passed or not asks else 1


def _somebody_is_here() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and not report.OUTPUT.json


def _unlearned(problem: errors.DativoError, granted: Mapping[str, Sequence[str]]) -> errors.DativoError:
    """Why it still does not pass although nothing more was refused: its own reasons."""
    more = (f"granted before: {_flags(granted)}",) if granted else ()
    problem.details = (*problem.details, "nothing that it was refused explains this", *more)
    return problem


def _entries(project: Project, needs: Needs) -> dict[str, tuple[str, ...]]:
    """The proposal in the words of dativo.yml."""
    from dativo.cli.allow import entry

    return {key: tuple(entry(project, key, one) for one in found) for key, found in needs.lists().items()}


def _outgrown(granted: Mapping[str, Sequence[str]], entries: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Files that were granted before, in a folder that is granted now."""
    folders = {key: [Path(one) for one in found] for key, found in entries.items() if key in ("read", "write")}
    return {
        key: [one for one in granted.get(key, ()) if any(folder in Path(one).parents for folder in found)]
        for key, found in folders.items()
    }


def _without(granted: Mapping[str, Sequence[str]], gone: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    kept = {key: tuple(one for one in found if one not in gone.get(key, ())) for key, found in granted.items()}
    return {key: found for key, found in kept.items() if found}


def _apply(
    side: Side, plugin: Installed, entries: Mapping[str, tuple[str, ...]], gone: Mapping[str, Sequence[str]]
) -> Side:
    """Write the grants, take back those that are `gone`, and read the project again."""
    from dataclasses import replace

    from dativo.cli import allow
    from dativo.config.project import Project

    project = side.project
    before = dict(project.declared(plugin.name).get("sandbox") or {})
    after = before
    for lists, revoke in ((gone, True), (entries, False)):
        if any(lists.values()):
            whole = {key: tuple(lists.get(key, ())) for key in allow.LISTS}
            after = allow.changed(project, after, whole, None, revoke=revoke)
    allow.keep(project, plugin, after, before)
    return replace(side, project=Project.find(env=project.env))


# -- words


def _tell(name: str, number: int, needs: Needs, entries: Mapping[str, Sequence[str]]) -> None:
    report.note(f"{name} was refused, in round {number} of at most {ROUNDS}:")
    for line in [*_rows(entries), *_withheld(needs)]:
        print(line, file=sys.stderr)


def _rows(entries: Mapping[str, Sequence[str]]) -> list[str]:
    rows = [[WORDS[key], one] for key, found in entries.items() for one in found]
    return report.columns(rows, indent="    ") if rows else []


def _withheld(needs: Needs) -> list[str]:
    if not needs.withheld:
        return []
    rows = [[WORDS[one.kind], one.what, one.why] for one in needs.withheld]
    return ["  asked for, not proposed:", *report.columns(rows, indent="    ")]


def _flags(entries: Mapping[str, Sequence[str]]) -> str:
    return " ".join(f"--{key} {shlex.quote(one)}" for key, found in entries.items() for one in found)


def _yaml(name: str, entries: Mapping[str, Sequence[str]]) -> list[str]:
    """The block as dativo.yml takes it."""
    import json

    lists = [f"      {key}: {json.dumps(list(found), ensure_ascii=False)}" for key, found in entries.items()]
    return ["plugins:", f"  {name}:", "    sandbox:", *lists]


def _used(found: Round) -> str:
    processes = f", {found.processes} processes" if found.processes > 1 else ""
    return f"{found.records:,} records, at most {found.peak_kb / 1024:,.0f} MB memory{processes}"


def _lines(lesson: Lesson) -> Iterator[str]:
    name, found, proposed = lesson.name, lesson.last, lesson.proposed
    if found.passed:
        yield f"  {name} passes · {_used(found)}"
        yield f"  granted  {_flags(lesson.granted)}" if lesson.granted else "  it needs no more than it is granted"
    else:
        yield f"  {name} was refused what it needs · {_used(found)}"
        yield from _rows(proposed)
    yield from _withheld(found.needs)
    aside = _aside(found)
    if aside:
        yield "  also tried, done without:"
        yield from (f"    {report.clean(one)}" for one in aside)
    if proposed:
        yield "  to allow it, in dativo.yml:"
        yield from (f"    {line}" for line in _yaml(name, proposed))
        yield "  or:"
        yield f"    {_allow(lesson)}"


def _aside(found: Round) -> list[str]:
    lists = found.needs.lists().values() if found.passed else ()
    return [*found.needs.aside, *(one for some in lists for one in some)]


def _allow(lesson: Lesson) -> str:
    return f"dativo allow {lesson.name} {_flags(lesson.proposed)}"


def _data(lesson: Lesson) -> dict[str, Any]:
    found = lesson.last
    return {
        "plugin": lesson.name,
        "passed": found.passed,
        "rounds": lesson.rounds,
        "proposed": {key: list(one) for key, one in lesson.proposed.items()},
        "granted": {key: list(one) for key, one in lesson.granted.items()},
        "allow": _allow(lesson) if lesson.proposed else None,
        "withheld": [{"kind": one.kind, "what": one.what, "why": one.why} for one in found.needs.withheld],
        "aside": _aside(found),
        "records": found.records,
        "peak_kb": found.peak_kb,
        "processes": found.processes,
        "problem": found.problem.as_dict() if found.problem else None,
    }
