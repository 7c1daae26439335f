"""A value of meltano.yml as dativo.yml writes it: `$VAR` becomes `${VAR}`, a dollar sign that is none `$$`.

A variable that meltano.yml sets itself, or that Meltano makes, is replaced by its text: dativo.yml has no such thing.
The project's folder is `.`, where dativo.yml is run, so that the file can be moved and shared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from dativo.config.meltano.expansion import VARIABLE, mapped, names
from dativo.dataclass import dataclass
from dativo.secrets import dotenv

OF_RUN = re.compile(r"(?:MELTANO_(?:EXTRACT|LOAD|MAP|TRANSFORM)|MELTANO_(?:EXTRACTOR|LOADER|MAPPER))_\w+")
"""Variables that say something of another plugin of the run."""
ROOT = "MELTANO_PROJECT_ROOT"
HERE = f"${{{ROOT}:-.}}"


@dataclass
class Texts:
    """How texts are rewritten. `fixed` are the variables that have a text here and now."""

    fixed: Mapping[str, str] = field(repr=False)
    here: bool = False
    """Whether dativo.yml is beside meltano.yml."""
    told: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What plugins tell each other, as dativo.yml writes it already."""
    used: dict[str, None] = field(default_factory=dict)
    """The variables that stay variables."""
    replaced: dict[str, None] = field(default_factory=dict)
    """The variables that became text."""

    def rewritten(self, value: Any) -> Any:
        """A value with each of its texts rewritten."""
        return mapped(value, self._one)

    def _one(self, text: str) -> str:
        parts: list[str] = []
        at = 0
        for found in VARIABLE.finditer(text):
            parts.append(_plain(text[at : found.start()]))
            at = found.end()
            name = found["curly"] or found["plain"]
            if found["escape"]:
                parts.append(_plain(found[0][1:]))
            elif name in self.told:
                parts.append(self.told[name])
            elif name == ROOT and self.here and text[: found.start()] in ("", "sqlite:///"):
                self.replaced[name] = None
                parts.append(HERE)
            elif name in self.fixed:
                self.replaced[name] = None
                parts.append(_plain(self.fixed[name]))
            else:
                self.used[name] = None
                parts.append(f"${{{name}}}")
        return "".join([*parts, _plain(text[at:])])


def of_run(value: Any, own: Mapping[str, str], told: Collection[str]) -> list[str]:
    """The variables in a value that another plugin of the run tells: `told` are those that are called after one."""
    return [name for name in names(value) if (name in told or OF_RUN.fullmatch(name)) and name not in own]


def line(name: str, value: str) -> str:
    """A line of .env."""
    return f"{name}={dotenv.quoted(value)}\n"


def _plain(text: str) -> str:
    return text.replace("$", "$$")
