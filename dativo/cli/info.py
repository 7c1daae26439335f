"""`dativo info`: what a registry knows of a plugin, before it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dativo.cli import options, report
from dativo.cli.search import PAGE, shortened, unprefixed
from dativo.secrets.names import is_secret

if TYPE_CHECKING:
    from dativo.plugins.registry.entry import Entry
    from dativo.plugins.registry.index import Choice, Index


@click.command(
    name="info",
    help="""\b
  dativo info tap-github
  dativo info tap-github --variant meltanolabs
  dativo info tap-postgres --engine singer
  dativo info postgres

Show a plugin's package, variants, engines, capabilities, hosts and settings as its registry describes them. Secret
settings are marked: Dativo hides their values. Of a system, as postgres, it shows everything that reads or writes it.
`dativo inspect` shows what an installed plugin may do.
""",
    epilog=PAGE,
)
@click.argument("name")
@click.option("--variant", metavar="NAME", help="Whose plugin, when several share the name.")
@click.option("--engine", metavar="ENGINE", help="The one of this engine: native, singer or airbyte.")
@click.option("--registry", metavar="NAME", help="Ask only this registry.")
@click.option("--offline", is_flag=True, help="Ask no server, even for what was not read yet.")
@options.json_option
@options.verbosity_options
def command(*, name: str, variant: str | None, engine: str | None, registry: str | None, offline: bool) -> None:
    """Show one entry, or what there is for a system."""
    from dativo.plugins.registry.index import everything

    name, engine = unprefixed(name, engine)
    whole = everything()
    index = whole.only(registry) if registry else whole
    alike = index.alike(name) if variant is None and engine is None else []
    if alike and index.choose(name) is None:
        rows = [_connecting(index, one, engines) for one in alike if (engines := index.engines(one))]
        report.result(rows, lambda: _table(name, rows))
        return
    entry = index.entry(name, variant, engine, offline=offline)
    choices = index.choices(entry.name)
    known = index.by_engine(index.alike(entry.name) or choices)
    added = command_line(entry, whole.choices(entry.name))
    here = list(_here(entry))
    report.result(
        {
            **_data(index, entry, choices, known),
            "installed": [{**one, "dialect": asdict(one["dialect"])} for one in here],
        },
        lambda: _lines(entry, choices, added, known, here),
    )


def _here(entry: Entry) -> Iterator[dict[str, Any]]:
    """The plugins of this project that are this very entry, with the dialect that is read off each."""
    from dativo.config.project import Project
    from dativo.plugins.installed import all_installed
    from dativo.run.adapting import dialect

    for one in all_installed(Project.find()):
        if entry.distribution is not None and one.distribution == entry.distribution:
            yield {"name": one.name, "version": one.version, "dialect": dialect(one)}


def _connecting(index: Index, choice: Choice, engines: Sequence[str]) -> dict[str, Any]:
    about = index.known(choice)
    return {
        "name": choice.name,
        "kind": about.kind if about else None,
        "engines": list(engines),
        "variant": choice.variant,
        "registry": choice.catalogue.name,
        "default": choice.default,
        "package": about.package if about else None,
    }


def _table(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    kinds = {"tap": "read", "target": "written"}
    done = " and ".join(word for kind, word in kinds.items() if any(row["kind"] == kind for row in rows))
    yield f"  {report.clean(name)} can be {done}:"
    yield from report.columns(
        [
            [
                row["name"], ", ".join(row["engines"]), row["variant"] + (" (default)" if row["default"] else ""),
                row["package"] or "",
            ]
            for row in rows
        ],
        indent="    ",
    )  # fmt: skip
    yield f"  more of one: dativo info {rows[0]['name']} · to install it: dativo add {rows[0]['name']} --engine ENGINE"


def _data(index: Index, entry: Entry, choices: list[Choice], known: Mapping[str, list[Choice]]) -> dict[str, Any]:
    return {
        **entry.data(),
        "secrets": entry.secrets(),
        "variants": [
            {
                "variant": one.variant,
                "registry": one.catalogue.name,
                "default": one.default,
                "engines": list(index.engines(one)),
            }
            for one in choices
        ],
        "by_engine": {
            engine: [{"name": one.name, "variant": one.variant} for one in some] for engine, some in known.items()
        },
    }


def _lines(
    entry: Entry, choices: list[Choice], added: str, known: Mapping[str, list[Choice]], here: list[dict[str, Any]]
) -> Iterator[str]:
    head = [f"{entry.name} ({entry.variant})", entry.kind, ", ".join(entry.engines)]
    yield "  " + " · ".join([*head, *([entry.maturity] if entry.maturity else [])])
    if entry.description:
        yield f"  {report.clean(entry.description)}"
    rows = _rows(entry, choices, known)
    rows += [["here", f"{one['name']} {one['version']} · speaks Singer with {one['dialect'].words()}"] for one in here]
    yield from report.columns([row for row in rows if row[1]])
    settings = list(described(entry.settings))
    if settings:
        yield "  settings"
        yield from report.columns(settings, indent="    ")
    yield f"  to install it: {added}"


def _rows(entry: Entry, choices: list[Choice], known: Mapping[str, list[Choice]]) -> list[list[str]]:
    from dativo.plugins.registry.index import engines_shown

    more = [f"with {', '.join(entry.requires)}"] if entry.requires else []
    about = [entry.licence or "", f"Python {_pythons(entry.python)}" if entry.python else "", *more]
    told = "" if entry.settings.get("properties") or "airbyte" not in entry.engines else "told when it is added"
    variants = [f"{one.variant} (default)" if one.default else one.variant for one in choices]
    return [
        ["package", " · ".join([entry.package, *(one for one in about if one)])],
        ["broken", entry.broken or ""],
        ["command", entry.executable or ""],
        ["can", ", ".join(entry.capabilities)],
        ["reaches", _reaches(entry)],
        ["settings", told],
        ["variants", ", ".join(variants)],
        ["engines", engines_shown(entry.name, known)],
        ["registry", entry.registry],
    ]


def _pythons(bound: str) -> str:
    """`3.10` for `==3.10.*`; any other bound as it is."""
    return bound[2:-2] if bound.startswith("==") and bound.endswith(".*") and "," not in bound else bound


def _reaches(entry: Entry) -> str:
    if entry.permissions is None:
        return "the hosts of its settings, and others that nobody noted"
    return " · ".join(word for word in entry.permissions.words() if word)


def described(schema: Mapping[str, Any], above: str = "") -> Iterator[list[str]]:
    """A row for each setting: its dotted name, type, whether it is secret or required, what it is."""
    required = schema.get("required") or []
    for key, prop in (schema.get("properties") or {}).items():
        inner = prop.get("properties")
        secret = is_secret(key, prop)
        if inner and not secret:
            yield from described(prop, f"{above}{key}.")
            continue
        kinds = prop.get("type", "")
        kind = kinds if isinstance(kinds, str) else " or ".join(one for one in kinds if one != "null")
        marks = [word for word, holds in (("secret", secret), ("required", key in required)) if holds]
        yield [above + key, kind, ", ".join(marks), shortened(prop.get("description", ""))]


def command_line(entry: Entry, choices: list[Choice]) -> str:
    """How this very entry is added; `choices` are those of all registries."""
    chosen = next(one for one in choices if one.variant == entry.variant)
    words = ["dativo add", entry.name]
    words += [] if chosen.default else ["--variant", entry.variant]
    words += [] if chosen.catalogue.name == entry.registry else ["--registry", entry.registry]
    return " ".join(words)
