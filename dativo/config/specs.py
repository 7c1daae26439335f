"""What a project says about one plugin and about one job, ready to use: variables replaced, numbers parsed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import limits
from dativo.config.quantity import parse_duration, parse_size
from dativo.dataclass import dataclass

_DURATIONS = ("deadline", "delay", "max_delay", "pause", "eof", "term", "drain")


AIRBYTE = "airbyte:"
"""How a user says that a name is an Airbyte connector's."""
PYPI = "pypi:"
"""Before a name: the package that the index calls so, whatever a registry means by it."""


def bare(name: str) -> str:
    """A plugin's name as it is locked: `airbyte:source-faker` is source-faker."""
    return name.removeprefix(AIRBYTE).removeprefix("airbyte-") if name.startswith(AIRBYTE) else name


@dataclass(frozen=True)
class PluginSpec:
    """A plugin as the project configures it; every field has a default, so an unmentioned plugin has one too."""

    name: str
    kind: str | None = None
    variant: str | None = None
    engine: str | None = None
    """Which of its connector's engines is meant; None: whichever this plugin has."""
    source: str | None = None
    executable: str | None = None
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    select: tuple[str, ...] = ()
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    schema: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Stream -> column -> the JSON Schema that it has instead of the discovered one."""
    streams: tuple[str, ...] = ()
    """Of what is selected, only the streams that these patterns name."""
    catalog: str | None = None
    """A file to use instead of discovering."""
    env: dict[str, str] = field(default_factory=dict, repr=False)
    pass_env: tuple[str, ...] = ()
    config_mode: str = "auto"
    """`memfd`, `file` (a private copy the plugin may rewrite) or `auto`: what the engine knows about the plugin."""
    limits: dict[str, Any] = field(default_factory=dict)
    sandbox: dict[str, Any] = field(default_factory=dict)
    """What the project's owner grants on top of what its manifest asks for."""
    with_: tuple[str, ...] = ()
    python: str | None = None


@dataclass(frozen=True)
class JobSpec:
    """A job: its steps, what it changes about its plugins, and how it is to run. Sizes are bytes, times seconds."""

    name: str
    steps: tuple[str, ...]
    plugins: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    engine: str | None = None
    """The engine of its tap and target, where their connectors have it."""
    policy: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    sandbox: dict[str, Any] = field(default_factory=dict)
    """What it takes away from its plugins' grants."""
    grace: dict[str, Any] = field(default_factory=dict)
    retry: dict[str, Any] = field(default_factory=dict)
    encoding: str = "auto"
    """auto, records or arrow: how rows go to the target."""
    adapt: str | tuple[str, ...] = "auto"
    """auto, off, or what may be changed in a SCHEMA for the plugin that reads it."""
    stream_name: str | None = None
    """A template for the names that the target knows streams by."""
    spool: int | None = None
    """Bytes of columns that may lie between tap and target."""
    spill: dict[str, Any] = field(default_factory=dict)
    """What is kept for a target that dies: bytes of memory and disk, seconds of age."""
    continue_on_error: bool = False
    on_bad_record: dict[str, Any] = field(default_factory=dict)
    """policy, and the thresholds rows and percent."""
    schema_change: dict[str, Any] = field(default_factory=dict)
    """default, and streams by name."""
    schedule: str | None = None
    description: str | None = None
    tenant: str | None = None
    full_refresh: bool = False
    parallel: int = 1
    """How many taps may read at once."""
    together: tuple[tuple[str, ...], ...] = ()
    """Patterns of streams that one tap is to read."""
    job_limits: dict[str, Any] = field(default_factory=dict)
    """Bounds of all its processes together: memory and free in bytes, cpu in cores."""
    verify: str = "never"
    """`after`: the destination is read back before the last bookmark is kept."""
    state: Path | None = None
    """A state to start from instead of the bookmark: of a Meltano project."""


def job_name(steps: Sequence[str]) -> str:
    """`tap-x-to-target-y`, mappers between them included."""
    return f"{'-'.join(steps[:-1])}-to-{steps[-1]}"


def plugin_spec(name: str, data: Mapping[str, Any]) -> PluginSpec:
    """A spec from checked, resolved data."""
    return PluginSpec(
        name=name,
        kind=data.get("kind"),
        variant=data.get("variant"),
        engine=data.get("engine"),
        source=data.get("source"),
        executable=data.get("executable"),
        config=dict(data.get("config") or {}),
        select=tuple(data.get("select") or ()),
        metadata={stream: dict(values) for stream, values in (data.get("metadata") or {}).items()},
        schema={stream: dict(columns) for stream, columns in (data.get("schema") or {}).items()},
        streams=tuple(data.get("streams") or ()),
        catalog=data.get("catalog"),
        env={key: str(value) for key, value in (data.get("env") or {}).items()},
        pass_env=tuple(data.get("pass_env") or ()),
        config_mode=data.get("config_mode") or "auto",
        limits=bounds(data.get("limits"), f"plugins.{name}.limits"),
        sandbox=dict(data.get("sandbox") or {}),
        with_=tuple(data.get("with") or ()),
        python=data.get("python"),
    )


def job_spec(name: str, data: Mapping[str, Any], *, state: Path | None = None) -> JobSpec:
    """A spec from checked, resolved data."""
    steps = tuple(bare(step) for step in data.get("steps") or ())
    if not steps:
        raise errors.ConfigError("job.invalid", f"job {name} has no steps")
    limited, side_by_side = data.get("limits") or {}, _parallel(data.get("parallel"))
    return JobSpec(
        name=name,
        steps=steps,
        plugins={
            plugin: {**values, **({"limits": bounds(values["limits"], plugin)} if "limits" in values else {})}
            for plugin, values in ((key, value or {}) for key, value in (data.get("plugins") or {}).items())
        },
        engine=data.get("engine"),
        policy=dict(data.get("policy") or {}),
        limits=bounds({key: value for key, value in limited.items() if key != "job"}, f"{name}.limits"),
        sandbox=dict(data.get("sandbox") or {}),
        grace=numbers(data.get("grace"), f"{name}.grace"),
        retry=retrying(data.get("retry") or {}, f"{name}.retry"),
        encoding=data.get("encoding") or "auto",
        adapt=_adapt(data.get("adapt")),
        stream_name=data.get("stream_name"),
        spool=None if data.get("spool") is None else int(_read(parse_size, data["spool"], f"{name}.spool")),
        spill={
            key: _read(parse_duration if key == "age" else parse_size, value, f"{name}.spill.{key}")
            for key, value in (data.get("spill") or {}).items()
        },
        continue_on_error=bool(data.get("continue_on_error")),
        on_bad_record=_bad_records(data.get("on_bad_record")),
        schema_change=_schema_change(data.get("schema_change")),
        schedule=data.get("schedule"),
        description=data.get("description"),
        tenant=data.get("tenant"),
        full_refresh=bool(data.get("full_refresh")),
        parallel=_read(int, side_by_side.get("taps", 1), f"{name}.parallel"),
        together=tuple(tuple(one) for one in side_by_side.get("together") or ()),
        job_limits={
            key: _read(float if key == "cpu" else parse_size, value, f"{name}.limits.job.{key}")
            for key, value in (limited.get("job") or {}).items()
        },
        verify=data.get("verify") or "never",
        state=state,
    )


def _parallel(said: Any) -> dict[str, Any]:
    return dict(said) if isinstance(said, Mapping) else {"taps": said or 1}


def _adapt(said: Any) -> str | tuple[str, ...]:
    if isinstance(said, list):
        return tuple(said)
    return "off" if said in ("off", False) else "auto"


def _bad_records(said: Any) -> dict[str, Any]:
    return dict(said) if isinstance(said, Mapping) else {"policy": said or "fail"}


def _schema_change(said: Any) -> dict[str, Any]:
    words = dict(said) if isinstance(said, Mapping) else {"default": said or "evolve"}
    default = words.pop("default", "evolve")
    return {"default": default, "streams": words}


def bounds(data: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """Limits by the names of the table: sizes as bytes, durations as seconds, counts as they are."""
    return {limits.named(key): _read(functools.partial(limits.parse, key), value, f"{where}.{key}")
            for key, value in (data or {}).items()}  # fmt: skip


def numbers(data: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """Durations as seconds; counts as they are."""
    return {key: _number(key, value, f"{where}.{key}") for key, value in (data or {}).items()}


def retrying(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A job's `retry:` keys; the breaker's are a mapping of their own."""
    found = numbers({key: value for key, value in data.items() if key != "breaker"}, where)
    return {**found, **({"breaker": numbers(data["breaker"], f"{where}.breaker")} if "breaker" in data else {})}


def _number(key: str, value: Any, where: str) -> Any:
    if key not in _DURATIONS:
        return _read(int, value, where)
    return None if value is None else _read(parse_duration, value, where)


def _read(parse: Callable[[Any], object], value: Any, where: str) -> Any:
    try:
        return parse(value)
    except (ValueError, TypeError) as problem:
        expected = str(problem) if parse is not int else "a whole number is expected"
        raise errors.ConfigError("config.invalid", f"{where}: {expected}") from None
