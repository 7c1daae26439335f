"""Every command's help, held to the rules of thumb: an example first, every option explained, one screen."""

import re

import click
import pytest

from dativo.cli.group import root
from dativo.cli.main import COMMANDS
from tests.cli.terminal import ROOT

PRINTING_NOTHING_TO_PARSE = {"dativo completion"}  # its output is a script


def walk(command, ctx):
    yield ctx, command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            yield from walk(below, click.Context(below, info_name=name, parent=ctx))


def contexts():
    parent = click.Context(root, info_name="dativo", **root.context_settings)
    for name in COMMANDS:
        command = root.get_command(parent, name)
        yield from walk(command, click.Context(command, info_name=name, parent=parent))


@pytest.fixture(scope="module")
def commands():
    return {ctx.command_path: (ctx, command) for ctx, command in contexts()}


def test_each_help_begins_with_an_example(commands):
    for path, (_, command) in commands.items():
        first = (command.help or "").lstrip("\b\n ").splitlines()[0]
        assert first.startswith("dativo ") or "| dativo " in first, path
        assert first.startswith(path.rsplit(" ", 1)[0]) or "|" in first, path


def test_each_help_fits_a_screen(commands):
    for path, (ctx, _) in commands.items():
        ctx.terminal_width = 80
        lines = ctx.get_help().splitlines()
        assert len(lines) <= 43, path
        assert max(map(len, lines)) <= 100, path


def test_each_help_names_a_page_that_exists(commands):
    for path, (ctx, _) in commands.items():
        pages = re.findall(r"docs/[\w./-]+\.md", ctx.get_help())
        assert pages, path
        assert all((ROOT / page).is_file() for page in pages), (path, pages)


def test_each_option_is_explained(commands):
    for path, (_, command) in commands.items():
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help and param.help.endswith((".", ")")), (
                    path,
                    param.name,
                )


def test_each_command_that_prints_has_json(commands):
    for path, (_, command) in commands.items():
        if isinstance(command, click.Group) and not command.invoke_without_command:
            continue
        if path not in PRINTING_NOTHING_TO_PARSE:
            assert "--json" in {name for param in command.params for name in param.opts}, path


def test_a_flag_means_the_same_everywhere(commands):
    meanings = {}
    shared = ("--json", "--env", "--yes", "--dry-run", "--quiet", "--verbose", "--job")
    for path, (_, command) in commands.items():
        for param in command.params:
            for name in set(param.opts) & set(shared):
                assert isinstance(param, click.Option)
                meanings.setdefault(name, {})[param.help] = path
    for name, found in meanings.items():
        assert len(found) == 1, (name, found)


def test_the_table_says_what_each_command_is(commands):
    for name, (section, target, line) in COMMANDS.items():
        assert section and line.endswith("."), name
        assert target in (f"dativo.cli.{name}:command", f"dativo.cli.{name}_:command")
        assert commands[f"dativo {name}"][1].name == name
