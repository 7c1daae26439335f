"""The words and operators of a shell script, with what is expanded in them told apart from what is text.

Enough of bash to know where each word ends; nothing is expanded here. What cannot be told is a word that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from dativo.dataclass import dataclass

OPERATORS = (
    "&>>",
    "<<-",
    "<<<",
    "||",
    "&&",
    ";;",
    "|&",
    ">>",
    ">|",
    "&>",
    "<<",
    "<&",
    ">&",
    "|",
    ";",
    "&",
    "<",
    ">",
    "(",
    ")",
)
REDIRECTS = frozenset(("&>>", "<<-", "<<<", ">>", ">|", "&>", "<<", "<&", ">&", "<", ">"))
HERE = frozenset(("<<", "<<-"))
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BRACES = re.compile(r"([A-Za-z_]\w*)(:?-.*)?", re.ASCII | re.DOTALL)
_PLAIN = re.compile(r"[^ \t\r\n|&;<>()\\'\"$`]+")
_ESCAPED = '\\"$`'
_IN_BODY = "\\$`"
_ENDS = frozenset(" \t\r\n|&;<>()")


class LexicalError(Exception):
    """The script ends inside a quote or a bracket; `line` is where that began."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True)
class Part:
    """A piece of a word. `kind`: text, variable, command or unknown; `default` is `:-…` or `-…` of `${NAME:-…}`."""

    kind: str
    text: str
    quoted: bool
    default: str | None = None


@dataclass(frozen=True)
class Token:
    """An operator (`parts` empty), a newline, or a word."""

    line: int
    operator: str = ""
    parts: tuple[Part, ...] = ()
    fd: str = ""
    """The number before a redirection."""
    body: list[Part] = field(default_factory=list, compare=False, repr=False)
    """What a here-document holds, at the word that ends it."""

    @property
    def begins(self) -> str:
        """How a word begins, as far as that is neither quoted nor expanded."""
        first = self.parts[0] if self.parts else None
        return first.text if first is not None and first.kind == "text" and not first.quoted else ""

    @property
    def bare(self) -> str:
        """A word's text if nothing of it is quoted or expanded, else ""."""
        plain = len(self.parts) == 1 and self.parts[0].kind == "text" and not self.parts[0].quoted
        return self.parts[0].text if plain else ""


def tokens(text: str) -> Iterator[Token]:
    """Every token. Raises LexicalError."""
    yield from _Lexer(text).tokens()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.line = text, 0, 1
        self.waiting: list[tuple[Token, bool]] = []
        """Here-documents whose lines come after this one: its delimiter, and whether tabs are taken off."""

    def tokens(self) -> Iterator[Token]:
        here = ""
        while self.at < len(self.text):
            sign = self.text[self.at]
            if self.text.startswith("\\\n", self.at):
                self._skip(2)
            elif sign in " \t\r":
                self.at += 1
            elif sign == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif sign == "\n":
                yield Token(self.line, "\n")
                self._skip(1)
                self._here_documents()
            elif self.text.startswith(("<(", ">("), self.at):
                line = self.line
                self._bracket(self.at + 1)
                yield Token(line, parts=(Part("unknown", "a process substitution is not understood", False),))
            elif (found := self._operator()) is not None:
                here = found.operator if found.operator in HERE else ""
                yield found
            else:
                word = self._word()
                if here:
                    self.waiting.append((word, here == "<<-"))
                    here = ""
                yield word

    def _operator(self) -> Token | None:
        number = re.compile(r"\d+(?=[<>])").match(self.text, self.at)
        start = number.end() if number else self.at
        for one in OPERATORS:
            if self.text.startswith(one, start) and (number is None or one in REDIRECTS):
                self.at = start + len(one)
                return Token(self.line, one, fd=number[0] if number else "")
        return None

    def _word(self) -> Token:
        line, parts = self.line, []
        while self.at < len(self.text) and (sign := self.text[self.at]) not in _ENDS:
            if sign == "\\":
                escaped = self.text[self.at + 1 : self.at + 2]
                parts += [] if escaped == "\n" else [Part("text", escaped, True)]
                self._skip(2)
            elif sign == "'":
                end = self._find("'", self.at + 1)
                parts.append(Part("text", self.text[self.at + 1 : end], True))
                self._skip(end + 1 - self.at)
            elif sign == '"':
                parts += self._quoted()
            elif self.text.startswith("$'", self.at):
                self._skip(1)
                while self.text[self.at + 1 : self.at + 2] not in ("", "'"):
                    self._skip(2 if self.text[self.at + 1] == "\\" else 1)
                self._skip(2)
                parts.append(Part("unknown", "$'…' is not understood", True))
            elif sign in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                plain = _PLAIN.match(self.text, self.at)
                assert plain is not None  # the sign before us is none of the others
                parts.append(Part("text", plain[0], False))
                self.at = plain.end()
        return Token(line, parts=tuple(parts) or (Part("text", "", True),))

    def _quoted(self) -> list[Part]:
        begun = self.line
        self._skip(1)
        parts = self._text('"', _ESCAPED)
        if self.at >= len(self.text):
            raise LexicalError(begun)
        self._skip(1)
        return parts

    def _text(self, end: str, escapes: str) -> list[Part]:
        """Text in which variables and commands are expanded, up to a sign or the end."""
        parts, plain = [Part("text", "", True)], ""
        while self.at < len(self.text) and (sign := self.text[self.at]) != end:
            if sign == "\\":
                escaped = self.text[self.at + 1 : self.at + 2]
                plain += escaped if escaped in escapes else "" if escaped == "\n" else sign + escaped
                self._skip(2)
            elif sign in "$`":
                parts += [Part("text", plain, True), self._expansion(quoted=True)]
                plain = ""
            else:
                plain += sign
                self._skip(1)
        return [*parts, Part("text", plain, True)]

    def _expansion(self, *, quoted: bool) -> Part:
        """What a `$` or a backquote begins."""
        start = self.at
        if self.text[start] == "`":
            end = self._find("`", start + 1)
            self._skip(end + 1 - start)
            return Part("command", self.text[start : self.at], quoted)
        if self.text.startswith("$(", start):
            self._bracket(start + 1)
            return Part("command", self.text[start : self.at], quoted)
        return self._variable(start, quoted=quoted)

    def _variable(self, start: int, *, quoted: bool) -> Part:
        following = self.text[start + 1 : start + 2]
        if following == "{":
            end = self._find("}", start + 2)
            self._skip(end + 1 - start)
            found = _BRACES.fullmatch(self.text[start + 2 : end])
            if found is None:
                return Part("unknown", "an expansion is not understood", quoted)
            return Part("variable", found[1], quoted, found[2])
        named = _NAME.match(self.text, start + 1)
        if named:
            self._skip(named.end() - start)
            return Part("variable", named[0], quoted)
        if following and following in "0123456789@*#?$!-":
            self._skip(2)
            return Part("unknown", f"${following} comes from outside the script", quoted)
        self._skip(1)
        return Part("text", "$", quoted)

    def _bracket(self, start: int) -> None:
        """Move behind the bracket that is opened at `start`, over quotes and inner ones."""
        begun, depth, self.at = self.line, 0, start
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign == "\\":
                self._skip(2)
                continue
            if sign in "'\"`":
                end = self._find(sign, self.at + 1)
                self._skip(end - self.at)
            depth += (sign == "(") - (sign == ")")
            self._skip(1)
            if depth == 0:
                return
        raise LexicalError(begun)

    def _find(self, sign: str, start: int) -> int:
        """Where a sign stands next, unless it is escaped (in single quotes nothing is)."""
        end = self.text.find(sign, start)
        while end > 0 and sign != "'" and self.text[end - 1] == "\\":
            end = self.text.find(sign, end + 1)
        if end < 0:
            raise LexicalError(self.line)
        return end

    def _here_documents(self) -> None:
        for word, tabs in self.waiting:
            delimiter, rows = "".join(part.text for part in word.parts), []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                row = self.text[self.at : end]
                row = row.lstrip("\t") if tabs else row
                self._skip(min(end + 1, len(self.text)) - self.at)
                if row == delimiter:
                    break
                rows.append(row + "\n")
            word.body.extend(self._body("".join(rows), literal=any(part.quoted for part in word.parts)))
        self.waiting.clear()

    @staticmethod
    def _body(text: str, *, literal: bool) -> list[Part]:
        if literal:
            return [Part("text", text, True)]
        try:
            return _Lexer(text)._text("", _IN_BODY)
        except LexicalError:
            return [Part("unknown", "something in it is no bash", True)]

    def _skip(self, count: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count
