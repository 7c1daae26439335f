"""`dativo state export` and `import`: bookmarks as one JSON document, for another store, another machine, another tool.

A bookmark's text is copied byte by byte. An import is a change by hand: it asks, and it is kept in the history (I4).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.complete import job_names
from dativo.cli.state_given import given, unwrapped
from dativo.cli.state_store import open_to_read, open_to_write, unknown

KIND, FORMAT = "bookmarks", 1


@click.command(
    "export",
    short_help="Print bookmarks as one JSON document.",
    help="""\b
  dativo state export > bookmarks.json
  dativo state export shop crm > two.json
  dativo state export --meltano > states.json; meltano state import states.json

Print the bookmarks of these jobs, or of all, with where each comes from.
`dativo state import` reads it, here or in another store.
""",
)
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=job_names)
@click.option("--meltano", is_flag=True, help="As `meltano state import` reads them: the jobs' names are state ids.")
@options.env_option
@options.json_option
def export_command(jobs: tuple[str, ...], *, meltano: bool, env: str | None) -> None:
    """Print bookmarks."""
    from dativo.state.store import stamp

    with open_to_read(env) as store:
        there = {one.name: one.bookmark for one in store.jobs() if one.bookmark is not None}
        for job in jobs:
            if job not in there:
                unknown(store, job)
    if meltano:
        states = (
            f'  {json.dumps(name, ensure_ascii=False)}: {{"completed": {{"singer_state": {there[name].text}}}, '
            '"partial": {}}'
            for name in dict.fromkeys(jobs or there)
        )
        print("{\n" + ",\n".join(states) + "\n}")
        return
    rows = []
    for name in dict.fromkeys(jobs or there):
        mark = there[name]
        about = {"origin": mark.origin, "run": mark.run, "at": mark.at, "records": mark.records, "of": mark.of}
        head = json.dumps(about, ensure_ascii=False)[1:-1]
        rows.append(f'  {json.dumps(name, ensure_ascii=False)}: {{{head},\n   "bookmark": {mark.text}}}')
    head = json.dumps({"dativo": KIND, "format": FORMAT, "exported": stamp()})[:-1]
    print(f'{head}, "jobs": {{\n' + ",\n".join(rows) + "\n}}")  # JSON as it is: --json changes only an error's look


@click.command(
    "import",
    short_help="Take bookmarks from a file.",
    help="""\b
  dativo state import bookmarks.json
  dativo state import state.json --job shop
  meltano state get dev:tap-x-to-target-y | dativo state import - --job shop

Take bookmarks from what `dativo state export` printed; with --job, from a bare
Singer state, a STATE message or a state of Meltano. Asks before it replaces one.
""",
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@options.job_option
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@options.yes_option
@options.dry_run_option
@options.env_option
@options.verbosity_options
@options.json_option
def import_command(
    file: Path, *, job: str | None, reason: str | None, yes: bool, dry_run: bool, env: str | None
) -> None:
    """Take bookmarks."""
    from dativo.state import bookmark

    marks = _marks(given("-" if str(file) == "-" else None, None if str(file) == "-" else file), job)
    rows: list[dict[str, Any]] = []
    with open_to_write(env) as store:
        for name, text in marks.items():
            old = store.bookmark(name)
            before = old.text if old else None
            rows.append({"job": name, "changed": text != before, "from": before, "to": text})
        replaced = [row["job"] for row in rows if row["changed"] and row["from"] not in (None, "{}")]
        if replaced and not dry_run:
            report.confirm(f"replace the bookmark of {', '.join(replaced)}", yes=yes)
        for row in rows:
            if row["changed"] and not dry_run:
                store.set(row["job"], row["to"], reason=reason or f"imported from {file}")
    for row in rows:
        moved = f"{bookmark.describe(row['from'])}  →  {bookmark.describe(row['to'])}"
        report.note(f"{row['job']}: {moved if row['changed'] else 'is there already'}")
    report.result(rows, [])


def _marks(text: str, job: str | None) -> dict[str, str]:
    """Job -> the exact text of its bookmark."""
    from dativo.state import bookmark

    text = bookmark.exact_text(text)
    parts = {one.key: text[one.value : one.end] for one in bookmark.members(text) or []}
    if bookmark.parse(parts.get("dativo", "null")) != KIND:
        if job is None:
            raise errors.ConfigError(
                "usage", "this is the state of one job, and no job is named", hint="say whose it is: --job NAME"
            )
        return {job: unwrapped(text)}
    if int(bookmark.parse(parts.get("format", "0"))) > FORMAT:
        raise errors.ConfigError("state.invalid", "the file was written by a newer Dativo", hint="use that one")
    whole = parts.get("jobs", "{}")
    found = {}
    for entry in bookmark.members(whole) or []:
        inside = {one.key: whole[one.value : one.end] for one in bookmark.members(whole, entry.value) or []}
        if "bookmark" not in inside:
            raise errors.ConfigError("state.invalid", f"{entry.key} has no bookmark in the file")
        found[entry.key] = bookmark.exact_text(inside["bookmark"])
    if job is None:
        return found
    if job not in found:
        known = ", ".join(found) or "none"
        raise errors.ConfigError("state.unknown", f"the file has no bookmark of {job}", details=(f"it has: {known}",))
    return {job: found[job]}
