"""The YAML files of a PipelineWise project: `env_var` put as our variables, `!vault` values kept apart, bounds kept."""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path

import yaml

from dativo import errors
from dativo.config.document import MAX_BYTES, Document, parse
from dativo.dataclass import dataclass
from dativo.migrate import reading
from dativo.migrate.reading import UnreadableError
from dativo.migrate.report import Report
from dativo.migrate.settings import variable

MOST_FILES = 2_000
VAULT = "!vault"
VAULTED_FILE = "$ANSIBLE_VAULT;"
_ENV = re.compile(
    r"""\{\{\s*env_var\s*(?:\[\s*(['"])(?P<a>[A-Za-z_]\w*)\1\s*\]|\.\s*(?P<b>[A-Za-z_]\w*)(?!\w|\s*\()"""
    r"""|\.get\(\s*(['"])(?P<c>[A-Za-z_]\w*)\4\s*\))\s*\}\}""",
    re.ASCII,
)
_JINJA = re.compile(r"\{\{|\{%|\{#")


@dataclass
class Files:
    """What was found in the folder, by the id that each file has in it."""

    taps: list[Document] = field(default_factory=list)
    targets: list[Document] = field(default_factory=list)
    main: Document | None = None


def read(folder: Path, report: Report) -> Files:
    """Every file; one that cannot be used is in the report. Raises import.invalid when the folder has none."""
    found = Files()
    names = sorted(one.name for one in folder.iterdir() if one.suffix in (".yml", ".yaml")) if folder.is_dir() else []
    if len(names) > MOST_FILES:
        raise errors.ConfigError(
            "import.invalid", f"{folder} holds more than {MOST_FILES:,} YAML files", hint="split it"
        )
    for name in names:
        place = [found.taps] if name.startswith("tap_") else [found.targets] if name.startswith("target_") else []
        if not place and name != "config.yml":
            report.left(
                name, "the file", "neither tap_*.yml, target_*.yml nor config.yml: PipelineWise does not read it"
            )
            continue
        document = _document(folder, name, report)
        if document is not None and name == "config.yml":
            found.main = document
        elif document is not None:
            place[0].append(document)
    if not any(name.startswith(("tap_", "target_")) for name in names):
        raise errors.ConfigError(
            "import.invalid",
            f"{folder} holds no tap_*.yml and no target_*.yml",
            hint="name the folder of the YAML files",
        )
    return found


def _document(folder: Path, name: str, report: Report) -> Document | None:
    path = reading.inside(folder, name)
    if path is None:
        report.left(name, "the file", "a link that leads out of the folder: it is not followed")
        return None
    try:
        text = reading.text(path, MAX_BYTES)
    except UnreadableError as problem:
        report.left(name, "the file", str(problem))
        return None
    if text.startswith(VAULTED_FILE):
        report.left(name, "the file", "encrypted as a whole: run `ansible-vault decrypt` on a copy, then import that")
        return None
    text = _ENV.sub(lambda hit: variable(hit["a"] or hit["b"] or hit["c"]), text)
    odd = next((number for number, line in enumerate(text.splitlines(), 1)
                if _JINJA.search(line.partition(" #")[0]) and not line.lstrip().startswith("#")), None)  # fmt: skip
    if odd is not None:
        report.left(
            f"{name}:{odd}", "the file", "a Jinja template beyond {{ env_var[…] }}: render it, then import again"
        )
        return None
    try:
        return parse(_untabbed(text), folder / name, code="import.invalid", tags=(VAULT,))
    except errors.ConfigError as problem:
        where, _, why = problem.message.partition(": ")
        report.left(where, "the file", f"it is refused: {why}")
        return None


def _untabbed(text: str) -> str:
    """The text with blanks for the tabs between values: PipelineWise reads such files (by libyaml), and has samples."""
    if "\t" not in text:
        return text
    kept: list[str] = []
    at = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            if isinstance(event, yaml.ScalarEvent):
                kept += [text[at : event.start_mark.index].replace("\t", " ")]
                at = event.end_mark.index
                kept += [text[event.start_mark.index : at]]
    except (yaml.YAMLError, AttributeError, RecursionError):
        return text
    return "".join([*kept, text[at:].replace("\t", " ")])
