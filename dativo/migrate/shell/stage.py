"""One program of a pipeline: what it is called, where it lies, and the files and flags that it is given."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import field
from itertools import islice
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
STARTERS: dict[str, tuple[tuple[str, ...], int]] = {
    **dict.fromkeys(("time", "nohup", "command", "setsid", "chronic", "unbuffer"), ((), 0)),
    "exec": (("-a",), 0),
    "nice": (("-n",), 0),
    "ionice": (("-c", "-n"), 0),
    "stdbuf": (("-i", "-o", "-e"), 0),
    "env": (("-u", "-C", "--unset", "--chdir"), 0),
    "sudo": (("-u", "-g", "-h", "-C", "-D", "-p", "--user", "--group"), 0),
    "doas": (("-u", "-C"), 0),
    "flock": (("-w", "-E", "--timeout", "--wait", "--conflict-exit-code"), 1),
}
"""Programs that start another one: which of their options have a value, and how many words stand before its name."""
INSTEAD = {
    "sudo": "plugins run as who runs `dativo run`, in a sandbox",
    "doas": "plugins run as who runs `dativo run`, in a sandbox",
    "flock": "a job is not run twice at once: `dativo run` ends with 5, or waits with --wait",
}
"""Starters whose effect is not nothing, and what stands for it."""


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
    script: bool = False
    """Whether it is a file given to an interpreter."""
    ours: bool = False
    """Whether it is a side of a pipe of Dativo."""

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
        words = deque(self.words)
        while words:
            word = words.popleft()
            flag, equals, inline = (word.text or "").partition("=")
            if flag not in FLAGS:
                rest.append(word)
            elif equals:
                found.setdefault(FLAGS[flag], []).append(Word(inline))
            elif words:
                found.setdefault(FLAGS[flag], []).append(words.popleft())
        return found, rest

    def has(self, *flags: str) -> bool:
        """Whether one of the flags is given."""
        return any(word.text in flags for word in self.words)


TIMED = "timeout"
"""It starts a program for as long as its first word says."""
_GIVEN = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_TIME = re.compile(r"\d+(\.\d+)?[smhd]?")


def _bound(words: Sequence[Word]) -> int | None:
    """Where in `timeout …` its time stands."""
    at = 1
    while at < len(words) and (words[at].text or "").startswith("-"):
        at += 2 if words[at].text in ("-k", "-s", "--kill-after", "--signal") else 1
    return at if at < len(words) and _TIME.fullmatch(words[at].text or "") else None


@dataclass
class Started:
    """A program without what starts it: `nice`, `exec`, `timeout 1h`, `python -m`, `env X=1`, `dativo`."""

    program: Word | None = None
    words: list[Word] = field(default_factory=list)
    env: dict[str, str | None] = field(default_factory=dict, repr=False)
    starters: list[str] = field(default_factory=list)
    """What was taken off, as far as it is in `INSTEAD`."""
    script: bool = False
    ours: bool = False
    seconds: str | None = None
    """How long `timeout` gives it."""


def unwrapped(words: Sequence[Word]) -> Started:
    """Take the starters off."""
    found, rest = Started(), deque(words)
    while rest:
        first = rest.popleft()
        name = (first.text or "").rpartition("/")[2]
        if name == "dativo" and rest and kind_of(rest[0].text or "") is not None:
            found.ours = True
            continue
        if name.startswith("python") and rest:
            return _interpreted(found, rest)
        if name == TIMED and (at := _bound([first, *islice(rest, 9)])) is not None:
            _drop(rest, at - 1)
            found.seconds = rest.popleft().text
            continue
        if name not in STARTERS:
            found.program, found.words = first, list(rest)
            return found
        found.starters += [name] if name in INSTEAD else []
        valued, before = STARTERS[name]
        while rest and (rest[0].text or "").startswith("-"):
            _drop(rest, int(rest.popleft().text in valued))
        _drop(rest, before)
        while name in ("env", "sudo") and rest and (given := _GIVEN.fullmatch(rest[0].text or "")) is not None:
            found.env[given[1]] = given[2]
            rest.popleft()
    return found


def _drop(rest: deque[Word], count: int) -> None:
    for _ in range(min(count, len(rest))):
        rest.popleft()


def _interpreted(found: Started, rest: deque[Word]) -> Started:
    """`python -m tap_x …` and `python tap_x.py …`."""
    while rest and re.fullmatch(r"-[uBEIsSO]+", rest[0].text or ""):
        rest.popleft()
    first = rest.popleft() if rest else Word("")
    if first.text == "-m" and rest:
        module = rest.popleft()
        found.program = Word(module.text.replace("_", "-") if module.text else None, module.why)
    elif first.text != "":
        found.program, found.script = first, True
    found.words = list(rest)
    return found
