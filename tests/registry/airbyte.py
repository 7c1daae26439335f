"""Makes the index of Airbyte connectors on PyPI, `airbyte.json`, or checks entries of it against their packages.

    python -m tests.registry.airbyte --from LIST             write it
    python -m tests.registry.airbyte source-faker …          install each, ask it `spec`, and compare with its entry
    python -m tests.registry.airbyte --write source-faker …  and put what was found into the facts and the index

LIST has a package a line: NAME, VERSION, DATE, …, SUMMARY between tabs. What it cannot tell (settings, secrets, hosts)
is not in the index: a connector tells its settings when it is added. An entry is a package of PyPI whose name is
`airbyte-source-*` or `airbyte-destination-*`, with the facts of `airbyte-facts.json`: the Python that starts it where
the one of this script does not, what it `requires` besides, and why it is `broken`, if no Python here starts it. A
`requires` is by hand, and tried with. Pythons that are not on PATH are fetched.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.cli.prober import prober
from dativo.config import atomic
from dativo.config.project import Project
from dativo.engines import airbyte as airbyte_engine
from dativo.plugins import airbyte, environment
from dativo.plugins.install import add
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.registry.entry import FORMAT, plain
from dativo.plugins.registry.index import AIRBYTE_FILE, Index
from dativo.plugins.requirement import Request
from tests.registry.facts import DESCRIPTION, written

VARIANT = "airbyte"
FACTS = Path(__file__).with_name("airbyte-facts.json")
OF_A_FACT = ("python", "requires", "broken")
OLDER = ("3.10", "3.9")
"""Pythons that are tried where the one that runs this, and the one that `add` takes then, do not start a connector."""
_CONNECTOR = re.compile(r"airbyte-((source|destination)-[a-z0-9]+(?:-[a-z0-9]+)*)")
_RAISED = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|Exception|Conflict)\w*: \S")
_PLACE = re.compile(r"(?: \(?)?/[\w./+-]*/(?:lib|cache|envs)/[^\s'\")]*\)?")
"""Where something is on the machine of who asked."""
COMMANDS = {name: f"airbyte-{name}" for name in ("destination-ailake", "source-datadog-usage", "source-wave-pro")}
"""Commands that are not called like their connector."""
_NO_CONNECTORS = ("source-declarative-manifest",)
"""Runs manifests: it is no source by itself."""


def facts() -> dict[str, dict[str, Any]]:
    """What is known of connectors besides what a list of packages tells, by name."""
    known: dict[str, dict[str, Any]] = json.loads(FACTS.read_bytes())
    return known


def entries(lines: list[str], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The index that a list of packages and the facts make."""
    plugins = {}
    for line in lines:
        package, *rest = line.rstrip("\n").split("\t")
        found = _CONNECTOR.fullmatch(package)
        if not found or found[1] in _NO_CONNECTORS:
            continue
        summary = plain(rest[-1] if rest else "", DESCRIPTION)
        entry = {
            "kind": airbyte_engine.KINDS[found[2]],
            "engines": [airbyte.ENGINE],
            "package": package,
            "executable": COMMANDS.get(found[1], found[1]),
            "description": summary or found[1],
            **known.get(found[1], {}),
        }
        plugins[found[1]] = {"default": VARIANT, "variants": {VARIANT: entry}}
    return {"format": FORMAT, "plugins": plugins}


def found(name: str, requires: tuple[str, ...]) -> dict[str, Any]:
    """The entry of a connector as its package tells it, but for its description."""
    problems = []
    for python in (None, *OLDER):
        try:
            plugin = _added(Request(f"airbyte:{name}", python=python, with_=requires))
        except errors.DativoError as problem:
            problems.append(problem)
            continue
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        told = {
            "kind": plugin.kind,
            "engines": [plugin.engine],
            "package": plugin.distribution,
            "executable": plugin.executable,
            "python": None if plugin.python == own else f"=={plugin.python}.*",
            "requires": [one for one in plugin.with_ if one in requires or one != airbyte.PENDULUM],
        }
        return {key: value for key, value in told.items() if value}
    return {**({"requires": list(requires)} if requires else {}), "broken": why(problems)}


def _added(request: Request) -> LockedPlugin:
    with tempfile.TemporaryDirectory(prefix="facts-") as folder:
        (Path(folder) / "dativo.yml").touch()
        project = Project.find(Path(folder))
        with prober() as probe:
            (change,) = add(project, [request], probe=probe, index=Index([]))
        environment.discard(change.plugin)
        return change.plugin


def why(problems: list[errors.DativoError]) -> str:
    """One line: the version, what it does not do, and what it says itself where it came furthest."""
    problem = next((one for one in problems if one.code == "plugin.start_failed"), problems[0])
    raised = [line.strip() for line in problem.details if _RAISED.match(line.strip())]
    says = _PLACE.sub("", raised[-1] if raised else problem.message)
    does = "does not start" if problem.code == "plugin.start_failed" else "cannot be installed"
    version = problem.context.get("version")
    return plain(" ".join([*([str(version)] if version else []), f"{does}: {says}"]), DESCRIPTION)


def differences(entry: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """What an entry says and its package does not; a broken package tells nothing but that."""
    keys = OF_A_FACT if "broken" in told else [key for key in {**entry, **told} if key != "description"]
    return [f"{key}: {entry.get(key)} is {told.get(key)}" for key in keys if entry.get(key) != told.get(key)]


def noted(name: str, told: dict[str, Any]) -> None:
    """Put the facts of one connector where facts are, and into the index."""
    fact = {key: told[key] for key in OF_A_FACT if key in told}
    with Path(__file__).open() as mutex:  # several of these may run, each with a DATIVO_HOME of its own
        fcntl.flock(mutex, fcntl.LOCK_EX)
        known = {**facts(), name: fact}
        atomic.write(FACTS, written({one: known[one] for one in known if known[one]}))
        index = json.loads(AIRBYTE_FILE.read_bytes())
        entry = index["plugins"][name]["variants"][VARIANT]
        kept = {key: value for key, value in entry.items() if key not in OF_A_FACT}
        index["plugins"][name]["variants"][VARIANT] = {**kept, **fact}
        atomic.write(AIRBYTE_FILE, written(index))


def main() -> int:
    """Write or check; how many entries differ decides the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--from", dest="given", type=Path, metavar="LIST")
    options.add_argument("--write", action="store_true")
    chosen = options.parse_args()
    if chosen.given is not None:
        with chosen.given.open(encoding="utf-8") as lines:
            index = entries(list(lines), facts())
        AIRBYTE_FILE.write_text(written(index), encoding="utf-8")
        print(f"{len(index['plugins'])} connectors", file=sys.stderr)
    known = json.loads(AIRBYTE_FILE.read_bytes())["plugins"]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="facts-home-") as home:
        os.environ["DATIVO_HOME"] = home
        for name in chosen.names:
            entry = known[name]["variants"][VARIANT]
            told = found(name, tuple(entry.get("requires", ())))
            said = differences(entry, told)
            bad += bool(said)
            print(f"{name}  {', '.join(said) or told.get('broken') or 'as the package tells'}", flush=True)
            if chosen.write:
                noted(name, told)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
