"""`dativo search`: find taps, targets and mappers in the registries. Reads what is kept here, never the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.config.keys import ENGINES
from dativo.config.specs import AIRBYTE, bare

if TYPE_CHECKING:
    from dativo.plugins.registry.index import Choice, Index

PAGE = "docs/guides/registry.md"
WIDTH = 72


@click.command(
    name="search",
    help="""\b
  dativo search github
  dativo search postgres --kind target
  dativo search --engine native
  dativo search --json

Find plugins by words in their name, variant, package or description: in the index that Dativo ships and in the
registries that you added. It works offline. Without words it lists all.
""",
    epilog=PAGE,
)
@click.argument("words", nargs=-1, metavar="[WORD…]")
@click.option("--kind", type=click.Choice(["tap", "target", "mapper"]), help="Only this kind of plugin.")
@click.option("--engine", type=click.Choice(ENGINES), help="Only what can be run as this.")
@click.option("--registry", metavar="NAME", help="Only this registry (the one that Dativo ships: dativo).")
@options.json_option
@options.verbosity_options
def command(*, words: tuple[str, ...], kind: str | None, engine: str | None, registry: str | None) -> None:
    """Print what was found."""
    from dativo.plugins.registry.index import everything

    for word in words:
        engine = unprefixed(word, engine)[1]
    words = tuple(map(bare, words))
    index = everything().only(registry) if registry else everything()
    found = index.search(words, kind, engine)
    if not found:
        near = index.near("-".join(words)) if words else []
        hint = f"did you mean {' or '.join(near)}?" if near else "fewer words find more"
        raise errors.ConfigError("plugin.unknown", f"nothing is found for {' '.join(words) or 'this'}", hint=hint)
    rows = [_row(index, choices) for choices in found]
    report.result(rows, lambda: _lines(rows))


def unprefixed(word: str, engine: str | None) -> tuple[str, str | None]:
    """A name as `dativo add` takes it, `airbyte:source-faker`, as registries have it, and the engine that it says."""
    return (bare(word), engine or "airbyte") if word.startswith(AIRBYTE) else (word, engine)


def _row(index: Index, choices: list[Choice]) -> dict[str, Any]:
    from dativo.plugins.registry.index import listed_kind

    about = index.known(choices[0])
    return {
        "name": choices[0].name,
        "kind": about.kind if about else listed_kind(choices[0]),
        "description": about.description if about else "",
        "maturity": about.maturity if about else None,
        "broken": about.broken if about else None,
        "engines": list(index.by_engine(choices)),
        "variants": [
            {"variant": one.variant, "registry": one.catalogue.name, "default": one.default} for one in choices
        ],
    }


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    return report.columns(
        [
            [
                row["name"],
                row["kind"] or "",
                ", ".join(row["engines"]),
                ", ".join(one["variant"] for one in row["variants"]),
                shortened(f"broken: {row['broken']}" if row["broken"] else row["description"]),
            ]
            for row in rows
        ]
    )


def shortened(text: str) -> str:
    """A text that leaves a line readable."""
    return text if len(text) <= WIDTH else text[: WIDTH - 1].rstrip() + "…"
