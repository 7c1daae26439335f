"""A state that the user gave: an argument, a file or stdin; a STATE message and Meltano's state are unwrapped."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dativo import errors
from dativo.cli import report

MAX_STATE = 64 << 20


def given(value: str | None, file: Path | None) -> str:
    """The text that the user gave: argument, file or stdin."""
    if value is not None and value != "-":
        if file is not None:
            raise click.UsageError("give VALUE or --file, not both")
        text, place = value, "VALUE"
    elif file is not None:
        text, place = text_of_file(file), str(file)
    else:
        if sys.stdin.isatty():
            raise click.UsageError("give VALUE, --file, or the state on stdin")
        text, place = _decoded(sys.stdin.buffer.read(MAX_STATE + 1), "stdin"), "stdin"
    _check(text, place)
    return text


def text_of_file(file: Path) -> str:
    """A file's text."""
    try:
        with file.open("rb") as opened:
            text = _decoded(opened.read(MAX_STATE + 1), str(file))
    except FileNotFoundError:
        raise errors.ConfigError("state.invalid", f"{file} does not exist", hint="check the path") from None
    except IsADirectoryError:
        raise errors.ConfigError("state.invalid", f"{file} is a directory", hint="check the path") from None
    _check(text, str(file))
    return text


def _check(text: str, place: str) -> None:
    if len(text) > MAX_STATE:
        raise errors.ConfigError("state.invalid", f"{place} is larger than {MAX_STATE >> 20} MiB")
    if not text.strip():
        raise errors.ConfigError(
            "state.invalid", f"{place} is empty", hint="to start from the beginning: `dativo state clear JOB`"
        )


def _decoded(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.ConfigError("state.invalid", f"{place} is not UTF-8") from None


def unwrapped(text: str) -> str:
    """The state itself, where it was given inside a STATE message or Meltano's state: a tap would ignore those."""
    from dativo.state import bookmark

    text = bookmark.exact_text(text)
    parts = _parts(text)
    if bookmark.parse(parts.get("type", "null")) == "STATE" and "value" in parts:
        report.note("this is a STATE message; its value is taken")
        return bookmark.exact_text(parts["value"])
    inside = _parts(parts["completed"]) if "completed" in parts else parts
    if "singer_state" in inside:
        report.note("this is a state of Meltano; its singer_state is taken")
        return bookmark.exact_text(inside["singer_state"])
    return text


def _parts(text: str) -> dict[str, str]:
    from dativo.state import bookmark

    return {one.key: text[one.value : one.end] for one in bookmark.members(text) or []}
