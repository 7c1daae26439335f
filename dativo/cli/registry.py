"""`dativo registry add|list|update|remove`: the indexes that `search`, `info` and `add` look into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.search import PAGE

if TYPE_CHECKING:
    from dativo.plugins.registry.kept import Fresh, Kept


@click.group(
    name="registry",
    help="""\b
  dativo registry add ours ./registry
  dativo registry add ours git+https://host/team/registry.git
  dativo registry add hub https://host/meltano/api/v1
  dativo registry update hub
  dativo registry list

Registries say which plugins there are: a folder, a git repository or a web server, in Dativo's format or Meltano Hub's.
What was read is pinned by its digest and kept for use offline; a change is used after `update` accepted it.
""",
    epilog=PAGE,
)
def command() -> None:
    """Look after the registries."""


@command.command(
    "add",
    short_help="Add a registry.",
    help="""\b
  dativo registry add ours ./registry
  dativo registry add hub https://host/meltano/api/v1
  dativo registry add ours https://host/index.json --digest sha256:…

Read a registry, check it, and keep it. PLACE is a folder or a file, git+URL[@REV][#subdirectory=FOLDER], or a URL.
It is asked after the registries that are there already.
""",
    epilog=PAGE,
)
@click.argument("name")
@click.argument("place")
@click.option("--digest", metavar="SHA256", help="Refuse it unless its index has this digest.")
@options.json_option
@options.verbosity_options
def add_command(*, name: str, place: str, digest: str | None) -> None:
    """Add one."""
    from dativo.plugins.registry import kept

    fresh = kept.add(name, place, digest)
    _tell_unusable(fresh)
    row = _row(fresh.kept, fresh.count)
    report.result(row, lambda: [f"  {name}: {_plugins(row)} · {row['format']} · pinned at {_short(row)}"])


@command.command(
    "list",
    short_help="Show the registries.",
    help="""\b
  dativo registry list
  dativo registry list --json

Show the registries in the order in which they are asked.
""",
    epilog=PAGE,
)
@options.json_option
@options.verbosity_options
def list_command() -> None:
    """Show them."""
    from dativo import __version__
    from dativo.plugins.registry import index, kept

    (ours,) = index.shipped().catalogues
    rows = [
        {"name": ours.name, "plugins": len(ours.plugins), "place": f"Dativo {__version__}", "format": "dativo"},
        *(_row(one, _count(one)) for one in kept.every()),
    ]
    report.result(
        rows,
        lambda: report.columns(
            [[row["name"], _counted(row), row["format"], row["place"], _short(row)] for row in rows], right=[1]
        ),
    )


@command.command(
    "update",
    short_help="Read a registry again and accept what changed.",
    help="""\b
  dativo registry update hub
  dativo registry update --dry-run
  dativo registry update hub --yes

Read registries again (all, when none is named), show what changed, and use it from now on when that is agreed to.
Plugins that are installed stay as they are.
""",
    epilog=PAGE,
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@options.yes_option
@options.dry_run_option
@options.json_option
@options.verbosity_options
def update_command(*, names: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Update them one after another; the first that cannot be read, or is not agreed to, ends it."""
    from dativo.plugins.registry import kept

    wanted = names or tuple(one.name for one in kept.every())
    done = [_update(name, yes=yes, dry_run=dry_run) for name in wanted]
    rows = [row for row, _ in done]
    lines = [line for _, some in done for line in some] or ["  there is no registry beside Dativo's own"]
    report.result(rows[0] if len(names) == 1 else rows, lines)


def _update(name: str, *, yes: bool, dry_run: bool) -> tuple[dict[str, Any], list[str]]:
    from dativo.plugins.registry import kept

    before = kept.get(name)
    fresh = kept.read_again(name)
    same = (before.digest, before.pins) == (fresh.kept.digest, fresh.kept.pins)
    known = {} if same or _count(before) is None else before.entries()
    lines = [] if same else kept.differences(known, fresh.entries())
    if same and not before.sound():
        kept.accept(fresh)  # what was damaged here is as it was accepted again
    elif not same and not dry_run:
        if not yes:
            _ask(name, lines)
        kept.accept(fresh)
    _tell_unusable(fresh)
    row = {**_row(fresh.kept, fresh.count), "changes": lines, "accepted": not same and not dry_run}
    return row, [*_changes(lines), _outcome(name, row, same=same, dry_run=dry_run)]


@command.command(
    "remove",
    short_help="Forget a registry.",
    help="""\b
  dativo registry remove hub

Forget a registry. Plugins that were added from it stay installed and locked.
""",
    epilog=PAGE,
)
@click.argument("name")
@options.json_option
@options.verbosity_options
def remove_command(*, name: str) -> None:
    """Remove one."""
    from dativo.plugins.registry import kept

    kept.remove(name)
    report.result({"name": name}, lambda: [f"  {name} is forgotten"])


def _ask(name: str, lines: list[str]) -> None:
    """Show what changed and ask; where nobody can be asked it is an error that holds the changes."""
    try:
        if not report.OUTPUT.json:
            for line in _changes(lines):
                report.note(line.strip())
        report.confirm(f"use this index of {name}", yes=False)
    except errors.ConfigError:
        raise errors.ConfigError(
            "registry.changed",
            f"registry {name} is not what was accepted",
            details=tuple(line.strip() for line in _changes(lines)) if report.OUTPUT.json else (),
            hint=f"look at the changes, then: dativo registry update {name} --yes",
        ) from None


def _changes(lines: list[str], most: int = 40) -> list[str]:
    more = [f"  and {len(lines) - most:,} more"] if len(lines) > most else []
    return [*(f"  {line}" for line in lines[:most]), *more]


def _outcome(name: str, row: dict[str, Any], *, same: bool, dry_run: bool) -> str:
    if same:
        return f"  {name} is unchanged · {_plugins(row)} · pinned at {_short(row)}"
    if dry_run:
        return f"  {name} would change · {_plugins(row)} at {_short(row)}"
    return f"  {name}: {_plugins(row)} · pinned at {_short(row)}"


def _plugins(row: dict[str, Any]) -> str:
    return f"{row['plugins']:,} plugin{'' if row['plugins'] == 1 else 's'}"


def _tell_unusable(fresh: Fresh) -> None:
    bad = fresh.unusable()
    if bad:
        more = f" and {len(bad) - 3:,} more" if len(bad) > 3 else ""
        report.warn(f"not usable: {', '.join(bad[:3])}{more} · dativo info says why")


def _count(one: Kept) -> int | None:
    """How many plugins a registry lists; None when what was kept of it is not what was accepted."""
    try:
        return len(one.plugins)
    except errors.ConfigError:
        return None


def _counted(row: dict[str, Any]) -> str:
    return "changed" if row["plugins"] is None else f"{row['plugins']:,}"


def _row(one: Kept, count: int | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "plugins": count,
        "place": one.place,
        "format": one.format,
        "digest": one.digest,
        "commit": one.commit,
        "read_at": one.read_at,
    }


def _short(row: dict[str, Any]) -> str:
    digest = row.get("digest")
    return f"{digest[: len('sha256:') + 8]}…" if digest else ""
