"""The statements of a script: pipelines of simple commands, assignments, and everything else as one thing with a name.

Our own, because what there is will not do: `bashlex` has another licence (GPL), and `tree-sitter-bash` 0.25 takes two
lines for one command where an earlier pipeline leaves it a choice, which is the one thing that must not happen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace

from dativo.dataclass import dataclass
from dativo.migrate.shell.lexer import REDIRECTS, LexicalError, Token, tokens

COMPOUND = {
    "if": ("an if", "fi"),
    "for": ("a for loop", "done"),
    "select": ("a select loop", "done"),
    "while": ("a while loop", "done"),
    "until": ("an until loop", "done"),
    "case": ("a case", "esac"),
    "{": ("a group of commands", "}"),
    "(": ("a subshell", ")"),
    "function": ("a function", ""),
    "[[": ("a test", "]]"),
    "!": ("a command with !", ""),
    "coproc": ("a coprocess", ""),
}
"""Word at the beginning of a command -> what it is, and what ends it."""
NO_BASH = "something that is no bash"
_OPENING = frozenset(("then", "do", "else", "elif", *COMPOUND))
_SEPARATORS = frozenset(("\n", ";", "&", "&&", "||", "|", "|&", ";;"))


@dataclass
class Command:
    """A simple command: words before the first that is no assignment are assignments."""

    line: int
    words: list[Token] = field(default_factory=list)
    redirects: list[tuple[Token, Token | None]] = field(default_factory=list)


@dataclass
class Statement:
    """A pipeline of commands, or (`what` is set) something not understood. `after` is the operator before it."""

    line: int
    after: str = ""
    commands: list[Command] = field(default_factory=list)
    what: str = ""
    programs: list[str] = field(default_factory=list)
    """Of something not understood: the words in it as far as they are neither quoted nor expanded."""
    background: bool = False

    def move(self, lines: int) -> None:
        """Count from another line, where its text is a part of a file."""
        if lines:
            self.line += lines
            for command in self.commands:
                command.line += lines
                command.words = [replace(one, line=one.line + lines) for one in command.words]
                command.redirects = [
                    (replace(operator, line=operator.line + lines), target) for operator, target in command.redirects
                ]


def statements(text: str) -> Iterator[Statement]:
    """Every statement in the script's order. What comes after an open quote is one that is not understood."""
    found: list[Token] = []
    broken = None
    try:
        found.extend(tokens(text))
    except LexicalError as problem:
        broken = problem
        last = max((at for at, one in enumerate(found) if one.line < problem.line and one.operator == "\n"), default=-1)
        del found[last + 1 :]
    yield from _Parser(found).statements()
    if broken is not None:
        yield Statement(broken.line, what=NO_BASH)


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.tokens, self.at = found, 0

    def statements(self) -> Iterator[Statement]:
        after = ""
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.operator in _SEPARATORS or token.operator == ")":
                goes_on = token.operator == "\n" and after != ""  # a line may end behind && and ||
                after = token.operator if token.operator in ("&&", "||") else after if goes_on else ""
                self.at += 1
                continue
            statement = self._statement(after)
            statement.background = self._now() == "&"
            yield statement
            after = ""

    def _now(self) -> str:
        return self.tokens[self.at].operator if self.at < len(self.tokens) else "\n"

    def _statement(self, after: str) -> Statement:
        statement = Statement(self.tokens[self.at].line, after)
        while True:
            begun = self.at
            what = self._compound()
            if what:
                statement.what = statement.what or what
                statement.programs += [one.begins for one in self.tokens[begun : self.at] if one.begins]
                self._rest_of_command()
            else:
                statement.commands.append(self._command())
            if self._now() not in ("|", "|&"):
                return statement
            if self._now() == "|&" and statement.commands:
                statement.commands[-1].redirects.append((Token(self.tokens[self.at].line, ">&", fd="2"), None))
            self.at += 1
            while self._now() == "\n" and self.at < len(self.tokens):
                self.at += 1
            if self.at >= len(self.tokens):
                statement.what = statement.what or NO_BASH
                return statement

    def _compound(self) -> str:
        """Move behind a loop, an if, a function, …; what it is, or "" where a simple command begins."""
        token = self.tokens[self.at]
        word = token.bare or token.operator
        if self._function():
            return "a function"
        if word not in COMPOUND:
            return ""
        what, closing = COMPOUND[word]
        self.at += 1
        if not closing:
            while self._now() not in _SEPARATORS:
                self.at += 1
            return what
        self._close(closing)
        return what

    def _function(self) -> bool:
        """`name() { … }`, and the same with the word function."""
        ahead = self.tokens[self.at : self.at + 4]
        named = ahead[1:] if ahead and ahead[0].bare == "function" else ahead
        called = [one.operator for one in named[1:3]]
        if not named or not named[0].bare or (named is ahead and called != ["(", ")"]):
            return False
        self.at += 1 if named is ahead else 2
        while self._now() in ("(", ")", "\n") and self.at < len(self.tokens):
            self.at += 1
        body = self.tokens[self.at].bare if self.at < len(self.tokens) else ""
        if body in COMPOUND and COMPOUND[body][1]:
            self.at += 1
            self._close(COMPOUND[body][1])
        return True

    def _close(self, closing: str) -> None:
        """Move behind the word that ends what was opened; words count where a command begins, brackets anywhere."""
        stack, begins = [closing], True
        while stack and self.at < len(self.tokens):
            token = self.tokens[self.at]
            word = token.bare or token.operator
            self.at += 1
            if word == stack[-1] and (begins or word in (")", "]]")):
                stack.pop()
            elif (closes := self._opened(token, begins=begins, in_case=stack[-1] == "esac")) != "":
                stack.append(closes)
            begins = word in _SEPARATORS or word in _OPENING or token.operator in ("(", ")")

    @staticmethod
    def _opened(token: Token, *, begins: bool, in_case: bool) -> str:
        """What ends the thing that a word opens; "" where it opens none. Patterns of a case have brackets too."""
        word = token.bare or token.operator
        if token.operator == "(":
            return "" if in_case else ")"
        return COMPOUND[word][1] if begins and word in COMPOUND and word != "(" else ""

    def _rest_of_command(self) -> None:
        while self._now() not in _SEPARATORS:
            self.at += 1

    def _command(self) -> Command:
        command = Command(self.tokens[self.at].line)
        while self.at < len(self.tokens) and self._now() not in _SEPARATORS:
            token = self.tokens[self.at]
            self.at += 1
            if token.operator in REDIRECTS:
                target = self.tokens[self.at] if self.at < len(self.tokens) and self.tokens[self.at].parts else None
                self.at += target is not None
                command.redirects.append((token, target))
            elif token.parts:
                command.words.append(token)
            else:  # a bracket in the middle: an array
                command.words.append(token)
                if token.operator == "(":
                    self._close(")")
        return command
