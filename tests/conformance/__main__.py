"""`python -m tests.conformance [--only NAME] [--missing] [--no-pairs] [--no-streams]`: plugins of the index, tried.

Results go to docs/reference/plugins.json after each pair, and the page beside it is written from that: a run that is
stopped goes on with `--missing`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.conformance import bare, hostile, page, pair, plan, streams
from tests.conformance.ledger import Ledger, key
from tests.conformance.mappers import MAPPERS
from tests.conformance.plugin import Plugin
from tests.conformance.taps import TAPS
from tests.conformance.targets import TARGETS
from tests.conformance.world import World
from tests.workspace import ROOT, Workspace

FOLDER = ROOT / "docs" / "reference"


def say(line: str) -> None:
    """At once, also into a file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def old_pythons() -> None:
    """Where pyenv keeps Pythons, uv finds those that old plugins need."""
    found = sorted(Path.home().glob(".pyenv/versions/*/bin"))
    os.environ["PATH"] = ":".join([os.environ["PATH"], *map(str, found)])


class Trial:
    """One run of the program."""

    def __init__(self, ledger: Ledger, world: World, scratch: Path, home: Path) -> None:
        self.ledger, self.world, self.scratch = ledger, world, scratch
        self.installed = Workspace(home / "project", home / "home")
        self.tried = 0

    def has(self, plugin: Plugin) -> bool:
        """Whether it is installed; if not, why is noted."""
        problem = pair.install(self.installed, plugin)
        found = {} if problem else pair.installed(self.installed, plugin)
        self.ledger.note(plugin.name, version=plugin.version, kind=plugin.kind, install=problem, **found)
        if problem:
            say(f"{plugin.name} {plugin.version}: {problem}")
            self.save()
        return not problem

    def place(self) -> Path:
        """A folder that nobody has used."""
        self.tried += 1
        return self.scratch / str(self.tried)

    def save(self) -> None:
        """Both files."""
        self.ledger.save()
        (self.ledger.file.parent / page.NAME).write_text(page.text(self.ledger), "utf-8")

    def pair(self, names: tuple[str, str, str | None], *, compared: bool, anew: bool) -> None:
        """Both runs of a pair; where it is `compared`, also one with --no-adapt and one without Dativo.

        Unless `anew`, only what is not known yet.
        """
        tap, target, mapper = TAPS[names[0]], TARGETS[names[1]], MAPPERS[names[2]] if names[2] else None
        wanted = [tap.plugin, target.plugin, *([mapper.plugin] if mapper else [])]
        missing = [plugin for plugin in wanted if not self.has(plugin)]
        if missing:
            return
        found = None if anew else self.ledger.pairs.get(key(*names))
        if found is None:
            found = pair.tried(self.installed, tap, target, self.world, self.place(), mapper)
        if compared and not found.plain:
            unchanged = found.ok and not found.adapted  # every byte was passed on as it came
            found.plain = "ok" if unchanged else pair.without(self.installed, tap, target, self.world, self.place())
        if compared and not found.bare:
            found.bare = bare.tried(self.installed, tap, target, self.world, self.place())
        self.ledger.pairs[key(*names)] = found
        self.save()
        say(f"{key(*names)}: {found.first} · {found.second} · {sum(found.rows.values()):,} rows, again {found.again:,}")

    def knows(self, names: tuple[str, str, str | None]) -> bool:
        """Whether nothing is left to be found out about a pair."""
        found = self.ledger.pairs.get(key(*names))
        return found is not None and (names not in plan.MATRIX or bool(found.plain and found.bare))

    def streams(self, names: Iterable[str]) -> None:
        """All streams into each of some targets."""
        self.installed.dativo("add", hostile.TAP).expect()
        source = TARGETS["meltanolabs-target-csv"].plugin
        if not self.has(source):
            return
        folder = self.place()
        folder.mkdir(parents=True)
        environment = self.installed.executable(source.name).parents[1]
        found = [*streams.ours(folder), *streams.of_the_sdk(environment)]
        self.ledger.streams = {one.name: one.what for one in found}
        for name in names:
            if self.has(TARGETS[name].plugin):
                read = hostile.verdicts(self.installed, TARGETS[name], found, self.world, self.place())
                self.ledger.verdicts[name] = dict(read)
                self.save()
                say(f"{len(found)} streams into {name}")


def main() -> int:
    """Try what was asked for, and write what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help="pairs with this plugin, or way of one")
    parser.add_argument("--missing", action="store_true", help="only what is not in plugins.json yet")
    parser.add_argument("--no-streams", action="store_true", help="pairs alone")
    parser.add_argument("--no-pairs", action="store_true", help="streams alone")
    parser.add_argument("--home", type=Path, help="where plugins are installed, and kept")
    parser.add_argument("--write", metavar="FOLDER", type=Path, default=FOLDER)
    args = parser.parse_args()
    ledger = Ledger(args.write)
    old_pythons()
    with tempfile.TemporaryDirectory(prefix="dativo-plugins-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        with World(scratch) as world:
            trial = Trial(ledger, world, scratch, args.home or scratch / "installed")
            for names in plan.PAIRS:
                called = {name.partition(" ")[0] for name in names if name}
                wanted = not args.no_pairs and (not args.only or (called | set(names)) & set(args.only))
                if wanted and not (args.missing and trial.knows(names)):
                    trial.pair(names, compared=names in plan.MATRIX, anew=not args.missing)
            chosen = [one for one in plan.NINE if not args.only or one in args.only]
            if not args.no_streams:
                trial.streams(one for one in chosen if not (args.missing and one in ledger.verdicts))
            trial.save()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
