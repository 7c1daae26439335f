"""Which package a program of a script is: told by its environment's metadata, else by the index. Nothing is run."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.dataclass import dataclass
from dativo.migrate import reading
from dativo.migrate.reading import UnreadableError
from dativo.plugins.registry.entry import Entry
from dativo.plugins.registry.index import shipped

MOST_PACKAGES = 2_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_-]*")


@dataclass(frozen=True)
class Package:
    """Where a program comes from, for a plugin's section: `variant` or `source`; `told` says how that is known."""

    source: str | None
    variant: str | None
    told: str
    entry: Entry | None = None
    executable: str | None = None
    """Which of several programs it is."""


class _Exact(configparser.ConfigParser):
    """Names of programs keep their case."""

    def optionxform(self, optionstr: str) -> str:
        """As it is."""
        return optionstr


def of_environment(home: Path, program: str) -> Package | None:
    """The installed package that has the program, with its version."""
    for info in sorted(home.glob("lib/python*/site-packages/*.dist-info"))[:MOST_PACKAGES]:
        try:
            scripts = _Exact(delimiters=("=",), interpolation=None)
            scripts.read_string(reading.text(info / "entry_points.txt", 1 << 20))
            if not scripts.has_option("console_scripts", program):
                continue
            about = HeaderParser().parsestr(reading.text(info / "METADATA", 4 << 20))
        except (UnreadableError, configparser.Error):
            continue
        name, version = str(about.get("Name")), str(about.get("Version"))
        if _NAME.fullmatch(name) and _VERSION.fullmatch(version):
            source = _direct(info) or f"{name}=={version}"
            several = len(scripts.options("console_scripts")) > 1
            told = f"{name} {version} of its environment"
            return Package(source, None, told, _entry(name), program if several else None)
    return None


def _direct(info: Path) -> str | None:
    """Where a package was installed from, if not from an index: a commit of a repository."""
    try:
        told = reading.json_object(info / "direct_url.json", 1 << 16)
    except UnreadableError:
        return None
    about = told.get("vcs_info")
    if isinstance(about, dict) and about.get("vcs") == "git" and isinstance(told.get("url"), str):
        return f"git+{told['url']}@{about.get('commit_id')}"
    return None


def _entry(distribution: str) -> Entry | None:
    from packaging.utils import canonicalize_name

    try:
        choice = shipped().choose(str(canonicalize_name(distribution)))
        return choice.catalogue.entry(choice.name, choice.variant, offline=True) if choice else None
    except errors.DativoError:
        return None


def of_index(program: str, config: Mapping[str, Any]) -> Package:
    """The variant of a name that knows the most of the settings; a package of that name where the index has none."""
    choices = shipped().choices(program)
    if not choices:
        return Package(program, None, f"a guess: the package {program}")
    known = [(one, one.catalogue.entry(one.name, one.variant, offline=True)) for one in choices]
    best, entry = max(known, key=lambda pair: len(set(config) & set(pair[1].settings.get("properties") or ())))
    others = ", ".join(one.variant for one, _ in known if one.variant != best.variant)
    unknown = sorted(set(config) - set(entry.settings.get("properties") or ()))
    rest = f"; there is {others} too" if others else ""
    rest += f"; it does not know {', '.join(unknown)}: name another package in source" if unknown else ""
    knows = ", which knows its settings best" if config and len(known) > 1 else ""
    told = f"the variant {best.variant} of the index{knows}{rest}"
    return Package(None, best.variant, told, entry)


def of_script(program: Path) -> str:
    """What is said of a file that is a program itself; Dativo starts it by its first line, as `./tap_x.py` would."""
    try:
        begins = reading.content(program, 1 << 20).startswith(b"#!")
    except UnreadableError as problem:
        return f"the script that it is, of which {problem}"
    wants = [] if os.access(program, os.X_OK) else ["make it executable (chmod +x)"]
    wants += [] if begins else ["give it a first line such as #!/usr/bin/env python3"]
    return "the script that it is" + (f": {' and '.join(wants)}" if wants else "")


def environment(program: Path) -> Path | None:
    """The environment that a program lies in."""
    home = program.parent.parent
    return home if program.parent.name == "bin" and reading.is_file(home / "pyvenv.cfg") else None
