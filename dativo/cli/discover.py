"""`dativo discover`: the streams and columns a tap offers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dativo import errors
from dativo.cli import options, report


@click.command(
    name="discover",
    help="""\b
  dativo discover tap-postgres
  dativo discover tap-csv --set files='data/*.csv' --output catalog.json
  dativo discover tap-postgres --json | jq '.streams[].tap_stream_id'

Ask a tap which streams it has. --json prints the whole catalog.
""",
)
@click.argument("plugin")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="A setting for this once (repeatable).")
@click.option(
    "--config", "files", metavar="FILE", multiple=True, help="Settings from a JSON file, or ENV (repeatable)."
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the catalog to a file.")
@options.streams_option
@options.env_option
@options.json_option
@options.verbosity_options
def command(
    *,
    plugin: str,
    sets: tuple[str, ...],
    files: tuple[str, ...],
    output: Path | None,
    streams: tuple[str, ...],
    env: str | None,
) -> None:
    """Discover and show."""
    from dativo.config.project import Project

    catalog = discovered(Project.find(env=env), plugin, sets=sets, files=files)
    if streams:
        catalog = {**catalog, "streams": [chosen(catalog, plugin, name) for name in streams]}
    if output is not None:
        from dativo.config import atomic

        atomic.write(output, json.dumps(catalog, ensure_ascii=False, indent=2) + "\n")
        report.note(f"{len(catalog['streams'])} streams written to {output}")
        if not report.OUTPUT.json:
            return
    report.result(catalog, lambda: _lines(plugin, catalog), exact=True)


def discovered(project: Any, plugin: str, *, sets: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> dict[str, Any]:
    """The catalog of a tap, configured as a run would be."""
    from dativo.observe.log import PluginLog
    from dativo.run import probe
    from dativo.run.disclosure import disclosed
    from dativo.run.interrupts import Interrupts
    from dativo.run.settings import Given, words
    from dativo.run.step import prepare

    step = prepare(project, plugin, Given(sets=words(sets, "--set"), files=list(files)), flag="--set {}=…")
    if not step.can("discover"):
        raise errors.ConfigError("usage", f"{plugin} cannot discover streams", hint="only taps with --discover can")
    with Interrupts() as interrupts, disclosed([step]) as (step,):
        log = PluginLog(shown=report.OUTPUT.verbosity > 0)
        catalog = probe.discover(step.plugin, step.config, interrupts=interrupts, log=log, **step.surroundings())
    _checked(plugin, catalog)
    return catalog


def _checked(plugin: str, catalog: dict[str, Any]) -> None:
    from dativo_protocol.catalog import validate

    try:
        validate(catalog)
    except ValueError as problem:
        raise errors.ConfigError(
            "catalog.invalid", f"{plugin} discovered a catalog that cannot be used: {problem}",
            hint="report it to the plugin's author",
        ) from None  # fmt: skip


def chosen(catalog: dict[str, Any], plugin: str, name: str) -> dict[str, Any]:
    """One stream, by its id or its name, or the error that names the nearest."""
    import difflib

    from dativo_protocol.catalog import stream_id

    for stream in catalog["streams"]:
        if name in (stream_id(stream), stream.get("stream")):
            return dict(stream)
    known = [stream_id(stream) for stream in catalog["streams"]]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"see dativo discover {plugin}"
    raise errors.ConfigError("catalog.none", f"{plugin} has no stream {name}", hint=hint)


def method_of(stream: dict[str, Any]) -> tuple[str, str]:
    """(replication method, replication key) of a stream, wherever the tap keeps them; empty when it does not say."""
    own = _metadata(stream)
    method = own.get("replication-method") or own.get("forced-replication-method") or stream.get("replication_method")
    key = own.get("replication-key") or stream.get("replication_key")
    return str(method or ""), str(key or "")


def _metadata(stream: dict[str, Any]) -> dict[str, Any]:
    """What the tap says about the stream itself."""
    found: list[dict[str, Any]] = [one["metadata"] for one in stream.get("metadata", []) if not one["breadcrumb"]]
    return found[0] if found else {}


def keys_of(stream: dict[str, Any]) -> list[str]:
    """The primary key columns of a stream, wherever the tap keeps them."""
    own = _metadata(stream)
    found = stream.get("key_properties") or own.get("table-key-properties") or own.get("view-key-properties") or []
    return [str(key) for key in found] if isinstance(found, list) else [str(found)]


def _lines(plugin: str, catalog: dict[str, Any]) -> list[str]:
    from dativo_protocol.catalog import stream_id

    streams = catalog["streams"]
    if not streams:
        return [f"  {plugin} offers no streams"]
    rows = [["stream", "columns", "key", "replication"]]
    for stream in streams:
        columns = len(stream["schema"].get("properties") or {})
        rows.append(
            [stream_id(stream), str(columns), ", ".join(keys_of(stream)), " by ".join(filter(None, method_of(stream)))]
        )
    return [*report.columns(rows, right=(1,)), f"  {len(streams)} stream{'' if len(streams) == 1 else 's'}"]
