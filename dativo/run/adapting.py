"""What a plugin that reads a stream understands, and what is changed for it: SCHEMA and names, never records.

Four dialects of JSON Schema are on the wire, and a target that was written for one dies of another's words. The data
plane checks each record against the SCHEMA as it came, so a foreign receiver can do with one that asks for less
(SPEC.md, section 4). Which words it gets is read off its environment: the library that it reads Singer with, and the
validator that its own code names. Nothing is started for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dativo import errors
from dativo.config.keys import ADAPTATIONS
from dativo.dataclass import dataclass

if TYPE_CHECKING:
    from dativo.config.specs import JobSpec
    from dativo.plugins.installed import Installed
    from dativo.run.options import RunOptions
    from dativo.run.step import Step

FIELDS = ("stream", "schema", "table", "name")
SPEAKING = re.compile(r".*singer-sdk|.*singer-python|singer-tools|target-hotglue|dativo-protocol|airbyte-cdk")
"""The libraries that plugins speak their protocol with, forks included."""
JUDGING = re.compile(r"jsonschema|jsonschema-rs|fastjsonschema")
_IMPORT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
_VALIDATOR = re.compile(rb"\bDraft(\d+)Validator\b")
_NOT_ITS_OWN = frozenset({"sys", "re", "os", "importlib"})
_MOST_FILES, _MOST_BYTES = 400, 1 << 20
_LATER = 6
"""The first draft whose exclusive bounds are numbers."""


@dataclass(frozen=True)
class Dialect:
    """What is read off a plugin's environment, and what follows from it for a SCHEMA that it is to read."""

    libraries: tuple[str, ...] = ()
    """What it reads or writes Singer with, and judges records with, as `singer-sdk 0.54.9`."""
    drafts: tuple[int, ...] = ()
    """The drafts of JSON Schema whose validators are named in its code, or in the SDK that it is made with."""
    rules: tuple[str, ...] = ()
    """What may be changed for it; none for a plugin that takes a SCHEMA as it comes."""
    bounds: str = "inclusive"
    """How it knows exclusive bounds: number, boolean, or (so that they are made inclusive) not at all."""

    def words(self) -> str:
        """In one line."""
        named = ", ".join(self.libraries) or "code of its own"
        drafts = " and ".join(f"{one // 100}-{one % 100:02}" if one > 100 else str(one) for one in self.drafts)
        return f"{named} · JSON Schema draft {drafts}" if drafts else named


def dialect(plugin: Installed) -> Dialect:
    """The dialect of an installed plugin. `block` decides by the same facts, without the names of the libraries."""
    sdk = _sdk(plugin)
    drafts = _named(sdk.rglob("*.py")) if sdk is not None else _drafts(plugin)
    rules, bounds = ([], "number") if _takes_all(plugin) else _needed(plugin)
    return Dialect(tuple(_libraries(plugin)), tuple(sorted(drafts)), tuple(rules), bounds)


def is_ours(plugin: Installed) -> bool:
    """Whether it promises our exit codes and error lines, and so reads any SCHEMA that the protocol allows."""
    return "exit-codes" in plugin.capabilities


def _takes_all(plugin: Installed) -> bool:
    """Whether no SCHEMA is changed for it; an Airbyte destination is given none."""
    return is_ours(plugin) or plugin.kind == "tap" or plugin.engine == "airbyte"


def block(step: Step, wanted: str | Sequence[str], stream_name: str | None) -> dict[str, Any] | None:
    """The `adapt` of a child that reads a stream; None when nothing is to be changed for it.

    `wanted` is `auto`, `off`, or the names of what may be changed; `stream_name` a template for the target alone.
    """
    template = stream_name if step.role == "target" else None
    if step.speaks_airbyte:
        return None  # it is told its streams before it starts, under the names that it is to have
    rules, bounds = ([], "inclusive") if wanted == "off" or step.ours else _needed(step.plugin)
    chosen = [rule for rule in rules if wanted == "auto" or rule in wanted]
    if not chosen and template is None:
        return None
    return {"rules": chosen, "bounds": bounds, "stream_name": template}


def template_of(options: RunOptions, spec: JobSpec) -> str | None:
    """The template for the names of a job's streams, checked."""
    return checked_template(options.stream_name or spec.stream_name)


def wanted(options: RunOptions, job: str | Sequence[str]) -> str | Sequence[str]:
    """What the command line says over the job."""
    return "off" if options.adapt is False else job


def checked_template(template: str | None) -> str | None:
    """A template for the names of streams, or `config.invalid` saying what is wrong with it."""
    if template is None:
        return None
    fields = re.findall(r"\{([^{}]*)\}", template)
    rest = re.sub(r"\{[^{}]*\}", "", template)
    unknown = next((one for one in fields if one not in FIELDS), None)
    wrong = None
    if unknown is not None or "{" in rest or "}" in rest:
        what = template if unknown is None else f"{{{unknown}}}"
        wrong = f"{what} is none of {', '.join(f'{{{one}}}' for one in FIELDS)}"
    elif not set(fields) - {"schema"}:
        wrong = f"{template!r} calls all streams the same"
    if wrong is not None:
        raise errors.ConfigError("config.invalid", f"stream name: {wrong}", hint="as in {table}, raw_{name}")
    return template


def renaming(template: str | None) -> Callable[[str], str] | None:
    """What a checked template makes of a name, as the data plane does it for Singer targets (adapt/names.rs)."""
    if template is None:
        return None

    def renamed(stream: str) -> str:
        schema, dash, table = stream.partition("-")
        name = "".join(sign if sign.isalnum() else "_" for sign in stream)
        words = {"stream": stream, "schema": schema if dash else "", "table": table if dash else stream, "name": name}
        return re.sub(r"\{([^{}]*)\}", lambda found: words[found[1]], template)

    return renamed


def _needed(plugin: Installed) -> tuple[list[str], str]:
    """What may have to be changed for a foreign plugin, and how it knows exclusive bounds."""
    if _sdk(plugin) is not None:
        # The Meltano SDK validates SCHEMA by draft 7 or later, does without key_properties and takes any $schema.
        return [one for one in ADAPTATIONS if one not in ("schema-keyword", "key-properties")], "number"
    drafts = _drafts(plugin)
    if drafts and min(drafts) >= _LATER:
        return list(ADAPTATIONS), "number"
    return list(ADAPTATIONS), "boolean" if drafts and max(drafts) < _LATER else "inclusive"


def _sdk(plugin: Installed) -> Path | None:
    """The Meltano SDK in the plugin's environment."""
    if plugin.env_dir is None:
        return None
    return next(plugin.env_dir.glob("lib/python3*/site-packages/singer_sdk"), None)


def _libraries(plugin: Installed) -> Iterator[str]:
    """The packages of its environment that Singer is read with, and then those that judge records."""
    places = plugin.env_dir.glob("lib/python3*/site-packages/*.dist-info") if plugin.env_dir is not None else ()
    names = (place.name.removesuffix(".dist-info").partition("-") for place in places)
    there = {name.lower().replace("_", "-").replace(".", "-"): version for name, _, version in names}
    for known in (SPEAKING, JUDGING):
        yield from (f"{name} {version}" for name, version in sorted(there.items()) if known.fullmatch(name))


def _drafts(plugin: Installed) -> set[int]:
    """The drafts of JSON Schema whose validators the plugin's own code names."""
    return _named(_sources(plugin))


def _named(files: Iterable[Path]) -> set[int]:
    """The drafts whose validators are named in these files."""
    found = set()
    for file in islice(files, _MOST_FILES):
        try:
            text = file.read_bytes()[:_MOST_BYTES]
        except OSError:
            continue
        found |= {int(number) for number in _VALIDATOR.findall(text)}
    return found


def _sources(plugin: Installed) -> Iterator[Path]:
    """The plugin's own Python files: of the packages that its command imports."""
    try:
        command = plugin.executable.read_text("utf-8", errors="replace")[:_MOST_BYTES]
    except OSError:
        return
    if plugin.env_dir is None:
        yield plugin.executable
        return
    for name in dict.fromkeys(_IMPORT.findall(command)):
        for place in () if name in _NOT_ITS_OWN else plugin.env_dir.glob(f"lib/python3*/site-packages/{name}*"):
            if place.name == f"{name}.py":
                yield place
            elif place.name == name:
                yield from sorted(place.rglob("*.py"))[:_MOST_FILES]
