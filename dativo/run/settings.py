"""A plugin's settings: read from flags, --set, --config files, the environment and dativo.yml, then checked.

Precedence, first wins: flag, --set, --config (the last one given), environment (only with `--config ENV`), dativo.yml,
the plugin's own default. A value is never quoted in an error: it may be a secret (I13).

A `secret://` reference may stand where any type is expected: what it stands for is checked when it has been read.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.secrets import reference

FROM_ENVIRONMENT = "ENV"
# Keywords that `_plain` understands or that constrain nothing. With any other, jsonschema is asked.
_ANNOTATIONS = {"$schema", "$id", "title", "description", "default", "examples", "secret", "writeOnly", "readOnly"}
_KNOWN = {*_ANNOTATIONS, "type", "properties", "required", "items", "enum", "additionalProperties", "deprecated"}
_OF_KEYS = ("required", "additionalProperties", "dependentRequired")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass
class Given:
    """What the command line says about one plugin's settings."""

    flags: dict[str, Any] = field(default_factory=dict)
    sets: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Paths, or ENV."""


def resolve(name: str, schema: Mapping[str, Any], configured: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """The settings that a plugin is started with. Its own defaults are left to itself."""
    config: dict[str, Any] = {key: _typed(_property(schema, key), value) for key, value in configured.items()}
    if FROM_ENVIRONMENT in given.files:
        config.update(from_environment(name, schema, os.environ))
    for file in given.files:
        if file != FROM_ENVIRONMENT:
            config.update(read_file(Path(file)))
    for key, text in given.sets:
        put(config, key, parse(_property(schema, key), text), schema)
    config.update(given.flags)
    return config


def _typed(prop: Mapping[str, Any], value: Any) -> Any:
    """A configured value; `${PORT}` is text when it is read and becomes the number that the setting wants."""
    wanted = types(prop)
    return parse(prop, value) if isinstance(value, str) and wanted and "string" not in wanted else copy.deepcopy(value)


def typed(schema: Mapping[str, Any], config: dict[str, Any], places: Iterable[reference.Path]) -> None:
    """Make values that were just read for references, which are mostly text, what their settings want to have."""
    for at in places:
        prop, inside = schema, config
        for part in at[:-1]:
            prop, inside = _below(prop, part), inside[part]  # type: ignore[index]
        inside[at[-1]] = _typed(_below(prop, at[-1]), inside[at[-1]])  # type: ignore[index]


def _below(schema: Mapping[str, Any], part: str | int) -> Mapping[str, Any]:
    found = schema.get("items") if isinstance(part, int) else properties(schema).get(part)
    return found if isinstance(found, dict) else {}


def properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings that a schema describes."""
    found = schema.get("properties")
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def _property(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The description of a setting; a dotted key leads into objects."""
    at: Mapping[str, Any] = schema
    if key in properties(schema):
        return properties(schema)[key]
    for part in key.split("."):
        at = properties(at).get(part, {})
    return at


def put(config: dict[str, Any], key: str, value: Any, schema: Mapping[str, Any]) -> None:
    """Set a value; a dotted key that is no setting's own name leads into objects."""
    *path, last = [key] if key in properties(schema) else key.split(".")
    for part in path:
        inner = config.get(part)
        config[part] = dict(inner) if isinstance(inner, dict) else {}
        config = config[part]
    config[last] = value


def types(prop: Mapping[str, Any]) -> set[str]:
    """The JSON types that a setting may have, `null` left out; empty when that is not told."""
    found: set[str] = set()
    kind = prop.get("type")
    found.update([kind] if isinstance(kind, str) else kind if isinstance(kind, list) else [])
    for word in ("anyOf", "oneOf"):
        for option in prop.get(word) or []:
            if isinstance(option, dict):
                found |= types(option)
    return found - {"null"}


def parse(prop: Mapping[str, Any], text: str) -> Any:
    """A value typed as text: by the setting's type; without one JSON if it is that, else the text."""
    wanted = types(prop)
    if wanted == {"string"} or reference.is_reference(text):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not wanted or any(_is(value, kind) for kind in wanted):
        return value
    if "array" in wanted and not isinstance(value, list):
        return [parse(prop.get("items") or {}, text)]
    return text


def from_environment(name: str, schema: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Settings from variables such as TAP_CSV_FILES."""
    prefix = name.upper().replace("-", "_") + "_"
    known = {key.upper().replace("-", "_"): key for key in properties(schema)}
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        key = variable.removeprefix(prefix)
        if variable.startswith(prefix) and key in known:
            found[known[key]] = parse(properties(schema)[known[key]], text)
    return found


def read_file(path: Path) -> dict[str, Any]:
    """A --config file: one JSON object."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as problem:
        raise errors.ConfigError("config.invalid", f"{path}: {problem.strerror}", hint="check --config") from problem
    except ValueError as problem:
        where = f": line {problem.lineno}, column {problem.colno}" if isinstance(problem, json.JSONDecodeError) else ""
        raise errors.ConfigError("config.invalid", f"{path} is not JSON{where}", hint="fix the file") from None
    if not isinstance(content, dict):
        raise errors.ConfigError("config.invalid", f"{path} holds no JSON object", hint="fix the file")
    return content


# -- checking


def check(name: str, schema: Mapping[str, Any], config: Mapping[str, Any], *, flag: str = "--{}") -> None:
    """Raise config.missing or config.invalid for the first setting that does not fit. `flag` says how one is given."""
    described = properties(schema)
    # what has a default is not missing: the plugin takes that by itself
    needed = [key for key in schema.get("required") or [] if "default" not in described.get(key, {})]
    schema = {**schema, "required": needed}
    missing = [key for key in needed if config.get(key) is None and key in described]
    if missing:
        shown = " and ".join(missing)
        raise errors.ConfigError(
            "config.missing",
            f"{name} needs {shown}",
            hint=f"give {' '.join(_flag(flag, key) for key in missing)}, --config FILE, or set it in dativo.yml",
            context={"plugin": name, "setting": missing[0]},
        )
    if not _plain(schema, config):
        _check_all(name, schema, config, flag)


def _flag(flag: str, key: str) -> str:
    return flag.format(key.replace("_", "-") if flag == "--{}" else key)


def _plain(schema: Any, value: Any) -> bool:
    """Whether the value certainly fits, by the few keywords that most settings use: saves importing jsonschema."""
    if schema is True:
        return True
    if not isinstance(schema, Mapping) or set(schema) - _KNOWN:
        return False
    kinds = schema.get("type")
    if kinds is not None and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if "enum" in schema and not any(value == one and type(value) is type(one) for one in schema["enum"]):
        return False
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        return (
            schema.get("additionalProperties", True) is True
            and all(key in value for key in schema.get("required") or [])
            and all(_plain(known[key], inner) for key, inner in value.items() if key in known)
        )
    return not isinstance(value, list) or all(_plain(schema.get("items", True), inner) for inner in value)


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return bool(kind == "boolean")
    return isinstance(value, _TYPES.get(kind, ()))


def _check_all(name: str, schema: Mapping[str, Any], config: Mapping[str, Any], flag: str) -> None:
    from jsonschema import validators
    from jsonschema.exceptions import SchemaError

    validator = validators.validator_for(schema, default=validators.Draft7Validator)
    try:
        validator.check_schema(dict(schema))
    except SchemaError:
        return  # the plugin describes its settings wrongly: it has to check them itself
    found = validator(dict(schema)).iter_errors(dict(config))
    # What holds a reference cannot be judged yet; which keys there are can.
    judged = [one for one in found if one.validator in _OF_KEYS or not any(reference.found(one.instance))]
    problems = sorted(judged, key=lambda one: [str(part) for part in one.absolute_path])
    if problems:
        problem = problems[0]
        path = [str(part) for part in problem.absolute_path]
        setting = ".".join(path)
        expected = "; ".join(_expected(problem.validator, problem.validator_value, problem.message))
        raise errors.ConfigError(
            "config.invalid",
            f"{name}: {setting or 'the config'} {expected}",
            hint=f"fix {_flag(flag, path[0])}, the --config file or dativo.yml" if path else "fix the --config file",
            context={"plugin": name, "setting": path[0] if path else None},
        )


def _expected(keyword: Any, value: Any, message: str) -> Iterator[str]:
    """What a setting should be, without saying what it is."""
    if keyword == "type":
        yield "must be " + (value if isinstance(value, str) else " or ".join(map(str, value)))
    elif keyword == "enum":
        yield "must be one of " + ", ".join(map(str, value))
    elif keyword in ("required", "additionalProperties"):
        yield message  # names keys, not values
    elif isinstance(value, str | int | float):
        yield f"does not fit {keyword}: {value}"
    else:
        yield f"does not fit {keyword}"


def hidden(schema: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for people, secrets hidden (I13)."""
    known: Mapping[str, Mapping[str, Any]] = properties(schema)
    return {key: "***" if known.get(key, {}).get("secret") else value for key, value in config.items()}


def words(pairs: Sequence[str], option: str) -> list[tuple[str, str]]:
    """`key=value` texts as pairs."""
    found = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise errors.ConfigError("usage", f"{option} {pair}: KEY=VALUE is expected")
        found.append((key, text))
    return found
