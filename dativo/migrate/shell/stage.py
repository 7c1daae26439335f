"""One program of a pipeline: what it is called, where it lies, and the files and flags that it is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from dativo.dataclass import dataclass
from dativo.migrate.shell.words import Word
from dativo.plugins.requirement import kind_of

FLAGS = {
    "--config": "config",
    "-c": "config",
    "--catalog": "catalog",
    "--properties": "catalog",
    "-p": "catalog",
    "--state": "state",
    "-s": "state",
}
"""Flags that every Singer program may have, and what their value is."""
BUFFERS = ("pv", "mbuffer", "buffer", "cstream")
"""Programs that hand on what they get."""
INTERPRETERS = ("python", "python3", "exec", "time", "nice", "nohup", "command", "env")


@dataclass(frozen=True)
class Stage:
    """A program and what it is given."""

    line: int
    program: Path | None
    """As it is called; None where that is not known."""
    words: tuple[Word, ...]
    env: dict[str, str | None] = field(default_factory=dict, repr=False)
    """Variables that are set for it alone."""
    stdout: str | None = None
    """The file that its output goes to."""
    stdin: str | None = None

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name or str(self.program) if self.program else "whose name is not known"

    @property
    def kind(self) -> str | None:
        """tap, target or mapper, by its name."""
        if self.program is None or not self.name.isascii() or any(sign.isspace() for sign in self.name):
            return None
        return kind_of(self.name.replace("_", "-").removesuffix(".py"))

    def given(self) -> tuple[dict[str, list[Word]], list[Word]]:
        """What the flags of Singer name, and the words that are left."""
        found: dict[str, list[Word]] = {}
        rest: list[Word] = []
        words = list(self.words)
        while words:
            word = words.pop(0)
            flag, equals, inline = (word.text or "").partition("=")
            if flag not in FLAGS:
                rest.append(word)
            elif equals:
                found.setdefault(FLAGS[flag], []).append(Word(inline))
            elif words:
                found.setdefault(FLAGS[flag], []).append(words.pop(0))
        return found, rest

    def has(self, *flags: str) -> bool:
        """Whether one of the flags is given."""
        return any(word.text in flags for word in self.words)


TIMED = "timeout"
"""It starts a program for as long as its first word says."""
_TIME = re.compile(r"\d+(\.\d+)?[smhd]?")


def timed(words: Sequence[Word]) -> str | None:
    """How long `timeout` gives a program; None where nothing bounds its time."""
    names = [(word.text or "").rpartition("/")[2] for word in words]
    at = _bound(words[names.index(TIMED) :]) if TIMED in names else None
    return None if at is None else words[names.index(TIMED) + at].text


def _bound(words: Sequence[Word]) -> int | None:
    """Where in `timeout …` its time stands."""
    at = 1
    while at < len(words) and (words[at].text or "").startswith("-"):
        at += 2 if words[at].text in ("-k", "-s", "--kill-after", "--signal") else 1
    return at if at < len(words) and _TIME.fullmatch(words[at].text or "") else None


def unwrapped(words: Sequence[Word]) -> tuple[Word | None, list[Word]]:
    """A program and its words without what starts it: `nice`, `exec`, `timeout 1h`, `python -m`, `dativo`."""
    rest = list(words)
    while rest:
        first = rest.pop(0)
        name = (first.text or "").rpartition("/")[2]
        if name == "dativo" and rest and kind_of(rest[0].text or "") is not None:
            continue
        if name.startswith("python") and [word.text for word in rest[:1]] == ["-m"] and len(rest) > 1:
            module = rest[1].text
            return Word(module.replace("_", "-") if module else None, rest[1].why), rest[2:]
        if name == TIMED and (at := _bound([first, *rest])) is not None:
            rest = rest[at:]
            continue
        if name not in INTERPRETERS:
            return first, rest
        while rest and (rest[0].text or "").startswith("-"):
            numbered = rest.pop(0).text == "-n" and name == "nice"
            rest = rest[1:] if numbered else rest
    return None, []
