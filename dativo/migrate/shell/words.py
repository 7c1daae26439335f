"""What a word of a script is, as far as that can be told without running anything: text, or not known and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from dativo.dataclass import dataclass
from dativo.migrate.settings import variable
from dativo.migrate.shell.lexer import Part, Token

_OWN_FOLDER = re.compile(
    r"""\$\(\s*(?:cd\s+(?:--\s+)?"?\$\(\s*)?dirname\s+(?:--\s+)?"?\$(?:0|\{BASH_SOURCE(?:\[0\])?\}|\{0\})"?\s*\)"?"""
    r"""(?:\s*(?:>\s*/dev/null\s*(?:2>&1\s*)?)?&&\s*pwd(?:\s+-P)?\s*\))?"""
)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?|\[.*\])=", re.ASCII)
_PLAIN_DEFAULT = re.compile(r"[^$`\\\"']*")


@dataclass(frozen=True)
class Word:
    """One word: its text, or None with what keeps it from being known."""

    text: str | None
    why: str = ""


def assigned(token: Token) -> tuple[str, Token | None] | None:
    """Name and value of a word that is an assignment; None as the value of one that is not understood."""
    first = token.parts[0] if token.parts else None
    found = _ASSIGNMENT.match(first.text) if first and first.kind == "text" and not first.quoted else None
    if found is None or first is None:
        return None
    rest = (Part("text", first.text[found.end() :], False), *token.parts[1:])
    return found[1], None if found[2] else Token(token.line, parts=rest)


@dataclass
class Scope:
    """What the script has set so far."""

    folder: Path
    """Of the script itself."""
    here: Path
    """The working directory."""
    variables: dict[str, str | None] = field(default_factory=dict, repr=False)
    """None: it is set to something that is not known."""
    exported: set[str] = field(default_factory=set)

    def words(self, token: Token) -> list[Word]:
        """The words that one word of the script becomes: an unquoted variable is split at its spaces."""
        alone = token.parts[0] if len(token.parts) == 1 else None
        if alone is not None and alone.kind == "variable" and not alone.quoted:
            found = self._part(alone)
            if not self.variables.get(alone.text) and (alone.default or "").lstrip(":-")[:1] in ("'", '"'):
                return [found]  # a default in quotes stays one word
            return [found] if found.text is None else [Word(part) for part in found.text.split()]
        return [self.word(token)]

    def word(self, token: Token, *, splits: bool = True) -> Word:
        """One word; with `splits`, a variable outside quotes must hold no blanks."""
        if not token.parts:
            return Word(None, "an array is not understood")
        text = ""
        for at, part in enumerate(token.parts):
            tilde = at == 0 and (part.text.startswith("~/") or (part.text == "~" and len(token.parts) == 1))
            found = self._part(part, home=tilde and not part.quoted)
            if found.text is None:
                return found
            blank = part.kind == "variable" and not part.quoted and any(sign.isspace() for sign in found.text)
            if blank and splits:
                return Word(None, "a variable outside quotes holds blanks")
            text += found.text
        return Word(text)

    def document(self, parts: Sequence[Part]) -> str | None:
        """A text that the script writes into a file, with what comes from outside as variables; None: not known."""
        made = ""
        for part in parts:
            text = self._outside(part) or self._part(part).text
            if text is None:
                return None
            made += text
        return made

    def _outside(self, part: Part) -> str | None:
        name = part.text
        ours = name in self.variables and (self.variables[name] is not None or name not in self.exported)
        if part.kind != "variable" or ours or name in ("HOME", "PWD"):
            return None
        default = part.default or ""
        if default and not (default.startswith(":-") and re.fullmatch(r"[^{}$`\\\"']*", default)):
            return None
        return variable(name + default)

    def _part(self, part: Part, *, home: bool = False) -> Word:
        if part.kind == "text":
            return Word(str(Path.home()) + part.text[1:] if home else part.text)
        if part.kind == "variable":
            return self._variable(part)
        if part.kind == "command":
            if _OWN_FOLDER.fullmatch(part.text):
                return Word(str(self.folder))
            known = part.text in ("$(pwd)", "`pwd`")
            return Word(str(self.here)) if known else Word(None, "a command would have to be run")
        return Word(None, part.text)

    def _variable(self, part: Part) -> Word:
        name = part.text
        known = {"HOME": str(Path.home()), "PWD": str(self.here)}.get(name)
        value = self.variables.get(name, known)
        if name in self.variables and value is None:
            return Word(None, f"${name} is not known")
        sign, text = (part.default or "").partition("-")[::2]
        if value or part.default is None or (value == "" and sign == ""):
            return Word(value) if value is not None else Word(None, f"${name} comes from outside the script")
        text = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
        return Word(text) if _PLAIN_DEFAULT.fullmatch(text) else Word(None, "a default is not understood")
