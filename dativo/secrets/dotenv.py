"""The lines of a `.env` file: NAME=value, `export`, quotes, comments. Read, and one value replaced in place."""

from __future__ import annotations

import re

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)


def parse(text: str) -> dict[str, str]:
    """The variables. ValueError tells the line, never a value."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if not match:
            raise ValueError(f"{number}: NAME=value is expected")
        found[match[1]] = _unquoted(match[2], number)
    return found


def replaced(text: str, name: str, value: str) -> str:
    """The text with one variable's value exchanged; the last line of that name counts, as when it is read."""
    lines = text.splitlines(keepends=True)
    for at in range(len(lines) - 1, -1, -1):
        match = _LINE.fullmatch(lines[at].strip())
        if match and match[1] == name:
            export = "export " if lines[at].lstrip().startswith("export") else ""
            lines[at] = f"{export}{name}={quoted(value)}\n"
            return "".join(lines)
    raise KeyError(name)


def quoted(value: str) -> str:
    """A value as it is read back unchanged."""
    for char, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        value = value.replace(char, escape)
    return f'"{value}"'


def _unquoted(value: str, number: int) -> str:
    if value[:1] not in ("'", '"'):
        return re.split(r"\s#", value, maxsplit=1)[0].rstrip()
    quote = value[0]
    end = 1
    while end < len(value) and value[end] != quote:
        end += 2 if quote == '"' and value[end] == "\\" else 1
    rest = value[end + 1 :].strip()
    if end >= len(value) or (rest and not rest.startswith("#")):
        raise ValueError(f"{number}: the quotes do not match")
    inner = value[1:end]
    if quote == "'":
        return inner
    escapes = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), inner)
