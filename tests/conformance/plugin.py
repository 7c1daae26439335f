"""What is known of a plugin before it runs: its package, what it needs to be installed, and how it is set up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.found import Place
from tests.conformance.world import World
from tests.pipelines.rows import Table


@dataclass(frozen=True)
class Plugin:
    """A package of the index at one version."""

    distribution: str
    version: str
    kind: str
    python: str | None = None
    """The Python that it still runs with, where that is not Dativo's own."""
    with_: tuple[str, ...] = ()
    executable: str | None = None
    variant: str | None = None
    path: Path | None = None
    """A folder of this repo instead of the index."""
    why: str = ""
    """What is known of why it does not run, or runs so, where that is its own affair."""

    @property
    def name(self) -> str:
        """What it is called here: variants of one plugin can stand in one project."""
        return self.distribution

    def words(self) -> list[str]:
        """What follows `dativo add`."""
        request = str(self.path) if self.path else f"{self.distribution}=={self.version}"
        found = [request, "--as", self.name, "--kind", self.kind]
        for flag, value in (("--python", self.python), ("--executable", self.executable), ("--variant", self.variant)):
            found += [flag, value] if value else []
        return [*found, *(word for one in self.with_ for word in ("--with", one))]


@dataclass
class Reading:
    """A tap that is set up: its section of dativo.yml, and what it is to find."""

    section: dict[str, Any]
    tables: dict[str, Table]
    source: str
    """In words, for the page."""
    flags: tuple[str, ...] = ()
    """What `dativo run` is told besides."""
    called: dict[str, str] = field(default_factory=dict)
    """Our names for streams and columns by the tap's, where it has others."""
    change: Callable[[], dict[str, Table]] | None = None
    """Changes the source between the two runs; what a target that merges is to hold then."""


@dataclass
class Destination:
    """A target that is set up: its section of dativo.yml, and how to look at what it has put there."""

    section: dict[str, Any]
    place: Place
    flags: tuple[str, ...] = ()
    """What `dativo run` is told besides."""


@dataclass(frozen=True)
class Tap:
    """A tap and how it is set up in a folder of its own."""

    plugin: Plugin
    setup: Callable[[World, Path], Reading]
    way: str = ""
    """How it reads, where one tap is tried in several ways."""

    @property
    def name(self) -> str:
        """What it is called in pairs: the plugin, and the way."""
        return f"{self.plugin.name} {self.way}".strip()


@dataclass(frozen=True)
class Target:
    """A target and how it is set up; the second is a folder, or a name for a database, that nobody else uses."""

    plugin: Plugin
    setup: Callable[[World, Path], Destination]
    way: str = ""
    """How it writes, where one target is tried in several ways."""

    @property
    def name(self) -> str:
        """What it is called in pairs: the plugin, and the way."""
        return f"{self.plugin.name} {self.way}".strip()


@dataclass(frozen=True)
class Mapper:
    """A program between the two: its config, and what it does to a table."""

    plugin: Plugin
    config: dict[str, Any]
    expected: Callable[[dict[str, Table]], dict[str, Table]]
    note: str = ""


@dataclass
class Outcome:
    """What became of a pair, as it is kept in plugins.json."""

    tap: str
    target: str
    mapper: str | None = None
    source: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    first: str = ""
    """`ok`, or why not."""
    second: str = ""
    again: int = 0
    """Records that the second run read."""
    kept: str = ""
    """What the target did with rows that came again: merged, appended or rewritten."""
    bookmark: bool = False
    adapted: list[str] = field(default_factory=list)
    plain: str = ""
    """The first run with --no-adapt: `ok`, why not, or empty where it was not tried."""
    bare: str = ""
    """Both programs in a pipe of a shell, without Dativo: `ok`, why not, or empty where it was not tried."""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins of the pair, whichever way they are used."""
        return tuple(name.partition(" ")[0] for name in (self.tap, self.mapper, self.target) if name)

    @property
    def ok(self) -> bool:
        """Whether both runs did what they should."""
        return self.first == self.second == "ok"
