"""`dativo select`: show or change which streams and columns are read, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.config.project import Project

METHODS = ("FULL_TABLE", "INCREMENTAL", "LOG_BASED")


@click.command(
    name="select",
    help="""\b
  dativo select tap-postgres
  dativo select tap-postgres 'public-orders.*' '!public-orders.card_number'
  dativo select tap-postgres --add 'public-users'
  dativo select tap-postgres --stream orders --replication-method FULL_TABLE

Show or change what a tap reads; kept in dativo.yml. Patterns replace the old ones unless --add; ! leaves out.
""",
)
@click.argument("plugin")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]…")
@click.option("--add", is_flag=True, help="Keep the patterns that are there.")
@click.option("--clear", is_flag=True, help="Forget all patterns: everything is read.")
@click.option("--replication-method", type=click.Choice(METHODS, case_sensitive=False), help="How --stream is read.")
@click.option("--replication-key", metavar="COLUMN", help="What --stream is read by, for INCREMENTAL.")
@options.streams_option
@options.env_option
@options.json_option
@options.verbosity_options
def command(
    *,
    plugin: str,
    patterns: tuple[str, ...],
    add: bool,
    clear: bool,
    replication_method: str | None,
    replication_key: str | None,
    streams: tuple[str, ...],
    env: str | None,
) -> None:
    """Change if asked to, then show."""
    from dativo.cli.discover import chosen, discovered
    from dativo.config.project import Project

    _check_usage(patterns, streams, add=add, clear=clear, method=replication_method, key=replication_key)
    project = Project.find(env=env)
    catalog = discovered(project, plugin)
    _check_patterns(plugin, catalog, patterns)
    wanted = [chosen(catalog, plugin, name) for name in streams]
    for stream in wanted:
        _change_replication(project, plugin, stream, replication_method, replication_key)
    if patterns or clear:
        kept = list(project.plugin(plugin).select) if add else []
        project.set_select(plugin, [] if clear else [*kept, *(one for one in patterns if one not in kept)])
    _show(project, plugin, catalog, [str(stream.get("tap_stream_id", stream.get("stream"))) for stream in wanted])


def _check_usage(
    patterns: tuple[str, ...], streams: tuple[str, ...], *, add: bool, clear: bool, method: str | None, key: str | None
) -> None:
    if (method or key) and not streams:
        raise errors.ConfigError("usage", "--replication-method and --replication-key need --stream NAME")
    if clear and (patterns or add):
        raise errors.ConfigError("usage", "--clear goes without patterns")
    if add and not patterns:
        raise errors.ConfigError("usage", "--add needs a pattern", hint="as in: dativo select tap-x --add 'orders.*'")
    if any(not pattern.removeprefix("!") for pattern in patterns):
        raise errors.ConfigError("usage", "a pattern is empty", hint="as in 'orders.*' or '!orders.card_number'")


def _check_patterns(plugin: str, catalog: dict[str, Any], patterns: tuple[str, ...]) -> None:
    """A pattern that matches nothing today is kept, but said: it may be a typo."""
    from dativo_protocol.catalog import apply_selection, selected_streams

    for pattern in patterns:
        if not selected_streams(apply_selection(catalog, [pattern.removeprefix("!")])):
            report.warn(f"{pattern} matches nothing that {plugin} offers")


def _change_replication(
    project: Project, plugin: str, stream: dict[str, Any], method: str | None, key: str | None
) -> None:
    import difflib

    name = str(stream.get("tap_stream_id", stream.get("stream")))
    if key is not None:
        columns = list(stream["schema"].get("properties") or {})
        if columns and key not in columns:
            near = difflib.get_close_matches(key, columns, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see dativo discover {plugin} --stream {name} --json"
            raise errors.ConfigError("catalog.invalid", f"{name} has no column {key}", hint=hint)
        project.set_metadata(plugin, name, "replication-key", key)
    if method is not None:
        project.set_metadata(plugin, name, "replication-method", method.upper())


def _show(project: Project, plugin: str, catalog: dict[str, Any], only: list[str]) -> None:
    from dativo.cli.discover import method_of
    from dativo_protocol.catalog import apply_selection, selected_streams, stream_id

    spec = project.plugin(plugin)
    applied = apply_selection(catalog, spec.select or ("*.*",), spec.metadata)
    selected = selected_streams(applied)
    shown = []
    for stream in applied["streams"]:
        name = stream_id(stream)
        if only and name not in only:
            continue
        method, key = method_of(stream)
        columns = list(stream["schema"].get("properties") or {})
        shown.append(
            {
                "stream": name,
                "selected": name in selected,
                "columns": selected.get(name, []),
                "left_out": [column for column in columns if column not in selected.get(name, [])],
                "replication_method": method or None,
                "replication_key": key or None,
            }
        )
    data = {"plugin": plugin, "select": list(spec.select), "streams": shown}
    report.result(data, lambda: _lines(plugin, list(spec.select), shown))


def _lines(plugin: str, patterns: list[str], shown: list[dict[str, Any]]) -> list[str]:
    rows = []
    for stream in shown:
        total = len(stream["columns"]) + len(stream["left_out"])
        how = " by ".join(filter(None, (stream["replication_method"], stream["replication_key"])))
        few = ", ".join(stream["left_out"][:4]) + (" …" if len(stream["left_out"]) > 4 else "")
        without = f"without {few}" if stream["selected"] and stream["left_out"] else ""
        mark = "+" if stream["selected"] else "-"
        count = f"{len(stream['columns'])} of {total} columns" if stream["selected"] else "not read"
        rows.append([mark, stream["stream"], count, how if stream["selected"] else "", without])
    chosen = sum(1 for stream in shown if stream["selected"])
    told = f"select: {' '.join(patterns)}" if patterns else "no patterns: everything"
    table = report.columns(rows) if rows else [f"  {plugin} offers no streams"]
    return [*table, f"  {chosen} of {len(shown)} streams are read · {report.clean(told)}"]
