"""One variant of a plugin as a registry describes it, and the reading of our own format, which trusts nothing (I12).

The format is JSON: `{"format": 1, "plugins": {NAME: {"default": VARIANT, "variants": {VARIANT: ENTRY}}}}`, where ENTRY
has `kind` and `package` and may have the other keys of `KEYS`. docs/guides/registry.md describes each.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dativo import errors
from dativo.config.keys import ENGINES
from dativo.dataclass import dataclass
from dativo.plugins import package, permissions
from dativo.plugins.permissions import Permissions
from dativo.secrets.names import is_secret

FORMAT = 1
OWN = "dativo"
"""The name of the index that Dativo ships."""
KINDS = ("tap", "target", "mapper")
KEYS = (
    "kind", "engines", "package", "requires", "python", "executable", "capabilities", "permissions", "maturity",
    "broken", "licence", "description", "settings",
)  # fmt: skip
TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
MAX_PLUGINS, MAX_VARIANTS, MAX_SETTINGS, MAX_TEXT, MAX_DEPTH = 20_000, 200, 1_000, 2_000, 12
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MINORS = range(6, 40)


@dataclass(frozen=True)
class Entry:
    """One variant of a plugin."""

    name: str
    variant: str
    kind: str
    package: str
    """A requirement of the index, or `git+URL`."""
    engines: tuple[str, ...] = ("singer",)
    requires: tuple[str, ...] = ()
    """Further requirements that it does not start, or loses rows, without."""
    python: str | None = None
    """The Pythons it was made for, as a version specifier; None: any. See `chosen_python`."""
    executable: str | None = None
    capabilities: tuple[str, ...] = ()
    permissions: Permissions | None = None
    """What it is known to reach; None: not known."""
    maturity: str | None = None
    broken: str | None = None
    """Why it could not be installed or started when it was last tried, as `1.2 does not start: ImportError …`."""
    licence: str | None = None
    description: str = ""
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    """A JSON Schema object as in a manifest; secrets have `secret: true`."""
    registry: str = OWN

    @property
    def distribution(self) -> str | None:
        """The package's name on the index; None when it comes from a repository."""
        return package.distribution(self.package)

    def chosen_python(self) -> str | None:
        """The Python to ask for, as `3.10`: None when the one that runs Dativo will do.

        Upper bounds are left out, as uv leaves them out: most are guesses, and what has one often runs beyond it.
        """
        if self.python is None:
            return None
        from packaging.specifiers import SpecifierSet

        fits = SpecifierSet(",".join(str(one) for one in SpecifierSet(self.python) if not one.operator.startswith("<")))
        own = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
        if fits.contains(own, prereleases=True):
            return None
        minors = [minor for minor in _MINORS if fits.contains(f"3.{minor}.99") or fits.contains(f"3.{minor}.0")]
        nearest = min(minors, key=lambda minor: abs(minor - sys.version_info.minor), default=None)
        return None if nearest is None else f"3.{nearest}"

    def secrets(self) -> list[str]:
        """The settings that Dativo hides, marked or by their names; dotted where they are in objects."""
        return sorted(_secrets(self.settings, ""))

    def hosts(self) -> tuple[str, ...]:
        """The HOST:PORT that it is known to reach whatever its settings are."""
        network = self.permissions.network if self.permissions else ()
        return network if isinstance(network, tuple) else ()

    def completed(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """A probed manifest with what only the registry knows: settings where it told none, and which are secret."""
        described = self.settings.get("properties")
        if not described:
            return manifest
        told = manifest.get("settings")
        if not isinstance(told, dict) or not told.get("properties"):
            return {**manifest, "settings": self.settings}
        return {**manifest, "settings": {**told, "properties": _marked(told["properties"], described)}}

    def data(self) -> dict[str, Any]:
        """As --json shows it, and as our own format writes it plus name, variant and registry."""
        asked = self.permissions.block() if self.permissions else None
        return {
            "name": self.name,
            "variant": self.variant,
            "registry": self.registry,
            **{key: list(v) if isinstance(v := getattr(self, key), tuple) else v for key in KEYS},
            "permissions": asked,
        }


def _secrets(schema: Mapping[str, Any], above: str) -> list[str]:
    found: list[str] = []
    for key, prop in (schema.get("properties") or {}).items():
        found += [above + key] if is_secret(key, prop) else _secrets(prop, f"{above}{key}.")
    return found


def _marked(told: Mapping[str, Any], described: Mapping[str, Any]) -> dict[str, Any]:
    marked = {}
    for key, prop in told.items():
        known = described.get(key) or {}
        inner = prop.get("properties")
        if known.get("secret"):
            marked[key] = {**prop, "secret": True}
        elif isinstance(inner, dict) and isinstance(known.get("properties"), dict):
            marked[key] = {**prop, "properties": _marked(inner, known["properties"])}
        else:
            marked[key] = prop
    return marked


# -- reading


def invalid(registry: str, what: str) -> errors.ConfigError:
    """`registry.invalid`: which registry, and what of it cannot be used."""
    leave = "" if registry == OWN else f", or leave it: dativo registry remove {registry}"
    return errors.ConfigError(
        "registry.invalid",
        f"registry {registry}: {plain(what, 300)}",
        hint=f"report it to whoever keeps it{leave}",
        context={"registry": registry},
    )


def plain(text: object, length: int = MAX_TEXT) -> str:
    """One line of printable text: what a registry says is shown on terminals (I12)."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 4 * length]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


class Checked:
    """Reads values of one registry's document and refuses what is not what it should be, saying where."""

    def __init__(self, registry: str) -> None:
        self.registry = registry

    def wrong(self, where: str, what: str) -> errors.ConfigError:
        """The error for a place in the document."""
        return invalid(self.registry, f"{where}: {what}")

    def mapping(self, value: Any, where: str, most: int = MAX_SETTINGS) -> dict[str, Any]:
        """An object of at most `most` keys."""
        if not isinstance(value, dict):
            raise self.wrong(where, "an object is expected")
        if len(value) > most:
            raise self.wrong(where, f"more than {most} keys")
        return value

    def text(self, value: Any, where: str) -> str:
        """A text, made one printable line."""
        if not isinstance(value, str):
            raise self.wrong(where, "a text is expected")
        return plain(value)

    def texts(self, value: Any, where: str) -> tuple[str, ...]:
        """A list of texts."""
        if not isinstance(value, list) or len(value) > MAX_SETTINGS:
            raise self.wrong(where, "a list of texts is expected")
        return tuple(self.text(item, where) for item in value)

    def name(self, value: Any, where: str) -> str:
        """A plugin's name, which becomes a folder and a command."""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise self.wrong(where, f"{plain(value, 60)!r} cannot be a plugin's name")
        return value

    def word(self, value: Any, where: str) -> str:
        """A variant or a command: letters, digits, dot, dash, underscore."""
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise self.wrong(where, f"{plain(value, 60)!r} has characters that it may not have")
        return value

    def package(self, value: Any, where: str) -> str:
        """A package that Dativo's own parser understands, and that is not on the machine of who asks."""
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            raise self.wrong(where, "names no Python package")
        try:
            if not package.is_git(text):
                package.requirement(text)
                return text
            found = package.git(text)
        except errors.ConfigError as problem:
            raise self.wrong(where, problem.message) from None
        if found.scheme in ("file", "git") or (found.rev or "").startswith("-") or ".." in (found.folder or ""):
            raise self.wrong(where, f"{plain(package.hidden(text), 80)!r} is no repository that a registry may name")
        return text

    def requirements(self, value: Any, where: str) -> tuple[str, ...]:
        """Requirements of the index."""
        found = self.texts(value, where)
        for text in found:
            if package.is_git(self.package(text, where)):
                raise self.wrong(where, f"{text!r} is no requirement of the index")
        return found

    def python(self, value: Any, where: str) -> str:
        """A specifier of Python versions."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            return str(SpecifierSet(self.text(value, where)))
        except InvalidSpecifier:
            raise self.wrong(where, f"{plain(value, 60)!r} is no version specifier") from None

    def settings(self, value: Any, where: str, depth: int = 0) -> dict[str, Any]:
        """The part of a JSON Schema object that Dativo uses; other keywords are left out."""
        schema = self.mapping(value, where)
        if depth > MAX_DEPTH:
            raise self.wrong(where, "objects in objects, too deep")
        shape: dict[str, Any] = {}
        kind = schema.get("type")
        if kind is not None:
            kinds = kind if isinstance(kind, list) else [kind]
            if not kinds or any(one not in TYPES for one in kinds):
                raise self.wrong(f"{where}.type", "no type of JSON Schema")
            shape["type"] = kind
        for key in ("title", "description"):
            if schema.get(key):
                shape[key] = self.text(schema[key], f"{where}.{key}")
        if "secret" in schema:
            if not isinstance(schema["secret"], bool):
                raise self.wrong(f"{where}.secret", "true or false is expected")
            shape["secret"] = schema["secret"]
        if schema.get("default") is not None and not shape.get("secret"):
            shape["default"] = schema["default"]
        if isinstance(schema.get("enum"), list):
            shape["enum"] = schema["enum"][:MAX_SETTINGS]
        if "items" in schema:
            shape["items"] = self.settings(schema["items"], f"{where}.items", depth + 1)
        if "required" in schema:
            shape["required"] = list(self.texts(schema["required"], f"{where}.required"))
        if "properties" in schema:
            below = self.mapping(schema["properties"], f"{where}.properties")
            shape["properties"] = {
                plain(key, 200): self.settings(prop, f"{where}.{plain(key, 60)}", depth + 1)
                for key, prop in below.items()
            }
        return shape

    def permissions(self, value: Any, where: str) -> Permissions:
        """What a plugin asks for, by the rules of manifests."""
        try:
            return permissions.from_manifest({"sandbox": self.mapping(value, where)}, where)
        except errors.ConfigError as problem:
            raise self.wrong(where, problem.message) from None


def listing(document: Any, registry: str) -> dict[str, dict[str, Any]]:
    """The plugins of a document in our own format, by name; the entries are as they came, to be read by `read`."""
    check = Checked(registry)
    top = check.mapping(document, "the index")
    if top.get("format") != FORMAT:
        raise check.wrong("format", f"{plain(top.get('format'), 20)} is not {FORMAT}: a newer Dativo may read it")
    plugins = check.mapping(top.get("plugins"), "plugins", MAX_PLUGINS)
    for name, plugin in plugins.items():
        check.name(name, "plugins")
        variants = check.mapping(check.mapping(plugin, name).get("variants"), f"{name}.variants", MAX_VARIANTS)
        if not variants:
            raise check.wrong(name, "has no variants")
        for variant in variants:
            check.word(variant, name)
        if plugin.get("default", next(iter(variants))) not in variants:
            raise check.wrong(name, "its default is none of its variants")
    return plugins


def read(value: Any, name: str, variant: str, registry: str) -> Entry:
    """An entry in our own format. Raises `registry.invalid` that says where and what."""
    check = Checked(registry)
    where = f"{name} ({variant})"
    data = check.mapping(value, where)
    strange = sorted(set(data) - set(KEYS))
    if strange:
        raise check.wrong(where, f"{plain(strange[0], 60)!r} is no key of an entry")
    if data.get("kind") not in KINDS:
        raise check.wrong(where, "its kind is none of tap, target and mapper")
    engines = check.texts(data.get("engines", ["singer"]), f"{where}.engines")
    if not engines or set(engines) - set(ENGINES):
        raise check.wrong(f"{where}.engines", f"one or more of {', '.join(ENGINES)} are expected")

    def given(key: str, reader: Any) -> Any:
        return reader(data[key], f"{where}.{key}") if data.get(key) is not None else None

    return Entry(
        name=name,
        variant=variant,
        kind=str(data["kind"]),
        package=check.package(data.get("package"), f"{where}.package"),
        engines=engines,
        requires=given("requires", check.requirements) or (),
        python=given("python", check.python),
        executable=given("executable", check.word),
        capabilities=tuple(sorted(given("capabilities", check.texts) or ())),
        permissions=given("permissions", check.permissions),
        maturity=given("maturity", check.text),
        broken=given("broken", check.text),
        licence=given("licence", check.text),
        description=given("description", check.text) or "",
        settings=given("settings", check.settings) or {},
        registry=registry,
    )
