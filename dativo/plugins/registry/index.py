"""The index that `search`, `info` and `add` ask: what Dativo ships first, then the user's registries as accepted.

A name and variant that several have means the first one's: a registry that is added later takes nothing over. What
Dativo ships is `shipped.json`; `python -m tests.registry.facts` checks it against the packages themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from dativo import errors
from dativo.config.keys import ENGINES
from dativo.dataclass import dataclass
from dativo.plugins.lockfile import SINGER
from dativo.plugins.registry import connector, entry, kept
from dativo.plugins.registry.entry import OWN, Entry

FILE = Path(__file__).with_name("shipped.json")
AIRBYTE_FILE = Path(__file__).with_name("airbyte.json")
"""Airbyte's sources on PyPI: `python -m tests.registry.airbyte` makes it."""


class Catalogue(Protocol):
    """One registry, shipped or kept."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def plugins(self) -> dict[str, dict[str, Any]]:
        """Name -> `{"default", "variants", …}`."""

    def entry(self, name: str, variant: str, *, offline: bool = False) -> Entry:
        """One entry of those listed."""

    def read_entries(self) -> Iterator[Entry]:
        """Every entry that needs no network."""


@dataclass(frozen=True)
class Shipped:
    """The index in this package."""

    plugins: dict[str, dict[str, Any]]
    name: str = OWN

    def entry(self, name: str, variant: str, *, offline: bool = False) -> Entry:
        """One entry."""
        return entry.read(self.plugins[name]["variants"][variant], name, variant, OWN)

    def read_entries(self) -> Iterator[Entry]:
        """All of them."""
        for name, plugin in self.plugins.items():
            for variant in plugin["variants"]:
                yield self.entry(name, variant)


class Origin(Protocol):
    """Where a plugin comes from, wanted or locked."""

    @property
    def source(self) -> str:
        """`pypi`, `git`, …"""

    @property
    def distribution(self) -> str | None:
        """The package's name on the index."""

    @property
    def requirement(self) -> str:
        """What was asked for."""


@dataclass(frozen=True)
class Choice:
    """A variant of a name: which registry has it, and whether the name alone means it."""

    name: str
    variant: str
    catalogue: Catalogue
    default: bool


class Index:
    """Several registries, asked in their order."""

    def __init__(self, catalogues: Sequence[Catalogue], *, closed: bool = False) -> None:
        self.catalogues = list(catalogues)
        self.closed = closed
        """Whether a name that is not in it is an error, rather than a package of the package index."""

    def choices(self, name: str) -> list[Choice]:
        """The variants of a name, the default one first; empty when the name is not known."""
        found: dict[str, Choice] = {}
        default: str | None = None
        for catalogue in self.catalogues:
            plugin = catalogue.plugins.get(name)
            if plugin is None:
                continue
            default = default or plugin.get("default") or next(iter(plugin["variants"]))
            for variant in plugin["variants"]:
                found.setdefault(variant, Choice(name, variant, catalogue, variant == default))
        return sorted(found.values(), key=lambda one: not one.default)

    def choose(self, name: str, variant: str | None = None, engine: str | None = None) -> Choice | None:
        """What a name, or the name of a package, perhaps with a variant and an engine, means; None: nobody knows it.

        Raises `plugin.variant`, which lists the variants, when the name is known and the variant is not, and
        `plugin.engine`, which lists the engines, when none of what the name may mean has the engine.
        """
        choices = self.choices(name)
        wanted = [one for one in choices if variant in (None, one.variant)]
        if choices and not wanted:
            raise no_variant(name, str(variant), choices)
        wanted = wanted or self._packaged(name, variant)
        if engine is None:
            return wanted[0] if wanted else None
        alike = self.alike(name) if variant is None else []
        fits = [one for one in (*wanted, *alike) if engine in self.engines(one)]
        if not fits and (wanted or alike):
            raise no_engine(name, engine, self.by_engine(wanted or alike))
        return fits[0] if fits else None

    def _packaged(self, name: str, variant: str | None) -> list[Choice]:
        """The choice whose package has this name."""
        for catalogue in self.catalogues:
            for one in catalogue.read_entries():
                if variant in (None, one.variant) and one.distribution == name:
                    return [found for found in self.choices(one.name) if found.variant == one.variant]
        return []

    def alike(self, name: str) -> list[Choice]:
        """What is the same connector as a plugin or package of this name; of a system's name alone, in any direction.

        The best known first: the names that are the connector's own, then other ecosystems'.
        """
        wanted = connector.of_name(name)
        found = []
        for known in sorted({known for catalogue in self.catalogues for known in catalogue.plugins}):
            told = connector.of_name(known)
            if told is not None and (told == wanted if wanted else told.system == name):
                found.append((told.name != known, told.kind, known))
        return [choice for _, _, known in sorted(found) for choice in self.choices(known)]

    def engines(self, choice: Choice) -> tuple[str, ...]:
        """What a choice can be run as; of a definition that was never read: as Singer, which is all a Hub has."""
        about = self.known(choice)
        return about.engines if about is not None else (SINGER,)

    def by_engine(self, choices: Sequence[Choice]) -> dict[str, list[Choice]]:
        """The choices that each engine has, engines in their usual order."""
        found = {engine: [one for one in choices if engine in self.engines(one)] for engine in ENGINES}
        return {engine: some for engine, some in found.items() if some}

    def entry(
        self, name: str, variant: str | None = None, engine: str | None = None, *, offline: bool = False
    ) -> Entry:
        """The entry of a name. Raises `plugin.unknown` with near names, `plugin.variant` or `plugin.engine`."""
        found = self.choose(name, variant, engine)
        if found is None:
            raise self.unknown(name)
        return found.catalogue.entry(found.name, found.variant, offline=offline)

    def unknown(self, name: str) -> errors.ConfigError:
        """`plugin.unknown`, with what was probably meant."""
        whose = f"registry {self.catalogues[0].name} does not know" if self.closed else "no registry knows"
        return errors.ConfigError("plugin.unknown", f"{whose} {name}", hint=self.hint(name))

    def hint(self, name: str) -> str:
        """What was probably meant by an unknown name."""
        near = self.near(name)
        return f"did you mean {' or '.join(near)}?" if near else "look for it: dativo search WORDS"

    def near(self, name: str) -> list[str]:
        """Names that resemble one, the nearest first."""
        import difflib

        names = {known for catalogue in self.catalogues for known in catalogue.plugins}
        return difflib.get_close_matches(name, sorted(names - {name}), n=3, cutoff=0.75)

    def search(self, words: Sequence[str], kind: str | None = None, engine: str | None = None) -> list[list[Choice]]:
        """The names that all words are found in, by name, variant, package or description, best first; no network.

        With an `engine`, only the variants that have it.
        """
        wanted = [word.lower() for word in words]
        found = []
        for name in sorted({known for catalogue in self.catalogues for known in catalogue.plugins}):
            choices = [one for one in self.choices(name) if engine is None or engine in self.engines(one)]
            if not choices:
                continue
            text = f"{name} {' '.join(one.variant for one in choices)}"
            about = [one for choice in choices if (one := self.known(choice)) is not None]
            if kind and kind not in [*(one.kind for one in about), *([] if about else [listed_kind(choices[0])])]:
                continue
            text += " " + " ".join(f"{one.package} {one.description}" for one in about)
            if all(word in text.lower() for word in wanted):
                found.append((sum(word in name for word in wanted), choices))
        return [choices for _, choices in sorted(found, key=lambda one: (-one[0], len(one[1][0].name)))]

    def known(self, choice: Choice) -> Entry | None:
        """The entry of a choice when that needs no network and can be used."""
        with suppress(errors.DativoError):
            return choice.catalogue.entry(choice.name, choice.variant, offline=True)
        return None

    def of(self, plugin: Origin) -> Entry | None:
        """The entry that a plugin was, or could have been, added by; no network."""
        return next((one for one in self._here if _same(one, plugin)), None)

    @cached_property
    def _here(self) -> list[Entry]:
        """The entries that need no network; of a registry that cannot be used, those before the fault."""
        found: list[Entry] = []
        for catalogue in self.catalogues:
            with suppress(errors.DativoError):
                found.extend(catalogue.read_entries())
        return found

    def only(self, registry: str) -> Index:
        """One registry alone, or `registry.unknown`. What Dativo ships is one, in two files."""
        found = [one for one in self.catalogues if one.name == registry]
        if not found:
            known = ", ".join(one.name for one in self.catalogues)
            raise errors.ConfigError("registry.unknown", f"there is no registry {registry}", hint=f"there is {known}")
        return Index(found, closed=True)


def no_variant(name: str, variant: str, choices: Sequence[Choice]) -> errors.ConfigError:
    """`plugin.variant`: there is no such variant; these there are."""
    listed = ", ".join(f"{one.variant} (default)" if one.default else one.variant for one in choices)
    return errors.ConfigError(
        "plugin.variant",
        f"{name} has no variant {variant}",
        hint=f"it has {listed}",
        context={"plugin": name, "variants": [one.variant for one in choices]},
    )


def no_engine(name: str, engine: str, known: Mapping[str, Sequence[Choice]]) -> errors.ConfigError:
    """`plugin.engine`: there is no such engine of it in the registries; these there are, and who makes them."""
    return errors.ConfigError(
        "plugin.engine",
        f"{name} has no engine {engine}",
        hint=f"it has {engines_shown(name, known)}" if known else "no registry knows any",
        context={"plugin": name, "engine": engine, "engines": list(known)},
    )


def engines_shown(name: str, known: Mapping[str, Sequence[Choice]]) -> str:
    """`native (dativo), singer (meltanolabs, pipelinewise)`: variants, or the names of what is called otherwise."""
    listed = [
        f"{engine} ({', '.join(one.variant if one.name == name else one.name for one in some)})"
        for engine, some in known.items()
    ]
    return ", ".join(listed)


@cache
def shipped() -> Index:
    """What Dativo ships, alone: what a name in dativo.yml means on every machine."""
    return Index([Shipped(json.loads(FILE.read_bytes())["plugins"])])


@cache
def connectors() -> Catalogue:
    """Airbyte's sources. No Singer plugin has such a name: they decide nothing about what a bare name means."""
    return Shipped(json.loads(AIRBYTE_FILE.read_bytes())["plugins"])


def everything() -> Index:
    """What Dativo ships and the user's registries."""
    return Index([*shipped().catalogues, connectors(), *kept.every()])


def listed_kind(choice: Choice) -> str | None:
    """The kind that a Hub's index tells although the definition was not read; None when it does not."""
    from dativo.plugins.registry import hub

    return hub.KINDS.get(str(choice.catalogue.plugins[choice.name].get("type")))


def _same(one: Entry, plugin: Origin) -> bool:
    if plugin.source == "pypi":
        return one.distribution == plugin.distribution
    return plugin.requirement == one.package
