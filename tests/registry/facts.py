"""Checks the shipped index against the packages themselves, or writes what they tell into it.

    python -m tests.registry.facts                      every entry
    python -m tests.registry.facts tap-github tap-dbt   some packages
    python -m tests.registry.facts --write tap-dbt      and put what was found into the index

Each package is installed as `dativo add` does and asked what it is in the sandbox. By hand are the name, the variant,
the kind, the package and the default variant; everything else must be what the package tells: its command, summary,
licence, Pythons, development status, capabilities and settings by --about (of those without it: the keys that its code
reads), and the hosts that its code names. It asks the package index for exactly the packages of the index, one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.cli.prober import prober
from dativo.config.project import Project
from dativo.plugins import environment
from dativo.plugins.install import add
from dativo.plugins.lockfile import LockedPlugin
from dativo.plugins.registry.entry import Checked, plain
from dativo.plugins.registry.index import FILE, Index
from dativo.plugins.requirement import Request
from tests.registry import code

DESCRIPTION = 160
STATUS = {"3": "alpha", "4": "beta", "5": "stable", "6": "stable", "7": "inactive"}
BY_HAND = ("kind", "package")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")
"""A default that is counted from the moment of asking: no fact."""
OF_THE_SDK = {
    "stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth", "batch_config",
    "flattening_max_key_length", "add_record_metadata", "load_method", "batch_size_rows", "validate_records",
    "default_target_schema", "process_activate_version_messages", "batch_wait_limit_seconds", "sql",
}  # fmt: skip
"""What the SDK gives to every plugin made with it: told by an installed plugin, not worth a line in the index."""


def found(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry as its package tells it. Raises DativoError when it cannot be installed or started."""
    with tempfile.TemporaryDirectory(prefix="facts-") as folder:
        (Path(folder) / "dativo.yml").touch()
        project = Project.find(Path(folder))
        request = Request(
            entry["package"], as_name=name, kind=entry["kind"], with_=tuple(entry.get("requires", ())),
            executable=entry.get("executable"),
        )  # fmt: skip
        with prober() as probe:
            (change,) = add(project, [request], probe=probe, index=Index([]))
        try:
            return _told(entry, change.plugin, change.manifest)
        finally:
            environment.discard(change.plugin)


def _told(entry: dict[str, Any], plugin: LockedPlugin, manifest: dict[str, Any]) -> dict[str, Any]:
    about, files = _metadata(plugin)
    own = entry["package"].startswith("dativo-")
    sandbox = manifest.get("sandbox")
    hosts = [] if own else code.hosts(files)
    settings = manifest.get("settings") or code.settings(files)
    told = {
        **{key: entry[key] for key in BY_HAND},
        "engines": ["native"] if own else ["singer"],
        "requires": list(plugin.with_),
        "python": plain(about.get("Requires-Python") or "") or None,
        "executable": plugin.executable,
        "capabilities": sorted(manifest.get("capabilities") or []),
        "permissions": sandbox if isinstance(sandbox, dict) else {"network": hosts} if hosts else None,
        "maturity": "stable" if own else _status(about),
        "licence": _licence(about),
        "description": plain(about.get("Summary") or "", DESCRIPTION),
        "settings": _shortened(Checked("facts").settings(settings, "settings")) if settings else None,
    }
    return {key: value for key, value in told.items() if value not in (None, [], "", {})}


def _metadata(plugin: LockedPlugin) -> tuple[Message, list[Path]]:
    """The distribution's METADATA and its files."""
    import csv

    for folder in environment.folder(plugin).glob("lib/python3*/site-packages/*.dist-info"):
        name = folder.name.removesuffix(".dist-info").rsplit("-", 1)[0].lower().replace("_", "-").replace(".", "-")
        if name == plugin.distribution:
            about = HeaderParser().parsestr((folder / "METADATA").read_text("utf-8", errors="replace"))
            with (folder / "RECORD").open(newline="", encoding="utf-8") as stream:
                files = [folder.parent / row[0] for row in csv.reader(stream) if row]
            return about, [path for path in files if path.suffix == ".py" and path.is_file()]
    raise LookupError(f"{plugin.distribution} has no metadata")


def _status(about: Message) -> str | None:
    for one in about.get_all("Classifier") or []:
        if one.startswith("Development Status :: "):
            return STATUS.get(one.removeprefix("Development Status :: ")[:1], "planned")
    return None


def _licence(about: Message) -> str | None:
    """As the package spells it; a whole licence text is not a name."""
    kept = [about.get("License-Expression"), about.get("License")]
    kept += [one.rsplit(" :: ", 1)[-1] for one in about.get_all("Classifier") or [] if one.startswith("License :: ")]
    return next((plain(one) for one in kept if one and len(one) < 60 and one not in ("UNKNOWN", "OSI Approved")), None)


def _shortened(schema: dict[str, Any], top: bool = True) -> dict[str, Any]:
    shape: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept = {name: _shortened(one, False) for name, one in value.items() if not (top and name in OF_THE_SDK)}
            if kept:
                shape[key] = dict(sorted(kept.items()))
        elif key == "description":
            shape[key] = plain(value, DESCRIPTION)
        elif key == "items":
            inner = _shortened(value, False)
            shape[key] = {"type": inner["type"]} if "type" in inner else {}
        elif key == "type" and isinstance(value, list):
            kinds = [kind for kind in value if kind != "null"]
            shape[key] = kinds[0] if len(kinds) == 1 else kinds
        elif key == "required":
            shape[key] = sorted(name for name in value if not (top and name in OF_THE_SDK))
        elif key != "title" and not (key == "default" and isinstance(value, str) and MOMENT.match(value)):
            shape[key] = value
    return {key: value for key, value in shape.items() if value not in ([], {})}


def differences(entry: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """What the index says and the package does not, by key."""
    return [
        f"{key}: {json.dumps(entry.get(key))[:200]} is {json.dumps(told.get(key))[:200]}"
        for key in dict.fromkeys([*entry, *told])
        if entry.get(key) != told.get(key)
    ]


def written(index: dict[str, Any]) -> str:
    """The file: sorted, a line for each short value, so that a change reads well in a diff."""

    def lines(value: Any, depth: int) -> str:
        flat = json.dumps(value, ensure_ascii=False, sort_keys=True)
        if not isinstance(value, dict) or (len(flat) + depth <= 118 and depth >= 4):
            return flat
        inner = [f"{' ' * (depth + 1)}{json.dumps(key)}: {lines(value[key], depth + 1)}" for key in sorted(value)]
        return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}" if inner else "{}"

    return lines(index, 0) + "\n"


def main() -> int:
    """Check or write; how many entries differ or cannot be had decides the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="PACKAGE")
    options.add_argument("--write", action="store_true")
    options.add_argument("--file", type=Path, default=FILE)
    given = options.parse_args()
    index = json.loads(given.file.read_bytes())
    wanted = [
        (name, variant, entry)
        for name, plugin in index["plugins"].items()
        for variant, entry in plugin["variants"].items()
        if not given.names or entry["package"] in given.names
    ]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="facts-home-") as home:
        os.environ["DATIVO_HOME"] = home
        for name, variant, entry in wanted:
            told: dict[str, Any] | None = None
            try:
                told = found(name, entry)
                said = differences(entry, told)
            except (errors.DativoError, LookupError, OSError) as problem:
                said = [" · ".join([str(problem), *getattr(problem, "details", ())[-3:]])]
            bad += bool(said)
            for line in said or ["as the package tells"]:
                print(f"{name} ({variant})  {line}", flush=True)
            if given.write and told:
                index["plugins"][name]["variants"][variant] = told
                given.file.write_text(written(index), encoding="utf-8")
    print(f"{len(wanted) - bad} as told, {bad} not", file=sys.stderr)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
