"""Meltano Hub's API format: an index of names, variants and links, and a document for each variant.

As the Hub makes it (meltano/hub: utility_scripts/api/make_files.py, schemas/api/) and as Meltano asks for it
(meltano/meltano: src/meltano/core/hub/client.py): `plugins/index` holds `{TYPE: {NAME: {default_variant, logo_url,
variants: {VARIANT: {ref}}}}}`, `plugins/TYPE/index` one type of it, and `plugins/TYPE/NAME--VARIANT` a definition.
A `ref` is an absolute URL, often of another host than the one that served it. It is not followed: the address of a
definition is known from its type, name and variant.
"""

from __future__ import annotations

import re
from typing import Any

from dativo.plugins.registry.entry import MAX_PLUGINS, MAX_VARIANTS, Checked, Entry, plain

INDEX = "plugins/index"
KINDS = {"extractors": "tap", "loaders": "target", "mappers": "mapper"}
"""The types of plugins that move data; the Hub has others, which are left out."""
_TYPES = {"integer": "integer", "decimal": "number", "boolean": "boolean", "array": "array", "object": "object"}
_MINOR = re.compile(r"3\.(\d{1,2})")


def is_index(document: Any) -> bool:
    """Whether a document is the index of all types."""
    return isinstance(document, dict) and "format" not in document and any(kind in document for kind in KINDS)


def listing(document: Any, registry: str) -> dict[str, dict[str, Any]]:
    """The plugins of an index: name -> `{"type", "default", "variants": [VARIANT …]}`."""
    check = Checked(registry)
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        for name, plugin in check.mapping(document.get(kind, {}), kind, MAX_PLUGINS).items():
            check.name(name, kind)
            given = check.mapping(plugin, name)
            variants = check.mapping(given.get("variants"), f"{name}.variants", MAX_VARIANTS)
            names = [check.word(variant, f"{name}.variants") for variant in variants]
            default = given.get("default_variant")
            if default is not None and default not in variants:
                raise check.wrong(name, "its default_variant is none of its variants")
            if names and name not in found:
                found[name] = {"type": kind, "default": default or names[0], "variants": names}
    return found


def root(place: str) -> str:
    """The API's root, where a place is the address of its index or of its `plugins`."""
    place = place.removesuffix(f"/{INDEX}")
    return place.removesuffix("/plugins") if place.endswith("/api/v1/plugins") else place


def page(kind: str, name: str, variant: str) -> str:
    """Where a definition is, below the API's root."""
    return f"plugins/{kind}/{name}--{variant}"


def read(document: Any, kind: str, name: str, variant: str, registry: str) -> Entry:
    """The entry that a definition amounts to. Raises `registry.invalid` that says where and what."""
    check = Checked(registry)
    where = f"{name} ({variant})"
    data = check.mapping(document, where)
    if data.get("name") != name or data.get("variant", variant) != variant:
        raise check.wrong(where, "its definition is that of another plugin")
    main, *rest = _packages(data.get("pip_url"), where, check)
    executable = data.get("executable")
    return Entry(
        name=name,
        variant=variant,
        kind=KINDS[kind],
        package=check.package(main, f"{where}.pip_url"),
        requires=check.requirements(rest, f"{where}.pip_url"),
        python=_python(data, where, check),
        executable=None if executable is None else check.word(executable, f"{where}.executable"),
        capabilities=tuple(sorted(check.texts(data.get("capabilities") or [], f"{where}.capabilities"))),
        description=check.text(data.get("description") or data.get("label") or "", f"{where}.description"),
        settings=_settings(data, where, check),
        registry=registry,
    )


def _packages(given: Any, where: str, check: Checked) -> list[str]:
    """A pip_url holds one package, or several with spaces between; a repository first names the plugin."""
    text = check.text(given if given is not None else "", f"{where}.pip_url")
    parts = text.split()
    if not parts:
        raise check.wrong(where, "has no pip_url: it is no Python package")
    option = next((part for part in parts if part.startswith("-")), None)
    if option is not None:
        raise check.wrong(f"{where}.pip_url", f"{plain(option, 40)!r} is an option of an installer")
    return parts


def _python(data: dict[str, Any], where: str, check: Checked) -> str | None:
    """The Pythons that it names: one program, or the versions that it is known to run on."""
    program = data.get("python")
    if program is not None:
        found = _MINOR.search(check.text(program, f"{where}.python"))
        if found:
            return f"==3.{int(found[1])}.*"
    listed = data.get("supported_python_versions")
    if not listed:
        return None
    minors = [
        int(found[1])
        for text in check.texts(listed, f"{where}.supported_python_versions")
        if (found := _MINOR.fullmatch(text))
    ]
    return f">=3.{min(minors)},<3.{max(minors) + 1}" if minors else None


def _settings(data: dict[str, Any], where: str, check: Checked) -> dict[str, Any]:
    """The settings as a JSON Schema object; `a.b` is `b` in the object `a`."""
    given = data.get("settings") or []
    if not isinstance(given, list):
        raise check.wrong(f"{where}.settings", "a list is expected")
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    for at, one in enumerate(given):
        place = f"{where}.settings[{at}]"
        setting = check.mapping(one, place)
        path = check.text(setting.get("name"), f"{place}.name").split(".")
        if not all(path) or any(len(part) > 100 for part in path) or len(path) > 8:
            raise check.wrong(f"{place}.name", "no setting's name")
        _put(schema, path, _setting(setting, place, check))
    if not schema["properties"]:
        return {}
    groups = data.get("settings_group_validation") or []
    if not isinstance(groups, list):
        raise check.wrong(f"{where}.settings_group_validation", "a list is expected")
    if len(groups) == 1:  # of several groups any one will do, which only the plugin can judge
        needed = check.texts(groups[0], f"{where}.settings_group_validation")
        known = schema["properties"]
        schema["required"] = [key for key in needed if key in known and "default" not in known[key]]
    return check.settings(schema, f"{where}.settings")


def _setting(setting: dict[str, Any], place: str, check: Checked) -> dict[str, Any]:
    kind = setting.get("kind", "string")
    if not isinstance(kind, str):
        raise check.wrong(f"{place}.kind", "a text is expected")
    shape: dict[str, Any] = {"type": _TYPES.get(kind, "string")}
    if setting.get("description") or setting.get("label"):
        shape["description"] = setting.get("description") or setting["label"]
    sensitive = setting.get("sensitive")
    if sensitive is not None and not isinstance(sensitive, bool):
        raise check.wrong(f"{place}.sensitive", "true or false is expected")
    if kind == "password" or sensitive:
        shape["secret"] = True
    value = setting.get("value")
    if value is not None and not isinstance(value, dict | list):
        shape["default"] = value
    return shape


def _put(schema: dict[str, Any], path: list[str], shape: dict[str, Any]) -> None:
    for part in path[:-1]:
        schema = schema["properties"].setdefault(part, {"type": "object"})
        schema.setdefault("properties", {})
    schema["properties"].setdefault(path[-1], shape)
