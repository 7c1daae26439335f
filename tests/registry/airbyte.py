"""Makes the index of Airbyte connectors on PyPI, `airbyte.json`, or checks entries of it against their packages.

    python -m tests.registry.airbyte --from LIST       write it
    python -m tests.registry.airbyte source-faker …    install each, ask it `spec`, and compare its command and kind

LIST has a package a line: NAME, VERSION, DATE, …, SUMMARY between tabs. What it cannot tell (settings, secrets, hosts)
is not in the index: a connector tells its settings when it is added. An entry is a package of PyPI whose name is
`airbyte-source-*` or `airbyte-destination-*`; nothing is by hand but
`COMMANDS`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.cli.prober import prober
from dativo.config.project import Project
from dativo.engines import airbyte as airbyte_engine
from dativo.plugins import airbyte
from dativo.plugins.install import add
from dativo.plugins.registry.entry import FORMAT, plain
from dativo.plugins.registry.index import AIRBYTE_FILE, Index
from dativo.plugins.requirement import Request
from tests.registry.facts import DESCRIPTION, written

VARIANT = "airbyte"
_CONNECTOR = re.compile(r"airbyte-((source|destination)-[a-z0-9]+(?:-[a-z0-9]+)*)")
COMMANDS = {name: f"airbyte-{name}" for name in ("destination-ailake", "source-datadog-usage")}
"""Commands that are not called like their connector."""
_NO_CONNECTORS = ("source-declarative-manifest",)
"""Runs manifests: it is no source by itself."""


def entries(lines: list[str]) -> dict[str, Any]:
    """The index that a list of packages makes."""
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
        }
        plugins[found[1]] = {"default": VARIANT, "variants": {VARIANT: {**entry, "description": summary or found[1]}}}
    return {"format": FORMAT, "plugins": plugins}


def difference(name: str, entry: dict[str, Any]) -> str | None:
    """What an entry says and its package does not."""
    with tempfile.TemporaryDirectory(prefix="facts-") as folder:
        (Path(folder) / "dativo.yml").touch()
        project = Project.find(Path(folder))
        with prober() as probe:
            (change,) = add(project, [Request(f"airbyte:{name}")], probe=probe, index=Index([]))
    told = {"kind": change.plugin.kind, "executable": change.plugin.executable, "package": change.plugin.distribution}
    wrong = [f"{key}: {entry[key]} is {value}" for key, value in told.items() if entry[key] != value]
    return ", ".join(wrong) or None


def main() -> int:
    """Write or check; how many entries differ or cannot be had decides the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--from", dest="given", type=Path, metavar="LIST")
    chosen = options.parse_args()
    if chosen.given is not None:
        with chosen.given.open(encoding="utf-8") as lines:
            index = entries(list(lines))
        AIRBYTE_FILE.write_text(written(index), encoding="utf-8")
        print(f"{len(index['plugins'])} connectors", file=sys.stderr)
    known = json.loads(AIRBYTE_FILE.read_bytes())["plugins"]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="facts-home-") as home:
        os.environ["DATIVO_HOME"] = home
        for name in chosen.names:
            try:
                said = difference(name, known[name]["variants"][VARIANT])
            except errors.DativoError as problem:
                said = str(problem)
            bad += bool(said)
            print(f"{name}  {said or 'as the package tells'}", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
