"""The command group: finds a command by name and imports only that one.

A name that is not in the table is an installed plugin's name (`dativo tap-csv …`), or a typo with a suggestion.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from dativo import __version__, errors
from dativo.cli import report
from dativo.cli.complete import installed_names
from dativo.cli.main import COMMANDS

PLUGIN_PREFIXES = ("airbyte:", "tap-", "target-", "map-", "pipelinewise-tap-", "pipelinewise-target-")

PAGE = "docs/reference/cli.md"
WORDS = "dativo.words"
"""Where a context keeps the words behind the command's name."""
EXAMPLE = """\b
  dativo add tap-csv target-duckdb
  dativo tap-csv --files 'data/*.csv' | dativo target-duckdb --path my.duckdb
  dativo run tap-csv target-duckdb

Moves data from taps to targets. Every installed plugin's name is a command.
"""

MELTANO = (
    ("dativo list", "Its plugins."),
    ("dativo run NAME", "Run a job, or: dativo run TAP TARGET. The file stays as it is."),
    ("docs/guides/meltano.md", "What is the same, and what is not."),
)


class Commands(click.Group):
    """Commands by table, then plugins by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The built-in commands, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a built-in command, or make one for a plugin, which depends on the words that follow its name."""
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][1].partition(":")
            loaded = getattr(import_module(module), attribute)
            assert isinstance(loaded, click.Command)
            _name_page(loaded)
            return loaded
        if cmd_name.startswith(PLUGIN_PREFIXES) or cmd_name in installed_names():
            from dativo.cli.plugin import plugin_command

            return plugin_command(cmd_name, ctx.meta.get(WORDS, ()))
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name = args[0]
        ctx.meta[WORDS] = tuple(args[1:])
        command = self.get_command(ctx, name)
        if command is not None:
            return name, command, args[1:]
        if name.startswith("-"):
            raise click.NoSuchOption(name, ctx=ctx)
        import difflib

        from dativo.cli import phrases

        known = phrases.command(name)
        if known is not None:
            raise errors.ConfigError("usage", f"no such command or plugin: {name}", hint=known)
        meant = difflib.get_close_matches(name, [*COMMANDS, *installed_names()], n=1)
        hint = f"did you mean `dativo {meant[0]}`? · see `dativo --help`" if meant else "see `dativo --help`"
        raise errors.ConfigError("usage", f"no such command or plugin: {name}", hint=hint)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's lines, by section; no command is imported for this."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (section, _, line) in COMMANDS.items():
            sections.setdefault(section, []).append((name, line))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In a Meltano project, that it is one comes first."""
        from dativo.config.project import meltano_file

        found = meltano_file()
        if found is not None:
            with formatter.section(f"Here: the Meltano project {found.parent.name}"):
                formatter.write_dl(MELTANO)
        super().format_epilog(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Built-in commands and installed plugins."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=line) for name, (_, _, line) in COMMANDS.items()]
        found += [CompletionItem(name, help="plugin") for name in installed_names()]
        return [item for item in found if item.value.startswith(incomplete)]


def _name_page(command: click.Command) -> None:
    """Every help names a page of the docs: its own, or at its end the reference."""
    command.epilog = command.epilog or (None if "docs/" in (command.help or "") else PAGE)
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _name_page(below)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        print(f"dativo {__version__}")
        ctx.exit()


root = Commands(
    name="dativo",
    help=EXAMPLE,
    epilog="Guides and reference: docs/ · exit codes: 0 done, 1 failed, 2 usage, 3 environment, 4 data, 5 busy, "
    "6 partial",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version and exit.",
        )
    ],
)


def run(words: Sequence[str]) -> int:
    """Run one command line inside the error reporter."""
    report.prepare_streams()
    report.show_deprecations()
    report.OUTPUT.reset()
    # An option that the parser refuses ends the parse before --json is seen, and the answer should still be JSON.
    report.OUTPUT.json = _asks_for_json(words)
    return report.run_reported(lambda: _invoke(list(words)))


def _asks_for_json(words: Sequence[str]) -> bool:
    before = words[: words.index("--")] if "--" in words else words
    return "--json" in before and bool(before) and before[0] in COMMANDS


def _invoke(words: list[str]) -> Any:
    instruction = os.environ.get("_DATIVO_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "dativo", "_DATIVO_COMPLETE", instruction)
    with root.make_context("dativo", words) as ctx:
        return root.invoke(ctx)
