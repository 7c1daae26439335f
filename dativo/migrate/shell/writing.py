"""Files that a script writes itself: `cat > conf.json <<EOF`, `echo '{…}' > conf.json`, `printf '%s' …`."""

from __future__ import annotations

import os
from pathlib import Path

from dativo.migrate import reading
from dativo.migrate.reading import UnreadableError
from dativo.migrate.shell.grammar import Command
from dativo.migrate.shell.lexer import HERE, Token
from dativo.migrate.shell.words import Scope


def content(command: Command, scope: Scope) -> tuple[Path, str] | None:
    """The file that a command writes and what it writes into it, where that is one JSON object; else None."""
    outs = [(op, target) for op, target in command.redirects if op.operator not in HERE]
    if not command.words or len(outs) != 1 or outs[0][0].operator not in (">", ">|") or outs[0][0].fd not in ("", "1"):
        return None
    target = outs[0][1]
    path = None if target is None else scope.word(target).text
    made = _written(command, scope)
    if path is None or made is None:
        return None
    try:
        reading.object_of(made)
    except UnreadableError:
        return None
    return normal(scope.here / path), made


def normal(path: Path) -> Path:
    """The path without its `..`, by which a file is known again."""
    return Path(os.path.normpath(path))


def _written(command: Command, scope: Scope) -> str | None:
    name, words = command.words[0].bare, command.words[1:]
    bodies = [target for operator, target in command.redirects if operator.operator in HERE]
    if name == "cat" and len(bodies) == 1 and bodies[0] is not None and not words:
        return scope.document(bodies[0].body)
    if bodies:
        return None
    if name == "echo":
        return _spaced([one for one in words if one.bare != "-n"], scope)
    if name == "printf" and len(words) == 2 and scope.word(words[0]).text in ("%s", "%s\\n"):
        return _spaced(words[1:], scope)
    if name == "printf" and len(words) == 1:
        found = _spaced(words, scope)
        return None if found is None or "%" in found else found
    return None


def _spaced(words: list[Token], scope: Scope) -> str | None:
    """Words with blanks between them; None where one is not known, or a shell could take a backslash another way."""
    texts = [scope.document(one.parts) for one in words]
    known = [one for one in texts if one is not None and "\\" not in one]
    return " ".join(known) if texts and len(known) == len(texts) else None
