"""`dativo import FORMAT`: other tools' projects become a dativo.yml, with a report of each thing that was found."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dativo.cli import report

if TYPE_CHECKING:
    from dativo.migrate.draft import Draft

# name -> ("module:attribute", help line): listed without importing any of them
FORMATS: dict[str, tuple[str, str]] = {
    "pipelinewise": ("dativo.cli.import_pipelinewise:command", "The tap_*.yml and target_*.yml of PipelineWise."),
    "shell": ("dativo.cli.import_shell:command", "A shell script of tap | target lines."),
    "earlier": ("dativo.cli.import_earlier:command", "Jobs, connectors and assets of the earlier Dativo."),
    "meltano": ("dativo.cli.import_meltano:command", "A Meltano project: meltano.yml and what it includes."),
}


class Formats(click.Group):
    """One subcommand a format, imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The formats, in the table's order."""
        return list(FORMATS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in FORMATS:
            return None
        module, _, attribute = FORMATS[cmd_name][0].partition(":")
        loaded = getattr(import_module(module), attribute)
        assert isinstance(loaded, click.Command)
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's lines."""
        with formatter.section("Formats"):
            formatter.write_dl([(name, line) for name, (_, line) in FORMATS.items()])


@click.command(
    name="import",
    cls=Formats,
    help="""\b
  dativo import meltano --dry-run
  dativo import meltano ../shop --into .

Turn another tool's project into a dativo.yml. The report names each thing that was found and what became of it; what
has no counterpart is listed, never dropped. Nothing of the project is run, and nothing that is there is replaced.
""",
)
def command() -> None:
    """Import from another tool."""


def finish(draft: Draft, folder: Path, source: str, *, dry_run: bool) -> None:
    """Write a draft unless it is a dry run, and print its report; with `dry_run` the new dativo.yml as well.

    What a stranger's file is called or holds is shown, not obeyed by the terminal (I12), and takes one line.
    With --json: `{"dry_run", "folder", "files", "project", "bookmarks", "report": {…}}`.
    """
    text = draft.text()
    files = ["dativo.yml", *draft.files] if dry_run else draft.write(folder, source)
    others = (f"{job} ({env})" for env, found in draft.of_environments.items() for job in found)
    marks = sorted([*draft.bookmarks, *others])
    data = {
        "dry_run": dry_run,
        "folder": str(folder),
        "files": files,
        "project": draft.project,
        "bookmarks": marks,
        "report": draft.report.as_dict(),
    }
    told = (report.clean(line).replace("\n", "\\n") for line in draft.report.lines(whole=report.OUTPUT.verbosity > 0))
    shown = [*(map(report.clean, text.splitlines()) if dry_run else ()), *told]
    kept = f" · bookmarks: {', '.join(marks)}" if marks else ""
    done = "would write" if dry_run else "written"
    after = [] if dry_run or not draft.project else [_next(draft)]
    report.result(data, [*shown, f"  {done}: {', '.join(files)} in {folder}{kept}", *after])


def _next(draft: Draft) -> str:
    """How to go on. Without the environment that was chosen by itself, a run would begin at no bookmark."""
    jobs = list(draft.project.get("jobs") or {})
    kinds = {name: section.get("kind") for name, section in (draft.project.get("plugins") or {}).items()}
    ends = [next((name for name, kind in kinds.items() if kind == wanted), None) for wanted in ("tap", "target")]
    named = jobs[0] if jobs else " ".join(name for name in ends if name) if all(ends) else None
    env = f" --env {draft.environment}" if draft.environment else ""
    return "  next: dativo sync" + (f", then dativo run {named}{env} --dry-run" if named else "")
