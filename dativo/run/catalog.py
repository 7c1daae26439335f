"""The catalog a tap is given: discovered or from a file, with the selection of dativo.yml or --select applied."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.engines.singer import OwnChoice
from dativo.observe.log import PluginLog
from dativo.run import probe
from dativo.run.interrupts import Interrupts
from dativo.run.options import RunOptions
from dativo.run.part import Part
from dativo.run.step import Step

EVERYTHING = ("*.*",)


def read(path: Path) -> dict[str, Any]:
    """A --catalog file, checked so far that a selection can be applied to it."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as problem:
        raise errors.ConfigError("catalog.invalid", f"{path}: {problem.strerror}", hint="check --catalog") from problem
    except ValueError as problem:
        where = f": line {problem.lineno}, column {problem.colno}" if isinstance(problem, json.JSONDecodeError) else ""
        raise errors.ConfigError("catalog.invalid", f"{path} is not JSON{where}") from None
    except RecursionError:
        raise errors.ConfigError("catalog.invalid", f"{path} is nested too deeply") from None
    streams = content.get("streams") if isinstance(content, dict) else None
    if not isinstance(streams, list):
        raise errors.ConfigError("catalog.invalid", f"{path} holds no catalog: it has no list `streams`")
    for at, stream in enumerate(streams):
        wrong = _wrong(stream)
        if wrong:
            raise errors.ConfigError("catalog.invalid", f"{path}: streams[{at}] {wrong}")
    return dict(content)


def chosen(step: Step, options: RunOptions) -> dict[str, Any] | None:
    """The catalog of --catalog, else the one that the tap's section names; None where it is to be discovered."""
    if options.catalog:
        return read(options.catalog)
    return read(step.project.root / step.spec.catalog) if step.spec.catalog else step.streams


def whole(given: dict[str, Any]) -> str:
    """The text of a catalog for who is to know its streams: all of them, where none is selected."""
    from dativo_protocol.catalog import apply_selection, selected_streams

    chosen = given if selected_streams(given) else apply_selection(given, EVERYTHING, {})
    return json.dumps(chosen, ensure_ascii=False)


def _wrong(stream: Any) -> str | None:
    if not isinstance(stream, dict):
        return "is no object"
    if not isinstance(stream.get("tap_stream_id", stream.get("stream")), str):
        return "has no tap_stream_id"
    if not isinstance(stream.get("schema"), dict):
        return "has no schema"
    if not isinstance(stream.get("metadata", []), list):
        return "has metadata that is no list"
    return None


def prepare(
    step: Step,
    options: RunOptions,
    given: dict[str, Any] | None,
    interrupts: Interrupts,
    log: PluginLog,
    *,
    discovered: dict[str, Any] | None = None,
    beat: Callable[[], None] | None = None,
) -> str | None:
    """The catalog's text for a tap, or None for a tap that knows none. `given` is the --catalog file, already read.

    `discovered` is what the tap has discovered, where it was asked before. An `OwnChoice` where nothing was chosen and
    the tap, which is one of the SDK, would read just that by itself.
    """
    from dativo_protocol.catalog import alike, apply_schema, apply_selection, selected_streams

    own = None
    if given is not None:
        catalog = given
        patterns, metadata = options.select, {}
    elif step.can("discover") and (step.can("catalog") or step.can("properties")):
        catalog = discovered or probe.discover(
            step.plugin, step.config, interrupts=interrupts, log=log, beat=beat, **step.surroundings()
        )
        catalog = apply_schema(catalog, step.spec.schema)
        patterns, metadata = options.select or step.spec.select or EVERYTHING, step.spec.metadata
        unchosen = patterns == EVERYTHING and not (metadata or step.spec.schema)
        own = catalog if unchosen and "sdk_version" in step.plugin.manifest else None
    else:
        if options.streams or options.select:
            raise errors.ConfigError(
                "usage", f"{step.name} discovers no streams, so none can be selected", hint="give --catalog FILE"
            )
        return None
    if patterns or metadata:
        catalog = apply_selection(catalog, patterns, metadata)
    if step.spec.streams:
        catalog = _filtered(catalog, part(step, options))
    if options.streams:
        catalog = _only(step, catalog, options.streams)
    if not selected_streams(catalog):
        raise errors.ConfigError(
            "catalog.none",
            f"no stream of {step.name} is selected",
            hint=f"see `dativo select {step.name}`",
            context={"plugin": step.name},
        )
    text = json.dumps(catalog, ensure_ascii=False)
    return OwnChoice(text) if own is not None and alike(own, catalog) else text


def part(step: Step, options: RunOptions) -> Part:
    """The streams that a run of this tap reads."""
    return Part(options.streams, tuple(step.spec.streams))


def _filtered(catalog: dict[str, Any], of: Part) -> dict[str, Any]:
    """The catalog with the streams deselected that the filter leaves out."""
    from dativo_protocol.catalog import stream_id

    return {**catalog, "streams": [one if of.passes(stream_id(one)) else deselected(one) for one in catalog["streams"]]}


def _only(step: Step, catalog: dict[str, Any], streams: tuple[str, ...]) -> dict[str, Any]:
    """The catalog with every other stream deselected. A stream goes by its id or its name."""
    known = [str(one.get("tap_stream_id", one.get("stream"))) for one in catalog["streams"]]
    names = {*known, *(str(one.get("stream")) for one in catalog["streams"])}
    for wanted in streams:
        if wanted not in names:
            import difflib

            near = difflib.get_close_matches(wanted, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see `dativo discover {step.name}`"
            raise errors.ConfigError("catalog.none", f"{step.name} has no stream {wanted}", hint=hint)
    kept = []
    for one in catalog["streams"]:
        if one.get("tap_stream_id", one.get("stream")) in streams or one.get("stream") in streams:
            kept.append(one)
        else:
            kept.append(deselected(one))
    return {**catalog, "streams": kept}


def deselected(stream: dict[str, Any]) -> dict[str, Any]:
    """The stream, no longer selected; its columns' selection stays."""
    others = [entry for entry in stream.get("metadata", []) if entry.get("breadcrumb")]
    own: dict[str, Any] = next((entry for entry in stream.get("metadata", []) if not entry.get("breadcrumb")), {})
    root = {"breadcrumb": [], "metadata": {**(own.get("metadata") or {}), "selected": False}}
    schema = stream.get("schema")
    told = {"schema": {**schema, "selected": False}} if isinstance(schema, dict) and "selected" in schema else {}
    return {**stream, "selected": False, "metadata": [root, *others], **told}
