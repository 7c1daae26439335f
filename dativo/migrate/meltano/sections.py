"""One plugin of meltano.yml as a section of dativo.yml, as it is in one environment or in none."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config.layers import merged
from dativo.config.meltano import dates, selection
from dativo.config.meltano.definitions import RUNNABLE
from dativo.config.meltano.expansion import names, variable
from dativo.config.meltano.kinds import Setting, cast, configured, finished, text_of
from dativo.config.meltano.project import MeltanoProject
from dativo.config.meltano.values import DEFAULT, DOTENV, ENVIRONMENT, Value, Values
from dativo.dataclass import dataclass
from dativo.migrate import clear
from dativo.migrate.meltano import environ
from dativo.migrate.meltano.texts import Texts, of_run
from dativo.secrets import names as secrets


@dataclass
class Section:
    """A section, and what is to be told of it."""

    word: str
    data: dict[str, Any]
    texts: Texts
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Variable -> the value that stood in meltano.yml in clear."""
    of_run: dict[str, list[str]] = field(default_factory=dict)
    """Setting -> the variables of other plugins that it is made of."""
    taken: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: str | None = None
    in_words: list[str] = field(default_factory=list)
    """Settings with a date that moves with the day."""
    package_fault: str | None = None
    notes: tuple[str, ...] = ()

    def keep(self, name: str, value: str) -> str:
        """Put a secret into .env; returns its variable, which has the environment in it where another has the name."""
        known = {**self.taken, **self.secrets}
        if known.get(name, value) != value and self.environment:
            name = f"{name}_{variable(self.environment, '').strip('_')}"
        stem, number = name, 2
        while known.get(name, value) != value:
            name, number = f"{stem}_{number}", number + 1
        self.secrets[name] = value
        return name


def of(
    project: MeltanoProject, word: str, folder: Path, taken: Mapping[str, str], told: Collection[str] = ()
) -> Section:
    """A plugin's section for a dativo.yml in `folder`.

    `taken` are the secrets that have a variable already, `told` the variables that plugins tell each other.
    """
    values = project.values(word)
    texts = Texts(_fixed(values), here=folder == project.root)
    section = Section(word, {}, texts, taken=taken, environment=project.environment)
    plugin = values.plugin
    data: dict[str, Any] = {"kind": RUNNABLE[plugin.kind]}
    try:
        data |= _placed(project.package(word), project.root, folder)
    except errors.ConfigError as problem:
        section.package_fault = problem.message
    section.notes = project.notes.get(word, ())
    config = _config(values, section, told)
    if plugin.mapping is not None:
        config = {**config, **section.texts.rewritten(plugin.config)}
    data["config"] = config
    data["env"] = _env(project, values, section)
    if plugin.kind == "extractors":
        data |= selection.section(values.extras, plugin.where)
        if data.get("select") == ["*.*"]:
            del data["select"]
    data = merged(data, project.annotated(values))
    section.data = {key: value for key, value in data.items() if value not in ({}, [], None)}
    return section


def _fixed(values: Values) -> dict[str, str]:
    """What `$VAR` stands for here: all but what .env and the user's shell have."""
    return {name: text for name, text in values.env.items() if name not in values.around.dotenv}


def _placed(section: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """A path of the project, as it is called from the folder of dativo.yml."""
    source = str(section.get("source", ""))
    if source.startswith("./") and folder != root:
        section = {**section, "source": os.path.relpath(root / source, folder)}
        if "/" not in section["source"]:
            section["source"] = f"./{section['source']}"
    return section


def _config(values: Values, section: Section, told: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in values.settings:
        if one.extra:
            continue
        value = values.get(one, expand=False)
        if value.value is None:
            continue
        words = one.kind == "date_iso8601" or "parse_date" in (one.processor, one.post_processor)
        if words and isinstance(value.value, str) and not names(value.value) and dates.in_words(value.value):
            section.in_words.append(one.name)
            continue
        waiting = of_run(value.value, section.texts.fixed, told)
        if waiting:
            section.of_run[one.name] = waiting
            continue
        found[one.name] = _written(one, value, values, section)
    return configured(found)


def names_told(project: MeltanoProject, words: Iterable[str]) -> set[str]:
    """The variables that plugins are told of each other, but for those of .env and of the shell, which are not set."""
    found: set[str] = set()
    for word in words:
        with suppress(errors.DativoError):  # said where that plugin becomes a section
            values = project.values(word)
            for one in values.settings:
                if not one.extra and values.get(one, expand=False).source != DEFAULT:
                    found |= set(_variables(values, one))
    return found - set(project.dotenv)


def told(project: MeltanoProject, section: Section) -> dict[str, str]:
    """What a plugin tells those after it in a run, as dativo.yml writes it."""
    values = project.values(section.word)
    found = {name: text.replace("$", "$$") for name, text in values.plugin.info().items()}
    for one in values.settings:
        value = values.get(one, expand=False)
        if value.value is None or one.name in section.of_run:
            continue
        written = section.texts.rewritten(value.value) if one.extra else _written(one, value, values, section)
        found |= dict.fromkeys(_variables(values, one), text_of(one, written))
    return found


def spoken(
    project: MeltanoProject, section: Section, settings: Collection[str], told: Mapping[str, str]
) -> dict[str, Any]:
    """The settings that are made of what other plugins told, as dativo.yml writes them."""
    values = project.values(section.word)
    texts = replace(section.texts, told=told)
    found = {}
    for one in values.settings:
        if one.name in settings and (value := values.get(one, expand=False).value) is not None:
            found[one.name] = texts.rewritten(value)
    found |= _leaked(values, section, told)
    return configured(found)


def _leaked(values: Values, section: Section, told: Mapping[str, str]) -> dict[str, Any]:
    """What a mapping before this one, of the same mapper, was set to: Meltano tells it, and so it holds here too."""
    if values.plugin.mapping is None:
        return {}
    own, has = values.plugin.config, section.data.get("config") or {}
    found: dict[str, Any] = {}
    for one in values.settings:
        names = (variable(prefix, one.name) for prefix in values.plugin.variables())
        text = next((told[name] for name in names if name in told), None)
        if text is not None and not one.extra and one.name not in own:
            value = cast(one, text, values.plugin.called)
            found |= {} if has.get(one.name) == value else {one.name: value}
    return found


def _variables(values: Values, one: Setting) -> list[str]:
    named = [variable(prefix, one.name) for prefix in values.plugin.written()]
    return [*([one.env] if one.env else []), *named, *one.env_aliases]


def _env(project: MeltanoProject, values: Values, section: Section) -> dict[str, str]:
    found = {}
    for name, text in environ.of(project, values, section.texts).items():
        secret = secrets.is_secret(name, {}) and text.lower() not in secrets.WORDS

        def put(clear_text: str, _: str | None, name: str = name) -> str:
            return section.keep(variable("env", name), clear_text)

        found[name] = clear.parted(text, put, secret=secret) or ""
    return found


def _written(one: Setting, value: Value, values: Values, section: Section) -> Any:
    if value.source == DOTENV and value.variable:
        section.texts.used[value.variable] = None
        return f"${{{value.variable}}}"
    if one.sensitive and not names(value.value) and value.value != "":
        return f"${{{section.keep(variable(values.plugin.name, one.name), text_of(one, value.value))}}}"
    plain = value.value if value.source == ENVIRONMENT or not names(value.value) else None
    if plain is not None:
        plain = cast(one, plain, values.plugin.called)
        found = _dollars(plain) if value.source == ENVIRONMENT else section.texts.rewritten(plain)
    else:
        found = section.texts.rewritten(value.value)
    found = _unseen(found, (one.name,), one, values, section)
    return finished(one, found, values.plugin.called) if one.post_processor else found


def _unseen(value: Any, at: tuple[str, ...], one: Setting, values: Values, section: Section) -> Any:
    """A value whose clear secrets are variables of .env (I13): by the definition's word, by its name, in an address."""
    if isinstance(value, dict):
        return {key: _unseen(inner, (*at, str(key)), one, values, section) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unseen(inner, at, one, values, section) for inner in value]
    if not isinstance(value, str) or not value:
        return value
    secret = one.sensitive or secrets.is_secret(at[-1].rpartition(".")[2], {})
    if not secret and not clear.in_address(value):
        return value
    if secret and value.lower() in secrets.WORDS:
        return value

    def put(text: str, name: str | None) -> str:
        return section.keep(name or variable(values.plugin.name, "_".join(at)), text)

    return clear.parted(value, put, secret=secret)


def _dollars(value: Any) -> Any:
    from dativo.config.meltano.expansion import mapped

    return mapped(value, lambda text: text.replace("$", "$$"))


def difference(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What must lie over `base` for it to become `other`, mappings key by key."""
    found: dict[str, Any] = {}
    for key, value in other.items():
        before = base.get(key)
        if value == before:
            continue
        both = isinstance(value, dict) and isinstance(before, dict)
        found[key] = difference(before, value) if both and before is not None else value
    return found
