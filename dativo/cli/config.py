"""`dativo config`: show, set, unset and test a plugin's settings."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report

if TYPE_CHECKING:
    from dativo.config.project import Project

ACTIONS = ("show", "set", "unset", "test")
ELSEWHERE = (*ACTIONS, "list", "print", "reset")
"""Words that stand before the plugin's name in Meltano."""


@click.command(
    name="config",
    help="""\b
  dativo config tap-postgres
  dativo config tap-postgres set host db.internal
  dativo config tap-postgres set password '${PG_PASSWORD}'
  dativo config tap-postgres unset host
  dativo config tap-postgres test

Show or change a plugin's settings in dativo.yml. `test` starts it, waits for the first record, and stops it.
""",
)
@click.argument("plugin")
@click.argument("action", default="show", metavar="[set|unset|show|test]")
@click.argument("words", nargs=-1, metavar="[KEY] [VALUE]")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--timeout", type=float, default=60.0, show_default=True, metavar="SECONDS", help="How long test waits.")
@options.env_option
@options.json_option
@options.verbosity_options
def command(*, plugin: str, action: str, words: tuple[str, ...], origin: bool, timeout: float, env: str | None) -> None:
    """Do one of the actions."""
    from dativo.config.project import Project

    if action not in ACTIONS:
        turned = f"; the plugin comes first: dativo config {action} {plugin}" if plugin in ELSEWHERE else ""
        raise errors.ConfigError("usage", f"{action!r} is none of {', '.join(ACTIONS)}{turned}")
    wanted = {"show": 0, "set": 2, "unset": 1, "test": 0}[action]
    if len(words) != wanted:
        shape = {"show": "", "set": " KEY VALUE", "unset": " KEY", "test": ""}[action]
        raise errors.ConfigError("usage", f"as in: dativo config {plugin} {action}{shape}")
    project = Project.find(env=env)
    schema = _schema(project, plugin, needed=action in ("set", "test"))
    actions: dict[str, Callable[[], None]] = {
        "show": lambda: _show(project, plugin, schema, origin=origin),
        "set": lambda: _set(project, plugin, schema, *words),
        "unset": lambda: _unset(project, plugin, *words),
        "test": lambda: _test(project, plugin, timeout),
    }
    actions[action]()


def _schema(project: Project, plugin: str, *, needed: bool) -> dict[str, Any]:
    """The settings a plugin describes; {} for one that is declared but not installed, when they are not needed."""
    from dativo.plugins.installed import installed

    try:
        return installed(project, plugin).settings_schema
    except errors.DativoError:
        if needed or plugin not in project.plugins():
            raise
        return {}


def _described(schema: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """What the schema says about a setting, which may be nested."""
    at: Any = schema
    for part in path:
        inner = at.get("properties") if isinstance(at, dict) else None
        at = inner.get(part) if isinstance(inner, dict) else None
    return at if isinstance(at, dict) else {}


# -- show


def _show(project: Project, plugin: str, schema: dict[str, Any], *, origin: bool) -> None:
    values = dict(project.declared(plugin).get("config") or {})
    origins = project.origin(plugin)
    rows = [_row(key, values, schema, origins) for key in _keys(values, schema)]
    report.result({"plugin": plugin, "settings": rows}, lambda: _lines(plugin, rows, origin=origin))


def _keys(values: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    return [*values, *(key for key in schema.get("properties", {}) if key not in values)]


def _row(key: str, values: dict[str, Any], schema: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    from dativo.cli.masking import masked
    from dativo.secrets.names import is_secret

    described = _described(schema, (key,))
    return {
        "setting": key,
        "value": masked(key, values.get(key), described),
        "set": key in values,
        "default": masked(key, described.get("default"), described),
        "required": key in (schema.get("required") or []),
        "secret": is_secret(key, described),
        "origin": origins.get(key, "default" if "default" in described else "unset"),
        "description": described.get("description"),
    }


def _lines(plugin: str, rows: list[dict[str, Any]], *, origin: bool) -> list[str]:
    everything = report.OUTPUT.verbosity > 0
    shown = [row for row in rows if everything or row["set"] or row["required"]]
    table = [[row["setting"], _value(row), *([row["origin"]] if origin else [])] for row in shown]
    rest = len(rows) - len(shown)
    lines = report.columns(table) if table else [f"  {plugin}: nothing is set"]
    return [*lines, *([f"  {rest} more settings, not set: -v shows them"] if rest else [])]


def _value(row: dict[str, Any]) -> str:
    if row["set"]:
        return _text(row["value"])
    if row["required"] and row["default"] is None:
        return "(required, not set)"
    return "" if row["default"] is None else f"{_text(row['default'])} (default)"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# -- set and unset


def _set(project: Project, plugin: str, schema: dict[str, Any], key: str, text: str) -> None:
    from dativo.cli.masking import masked
    from dativo.config.variables import references
    from dativo.secrets.names import is_secret
    from dativo.secrets.reference import is_reference

    path = _path(schema, key)
    _known(plugin, schema, path)
    described = _described(schema, path)
    value = _typed(plugin, key, described, text)
    project.set_config(plugin, path, value)
    shown = masked(path[-1], value, described)
    place = project.settings_file.name if project.file else str(project.settings_file)
    report.result(
        {"plugin": plugin, "setting": key, "value": shown, "file": str(project.settings_file)},
        [f"  {plugin}: {key} = {_text(shown)} in {place}"],
    )
    if is_secret(path[-1], described) and not references(value) and not is_reference(value):
        variable = f"{plugin}_{key}".upper().replace("-", "_").replace(".", "_")
        report.warn(
            f"{key} now stands in plain text in {place}; safer: '${{{variable}}}' here, its value in .env, or secret://…"
        )


def _path(schema: dict[str, Any], key: str) -> tuple[str, ...]:
    """`a.b` leads into nested settings, unless a setting has that very name."""
    return (key,) if _described(schema, (key,)) else tuple(part for part in key.split(".") if part) or (key,)


def _known(plugin: str, schema: dict[str, Any], path: tuple[str, ...]) -> None:
    """Refuse a name that the plugin does not know, if it tells its settings and takes no others."""
    at: dict[str, Any] = schema
    for depth, part in enumerate(path):
        known = at.get("properties")
        if not isinstance(known, dict) or not known:
            return
        if part not in known:
            if at.get("additionalProperties") not in (None, False):
                return
            near = difflib.get_close_matches(part, known, n=1)
            hint = f"did you mean {'.'.join([*path[:depth], near[0]])}?" if near else f"see dativo config {plugin} -v"
            raise errors.ConfigError("config.unknown", f"{plugin} has no setting {'.'.join(path)}", hint=hint)
        at = known[part] if isinstance(known[part], dict) else {}


def _typed(plugin: str, key: str, described: dict[str, Any], text: str) -> Any:
    """The text as the setting's type. A reference to a variable is kept; what it holds is checked when it is read."""
    from dativo.config.variables import escaped, references
    from dativo.run import settings
    from dativo.secrets import reference

    if references(text):
        return text
    if reference.is_reference(text):
        reference.parse(text, f"{plugin}: {key}")
        return text
    value = settings.parse(described, text)
    if described:
        settings.check(plugin, {"type": "object", "properties": {key: described}}, {key: value})
    return escaped(value) if isinstance(value, str) else value


def _unset(project: Project, plugin: str, key: str) -> None:
    values = project.declared(plugin).get("config") or {}
    path = (key,) if key in values else tuple(key.split("."))
    project.unset_config(plugin, path)
    report.result({"plugin": plugin, "unset": key}, [f"  {plugin}: {key} is not set any more"])


# -- test


def _test(project: Project, plugin: str, timeout: float) -> None:
    from dativo.cli.trial import trial
    from dativo.observe.log import PluginLog
    from dativo.run.settings import Given
    from dativo.run.step import prepare

    step = prepare(project, plugin, Given())
    report.note(f"starting {plugin} …")
    done = trial(step, timeout=timeout, log=PluginLog(shown=report.OUTPUT.verbosity > 0))
    if done.stream is not None:
        line = f"{plugin} works: first record after {done.seconds:.1f} s, from {report.clean(done.stream)}"
    elif step.role == "tap":
        line = f"{plugin} works, but had no record to give ({done.streams} streams, {done.seconds:.1f} s)"
    elif step.speaks_airbyte:
        line = f"{plugin} says that it can load with these settings ({done.seconds:.1f} s)"
    else:
        line = f"{plugin} starts with these settings and ends with its input ({done.seconds:.1f} s)"
    report.result(
        {"plugin": plugin, "ok": True, "stream": done.stream, "seconds": round(done.seconds, 3)}, [f"  {line}"]
    )
