"""What looks like the wrong tool: a plugin of one's own that does a connector's work, a connector bent into one.

The rule is in docs/guides/choosing-a-plugin.md. Nothing here is an error, and no setting's value is shown (I13): only
which plugin, which key, and what to do instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dativo.config.project import Project
from dativo.config.specs import JobSpec
from dativo.dataclass import dataclass
from dativo.plugins import engine, firstparty
from dativo.plugins.installed import script_path
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.registry.entry import Entry
from dativo.plugins.registry.index import Index

PAGE = "docs/guides/choosing-a-plugin.md"
LONG = 100
"""Characters of one expression: a line."""
MANY = 12
"""Items of one list of settings."""
LARGE = 8_000
"""Characters of all settings of a generic connector."""
BETWEEN = 2
"""Mappers in a row."""
GENERIC = ("rest-api", "rest-api-msdk", "rest", "api", "sql", "dbapi", "sqlalchemy", "singer-jsonl", "universal-file")
"""Systems that are no system: what these read is said by their settings alone."""
CODE_VARIABLES = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT", "LD_PRELOAD", "LD_LIBRARY_PATH", "PATH")
"""Variables that decide which code runs."""
_CODE = re.compile(
    r"\{%|\{\{[^}]*\{\{|\blambda\s[\w, ]*:|\bdef\s+\w+\s*\(|[\[(][^\])]*\sfor\s+\w+\s+in\s"
    r"|^\s*(?:from\s+[\w.]+\s+)?import\s+\w+\s*$",
    re.MULTILINE,
)
"""Templates with statements or in templates, and Python that is more than an expression."""
_STARTS = re.compile(r"subprocess|os\.exec|os\.system|popen|\A#![^\n]*\b(?:ba|z|da|k)?sh\b", re.IGNORECASE)
_NAMED = re.compile(r"(?<![\w./-])(?:tap|target)-[a-z0-9][a-z0-9-]*")
_MOST = 1 << 20


@dataclass(frozen=True)
class Advice:
    """One remark: about which plugin (or job), a stable code, what was seen, what to do."""

    about: str
    code: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.about}: {self.message} · {self.hint}"


def of_plugin(project: Project, plugin: LockedPlugin, names: Index) -> list[Advice]:
    """What there is to say about a locked plugin and its section of dativo.yml."""
    entry = names.of(plugin)
    own = plugin.source != "pypi" and entry is None and plugin.distribution not in firstparty.FOLDERS
    said = project.declared(plugin.name)
    found = [_known(plugin, names), _same_hosts(plugin, said, names), _starts(project, plugin, names)] if own else []
    found += [] if own else [_executable(plugin, said, entry)]
    found += [_variables(plugin.name, said), *_settings(plugin, said)]
    return [one for one in found if one is not None]


def of_job(spec: JobSpec, kinds: Mapping[str, str]) -> list[Advice]:
    """What there is to say about a job; `kinds` tells what its steps are."""
    between = [name for name in spec.steps if kinds.get(name) == "mapper"]
    if len(between) <= BETWEEN:
        return []
    message = f"{len(between)} mappers in a row: {', '.join(between)}"
    return [Advice(spec.name, "job.mappers", message, f"one plugin of your own is easier to keep: {PAGE}")]


# -- a plugin of one's own


def _known(plugin: LockedPlugin, names: Index) -> Advice | None:
    """The registry has the connector, by its name or by its package's."""
    told = engine.connector_of(plugin)
    known = names.choices(plugin.name) or (names.alike(told.name) if told else [])
    if not known:
        return None
    listed = ", ".join(dict.fromkeys(one.variant for one in known))
    message = f"the registry has a connector of this name ({listed}): dativo info {known[0].name}"
    return Advice(plugin.name, "plugin.known", message, f"when to write one: {PAGE}")


def _same_hosts(plugin: LockedPlugin, said: Mapping[str, Any], names: Index) -> Advice | None:
    """It reaches what one connector of the registry, and no other, is known to reach."""
    told = engine.connector_of(plugin)
    if names.choices(plugin.name) or (told and names.alike(told.name)):
        return None  # said already
    asked = [plugin.sandbox.get("network"), (said.get("sandbox") or {}).get("network")]
    hosts = {str(one) for some in asked if isinstance(some, list | tuple) for one in some if "{" not in str(one)}
    if not hosts:
        return None
    reach: dict[str, set[str]] = {}
    for catalogue in names.catalogues:
        for one in catalogue.read_entries():
            for host in one.hosts() if one.kind == plugin.kind else ():
                reach.setdefault(host, set()).add(one.name)
    for host in sorted(hosts):
        if len(reach.get(host, ())) == 1:
            (name,) = reach[host]
            message = f"it reaches {host}, as {name} of the registry does: dativo info {name}"
            return Advice(plugin.name, "plugin.known", message, f"when to write one: {PAGE}")
    return None


def _starts(project: Project, plugin: LockedPlugin, names: Index) -> Advice | None:
    """A script that starts another connector: fetching, logging in or cleaning up around it."""
    if plugin.source != "script":
        return None
    try:
        with Path(script_path(project, plugin)).open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST)
    except OSError:
        return None
    named = [one for one in dict.fromkeys(_NAMED.findall(text)) if one != plugin.name and names.choices(one)]
    if not named or not _STARTS.search(text):
        return None
    message = f"it seems to start {named[0]}, a connector of the registry, from within"
    hint = f"a step of its own has its own sandbox, bookmark and settings; else write the plugin: {PAGE}"
    return Advice(plugin.name, "plugin.wraps", message, hint)


# -- a connector that is bent


def _executable(plugin: LockedPlugin, said: Mapping[str, Any], entry: Entry | None) -> Advice | None:
    chosen = said.get("executable")
    if not chosen or entry is None or entry.executable in (None, chosen) or plugin.executable == entry.executable:
        return None
    message = f"executable: is not the connector's own command ({entry.executable})"
    return Advice(plugin.name, "connector.executable", message, f"leave the key out, or write the plugin: {PAGE}")


def _variables(name: str, said: Mapping[str, Any]) -> Advice | None:
    found = [key for key in (*(said.get("env") or {}), *(said.get("pass_env") or ())) if key in CODE_VARIABLES]
    if not found:
        return None
    message = f"{', '.join(found)} in its environment decides which code runs, and dativo.lock knows nothing of it"
    return Advice(name, "connector.environment", message, "add what it needs: dativo add NAME --with 'PACKAGE'")


def _settings(plugin: LockedPlugin, said: Mapping[str, Any]) -> Iterator[Advice]:
    config = said.get("config") or {}
    maps = {key: config[key] for key in ("stream_maps", "transformations") if config.get(key)}
    rest = {key: value for key, value in config.items() if key not in maps}
    if plugin.kind != "mapper" and (where := _first(maps, _is_long)):
        hint = f"put a mapper between the two (dativo search --kind mapper), or write the plugin: {PAGE}"
        yield Advice(plugin.name, "connector.expressions", f"{where} holds an expression longer than a line", hint)
    if plugin.kind == "mapper" and (where := _first(config, lambda text: len(text) > 3 * LONG and _is_code(text))):
        hint = f"a plugin of your own can be read and tested: {PAGE}"
        yield Advice(plugin.name, "connector.code", f"{where} holds a program", hint)
    if plugin.kind != "mapper" and (where := _first(rest, _is_code)):
        hint = f"settings that compute are a plugin: {PAGE}"
        yield Advice(plugin.name, "connector.code", f"{where} holds code", hint)
    told = engine.connector_of(plugin)
    if told is not None and told.system in GENERIC:
        yield from _generic(plugin, rest)


def _generic(plugin: LockedPlugin, config: Mapping[str, Any]) -> Iterator[Advice]:
    many = next(((key, len(one)) for key, one in config.items() if _streams(one) and len(one) > MANY), None)
    hint = f"a tap that knows this service is shorter, and can be tested: {PAGE}"
    if many is not None:
        yield Advice(plugin.name, "connector.generic", f"{many[0]} describes {many[1]} streams of one service", hint)
    elif len(json.dumps(config, default=str)) > LARGE:
        yield Advice(plugin.name, "connector.generic", f"its settings are longer than {LARGE:,} characters", hint)


def _streams(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_long(text: str) -> bool:
    return len(text) > LONG


def _is_code(text: str) -> bool:
    return len(text) <= _MOST and _CODE.search(text) is not None


def _first(values: Any, wrong: Callable[[str], bool], at: str = "", depth: int = 0) -> str | None:
    """The dotted key of the first text that is wrong."""
    if isinstance(values, str):
        return at if wrong(values) else None
    if depth > 40:  # YAML may nest as deep as it likes
        return None
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        found = _first(value, wrong, f"{at}.{key}" if at else str(key), depth + 1)
        if found is not None:
            return found
    return None
