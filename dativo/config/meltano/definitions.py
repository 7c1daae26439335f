"""The plugins of a Meltano project: what each inherits, where its definition comes from, which settings it has.

A plugin's parent is another plugin (`inherit_from`), its own definition (with a `namespace`) or its lock file
`plugins/KIND/NAME--VARIANT.lock`. Facts: Meltano 4.4.1, core/plugin/project_plugin.py and core/plugin_lock_service.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.meltano.files import TYPES, Files, fault
from dativo.config.meltano.kinds import KINDS, PROCESSORS, SENSITIVE, Setting, flat, of_value
from dativo.dataclass import dataclass

MAX_LOCK = 4 << 20
RUNNABLE = {"extractors": "tap", "loaders": "target", "mappers": "mapper"}
"""What Dativo runs, and what it calls it."""
VERBS = {"extractors": "extract", "loaders": "load", "mappers": "map"}
ATTRIBUTES = (
    "name", "inherit_from", "namespace", "variant", "pip_url", "python", "executable", "capabilities", "settings",
    "settings_group_validation", "commands", "requires", "requires_meltano", "config", "env", "hidden", "label",
    "logo_url", "description",
)  # fmt: skip
"""The keys of a plugin that are no extras."""
SHOWN = (
    "docs", "repo", "ext_repo", "supported_python_versions", "keywords", "maintenance_status", "quality", "domain_url",
    "usage", "prereq", "next_steps", "settings_preamble", "definition", "hidden", "label", "logo_url", "description",
    "capabilities", "settings_group_validation", "requires_meltano", "annotations", "plugin_type",
)  # fmt: skip
"""Keys that are for people or for Meltano's own checks: nothing of a run depends on them."""
_LOG = Setting("_log_parser", value="singer-sdk")
EXTRAS: dict[str, tuple[Setting, ...]] = {
    "extractors": (
        _LOG,
        Setting("_catalog"),
        Setting("_state"),
        Setting("_load_schema", value="$MELTANO_EXTRACTOR_NAMESPACE"),
        Setting("_select", "array", ["*.*"]),
        Setting("_metadata", "object", {}, aliases=("metadata",), processor="nest_object"),
        Setting("_schema", "object", {}, processor="nest_object"),
        Setting("_select_filter", "array", []),
        Setting("_use_cached_catalog", "boolean", True),
    ),
    "loaders": (_LOG, Setting("_dialect", value="$MELTANO_LOADER_NAMESPACE")),
    "mappers": (
        _LOG,
        Setting("_mappings", "array", aliases=("mappings",)),
        Setting("_mapping_name", "string", aliases=("mapping_name",)),
    ),
}


@dataclass(frozen=True)
class Definition:
    """Where a line of inheritance ends: a custom definition, or a lock file."""

    name: str
    data: Mapping[str, Any]
    where: str

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings that it defines."""
        return parsed(self.data.get("settings"), self.where)


@dataclass(frozen=True)
class Plugin:
    """One plugin of meltano.yml, or one mapping of a mapper (`mapping` is then its name and `own` its mapper's)."""

    kind: str
    """A key of `files.TYPES`."""
    name: str
    own: Mapping[str, Any] = field(repr=False)
    where: str
    parent: Plugin | Definition = field(repr=False)
    mapping: str | None = None

    @property
    def called(self) -> str:
        """The word that a run names it by."""
        return self.mapping or self.name

    @property
    def inherits(self) -> bool:
        """Whether it is another plugin under a name of its own."""
        return self.own.get("inherit_from") not in (None, self.name)

    @property
    def base(self) -> Definition:
        """The definition at the end of the line."""
        return self.parent if isinstance(self.parent, Definition) else self.parent.base

    def attribute(self, key: str) -> Any:
        """One of `pip_url`, `executable`, `python`, `variant`, `capabilities`: its own, else what it inherits."""
        value = self.own.get(key)
        if value is not None:
            return value
        return self.parent.data.get(key) if isinstance(self.parent, Definition) else self.parent.attribute(key)

    @property
    def namespace(self) -> str:
        """What its variables may begin with beside its name."""
        given = self.own.get("namespace")
        if given:
            return str(given)
        if self.inherits or not isinstance(self.parent, Definition):
            return self.name.replace("-", "_")
        return str(self.parent.data.get("namespace") or self.name.replace("-", "_"))

    @property
    def config(self) -> dict[str, Any]:
        """Its `config:`; a mapping's is that mapping's."""
        if self.mapping is None:
            return dict(self.own.get("config") or {})
        return dict(next(one for one in self.own["mappings"] if one["name"] == self.mapping).get("config") or {})

    @property
    def extras(self) -> dict[str, Any]:
        """What its section says beside the known keys: `select`, `metadata` and their like."""
        found = {key: value for key, value in self.own.items() if key not in ATTRIBUTES and key != "annotations"}
        return {**found, "mapping": True, "mapping_name": self.mapping} if self.mapping else found

    @property
    def whole(self) -> dict[str, Any]:
        """Its config with its extras, `_select` and so on."""
        return {**self.config, **{f"_{key}": value for key, value in self.extras.items()}}

    @cached_property
    def settings(self) -> list[Setting]:
        """Its settings without extras: what it inherits, what it defines, and what its config names besides."""
        own = parsed(self.own.get("settings"), self.where)
        names = {one.name for one in own}
        found = [one for one in self.parent.settings if one.name not in names] + own
        return [*found, *missing(found, self.config)]

    @cached_property
    def extra_settings(self) -> list[Setting]:
        """Its extras."""
        above = self.parent
        found = above.extra_settings if isinstance(above, Plugin) else _base_extras(self.kind, above)
        return [*found, *missing(found, {f"_{key}": value for key, value in self.extras.items()})]

    def variables(self) -> list[str]:
        """What the variables that set its settings begin with."""
        return list(dict.fromkeys([self.name, self.namespace]))

    def written(self) -> list[str]:
        """What the variables begin with that tell its settings to others."""
        inherited = self.parent.written() if isinstance(self.parent, Plugin) else _prefixes(self.parent)
        verb = f"meltano_{VERBS.get(self.kind, self.kind)}"
        return list(dict.fromkeys([*self.variables(), *inherited, verb]))

    def info(self) -> dict[str, str]:
        """The variables that say which plugin it is: `MELTANO_EXTRACTOR_NAME` and two more."""
        said = {"name": self.name, "namespace": self.namespace, "variant": self.attribute("variant")}
        return {
            f"MELTANO_{TYPES[self.kind].upper()}_{key.upper()}": str(value)
            for key, value in said.items()
            if value is not None
        }


def _prefixes(definition: Definition) -> list[str]:
    return [definition.name, str(definition.data.get("namespace") or definition.name.replace("-", "_"))]


def _base_extras(kind: str, definition: Definition) -> list[Setting]:
    known = EXTRAS.get(kind, ())
    locked = definition.where.endswith(".lock")
    extras = {f"_{key}": value for key, value in definition.data.items() if locked and key not in (*ATTRIBUTES, *SHOWN)}
    found = [
        Setting(**{**vars(one), "value": extras[one.name]}) if extras.get(one.name) is not None else one
        for one in known
    ]
    names = {one.name for one in found}
    return [*found, *(Setting(key, value=value) for key, value in flat(extras).items() if key not in names)]


def missing(known: list[Setting], data: Mapping[str, Any]) -> list[Setting]:
    """Definitions for what is configured and defined nowhere."""
    names = {one.name for one in known}
    return [of_value(key, value) for key, value in flat(data).items() if key not in names]


def parsed(settings: Any, where: str) -> list[Setting]:
    """The `settings:` of a definition."""
    found = []
    for at, one in enumerate(settings or []):
        data = {"name": one} if isinstance(one, str) else one
        name = data.get("name") if isinstance(data, Mapping) else None
        if not isinstance(name, str) or not name:
            raise fault(where, f"settings[{at}] has no name")
        kind = data.get("kind")
        if kind is not None and kind not in KINDS:
            raise fault(where, f"the setting {name} has a kind that is not known: {kind}")
        for key in ("value_processor", "value_post_processor"):
            if data.get(key) is not None and data[key] not in PROCESSORS:
                raise fault(where, f"the setting {name} has a {key} that is not known: {data[key]}")
        found.append(
            Setting(
                name,
                "string" if kind in (*SENSITIVE, "hidden") and data.get("sensitive") else kind,
                data.get("value"),
                aliases=_texts(data.get("aliases")),
                env=data.get("env"),
                env_aliases=tuple(one for one in _texts(data.get("env_aliases"))),
                sensitive=bool(data.get("sensitive")) or kind in SENSITIVE,
                processor=data.get("value_processor"),
                post_processor=data.get("value_post_processor"),
                options=tuple(one.get("value") for one in data.get("options") or [] if isinstance(one, Mapping)),
            )
        )
    return found


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


class Plugins:
    """The plugins of a project, by the word that a run names them by. Definitions are read when they are asked for."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._made: dict[tuple[str, str], Plugin] = {}
        self._entries: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        self.words: dict[str, list[tuple[str, str, str | None]]] = {}
        """Word -> (kind, name, mapping) of all that it could mean."""
        for kind in TYPES:
            for entry, where in files.items("plugins", kind):
                name = entry["name"]
                self._entries[kind, name] = (entry, where)
                if kind != "mappers" or not entry.get("mappings"):
                    self.words.setdefault(name, []).append((kind, name, None))
                for mapping in self._mappings(entry, where) if kind == "mappers" else ():
                    self.words.setdefault(mapping, []).append((kind, name, mapping))

    @staticmethod
    def _mappings(entry: Mapping[str, Any], where: str) -> Iterator[str]:
        for one in entry.get("mappings") or []:
            if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not one["name"]:
                raise fault(where, f"each of the mappings of {entry['name']} has a name and a config")
            if not isinstance(one.get("config") or {}, dict):
                raise fault(where, f"the config of the mapping {one['name']} is a mapping")
            yield one["name"]

    def runnable(self) -> list[str]:
        """The words that name a tap, a target or a mapping."""
        return [word for word, meant in self.words.items() if any(kind in RUNNABLE for kind, _, _ in meant)]

    def first(self, kind: str, otherwise: str) -> str:
        """The first word of a kind."""
        return next((word for word, meant in self.words.items() if meant[0][0] == kind), otherwise)

    def named(self, word: str) -> Plugin:
        """What a word means. Raises `plugin.unknown` or `meltano.invalid`."""
        meant = self.words.get(word, [])
        if not meant:
            import difflib

            mapper = next((name for kind, name in self._entries if kind == "mappers" and name == word), None)
            near = difflib.get_close_matches(word, self.words, n=1)
            inside = ", ".join(self._mappings(*self._entries["mappers", word])) if mapper else ""
            hint = f"run one of its mappings instead of {word} itself: {inside}" if mapper else None
            hint = hint or (f"did you mean {near[0]}?" if near else "see `plugins:` in meltano.yml")
            raise errors.ConfigError("plugin.unknown", f"no plugin {word} in meltano.yml", hint=hint)
        if len(meant) > 1:
            raise fault(
                self._entries[meant[1][0], meant[1][1]][1],
                f"{word} names several things: {', '.join(kind for kind, _, _ in meant)}",
                hint="give each a name of its own",
            )
        kind, name, mapping = meant[0]
        found = self._plugin(kind, name, ())
        return Plugin(found.kind, found.name, found.own, found.where, found.parent, mapping) if mapping else found

    def kind(self, word: str) -> str | None:
        """The kind of a word, without reading its definition; None when there is no such word."""
        meant = self.words.get(word)
        return meant[0][0] if meant else None

    def _plugin(self, kind: str, name: str, line: tuple[str, ...]) -> Plugin:
        if (kind, name) not in self._made:
            entry, where = self._entries[kind, name]
            if name in line:
                raise fault(where, f"{name} inherits from itself: {' > '.join([*line, name])}")
            self._made[kind, name] = Plugin(kind, name, entry, where, self._parent(kind, entry, where, (*line, name)))
        return self._made[kind, name]

    def _parent(self, kind: str, entry: dict[str, Any], where: str, line: tuple[str, ...]) -> Plugin | Definition:
        name, parent = entry["name"], entry.get("inherit_from")
        parent = None if parent == name else parent
        if parent is None and entry.get("namespace"):
            return Definition(name, entry, where)
        if parent is not None and not entry.get("variant") and (kind, parent) in self._entries:
            return self._plugin(kind, parent, line)
        return self._locked(kind, parent or name, entry.get("variant"), where, name)

    def _locked(self, kind: str, name: str, variant: str | None, where: str, said: str) -> Definition:
        """The definition of `name` from its lock file, for the plugin that is called `said`."""
        folder = self._files.root / "plugins" / kind
        wanted = f"{name}--{variant}.lock" if variant else f"{name}--*.lock"
        if "/" in wanted or "\0" in wanted or name.startswith("."):
            raise fault(where, f"{name} and {variant} cannot be the name of a lock file")
        paths = [folder / wanted] if variant else sorted(folder.glob(wanted))
        paths = [*paths, folder / f"{name}.lock"] if not variant else paths
        there = [path for path in paths if path.is_file()]
        shown = f"plugins/{kind}/{wanted}"
        if not there and name != said:
            raise fault(
                where,
                f"{said} inherits from {name}, which is not in meltano.yml and has no lock file {shown}",
                hint=f"add it to meltano.yml: meltano add {name}",
            )
        if not there:
            raise fault(
                where,
                f"{name} has no namespace here and no lock file {shown}",
                hint="make it with Meltano: meltano lock --all",
            )
        if len(there) > 1:
            raise fault(where, f"{name} has several lock files {shown}", hint=f"say which: variant: … in {where}")
        return Definition(name, _lock(there[0], self._files.root), str(there[0].relative_to(self._files.root)))


def _lock(path: Path, root: Path) -> dict[str, Any]:
    shown = str(path.relative_to(root))
    if not path.resolve().is_relative_to(root.resolve()):
        raise fault(shown, "leads out of the project")
    try:
        if path.stat().st_size > MAX_LOCK:
            raise fault(shown, f"is larger than {MAX_LOCK >> 20} MiB")
        found = json.loads(path.read_bytes())
    except OSError as problem:
        raise fault(shown, f"cannot be read: {problem.strerror}") from problem
    except (ValueError, RecursionError):
        raise fault(shown, "is not JSON", hint="make it again: meltano lock --update --all") from None
    if not isinstance(found, dict) or not isinstance(found.get("settings") or [], list):
        raise fault(shown, "is no definition of a plugin")
    return found
