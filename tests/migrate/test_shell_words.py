"""Words and statements of a script, held against what bash itself makes of them."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from dativo.migrate.shell import grammar
from dativo.migrate.shell.words import Scope, assigned

SETTING = "A='one two' B=b C= D='x*y'\n"
LINES = [
    r"""plain 'single $B "q"' "double $B 'q' \" \$ \\ \n" back\ slash a'b'"c"d""",
    r"""--flag="$B/c.json" --other=${B} ${B}x ${UNSET:-default} ${UNSET:-'quoted default'} ${C:-empty} "${C-empty}" """,
    'two $A words "$A" one',
    "cut \\\n  off # a comment | not a pipe\n",
    "a#b '#c' \\#d",
    "ü 東京 $'B' \"\" ''" .replace("$'B' ", ""),
    "~/x ~ '~/y' a~b ~'' ~$B ~\"/x\"",
    '"a\\\nb" c',
    "1 2>/dev/null 3 2>&1 x",
    "*.csv '*.json' [ab]",
    "'a\nb' c",
    "$B$B \"$B\"'$B'",
    "a=b c",
    "x\ty",
]  # fmt: skip


def ours(line: str) -> list[str | None]:
    scope = Scope(Path("/folder"), Path("/here"))
    found: list[str | None] = []
    for statement in grammar.statements(SETTING + "printf " + line):
        (command,) = statement.commands
        if command.words and command.words[0].bare == "printf":
            found = [word.text for token in command.words[1:] for word in scope.words(token)]
        for token in command.words:
            made = assigned(token)
            if made is not None and made[1] is not None and command.words[0].bare != "printf":
                scope.variables[made[0]] = scope.word(made[1], splits=False).text
    return found


@pytest.mark.parametrize("line", LINES)
def test_words_are_bashs(line: str, tmp_path: Path) -> None:
    script = f"set -f\n{SETTING}printf '%s\\0' " + line
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ours(line) == done.stdout.split("\0")[:-1]


PIECES = ["a", "'b c'", '"d $B e"', "$B", "${B}", "\\ ", "\\'", '"\\""', "x=y", "~", "#c", "a#b", '""', "''", "$A", " ",
          "\t", "--f=", "/", '"$A"', "${U:-z}", "2", "é"]  # fmt: skip


def test_drawn_words_are_bashs() -> None:
    """Lines that nobody thought of, the same ones each time."""
    draw = random.Random(20261127)
    known = 0
    for _ in range(200):
        line = "".join(draw.choice(PIECES) for _ in range(draw.randint(1, 12)))
        found = ours(line)
        if None not in found and found:
            known += 1
            test_words_are_bashs(line, Path("/"))
    assert known > 50


UNKNOWN = [
    "$(reboot)",
    "`reboot`",
    "$HOSTNAME",
    "$1",
    "${B%x}",
    "$((1+1))",
    "<(ls)",
    "$'a\\n'",
    "x$A",
    '"${NOPE}"',
    "${#B}",
]


@pytest.mark.parametrize("word", UNKNOWN)
def test_what_would_have_to_be_run_is_not_known(word: str) -> None:
    assert ours(f"a {word} z") == ["a", None, "z"]


def shape(text: str) -> list[tuple[int, str]]:
    return [
        (one.line, one.what or " | ".join(command.words[0].bare for command in one.commands if command.words))
        for one in grammar.statements(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b -v x | c y\nt-c | e f > o\nc || e\n", [(1, "a | b | c"), (2, "t-c | e"), (3, "c"), (3, "e")]),
        ("a |\n\n b\nc", [(1, "a | b"), (4, "c")]),
        ("if x; then\n tap-a | target-b\nfi\nafter", [(1, "an if"), (4, "after")]),
        ("for x in a b; do if y; then z; fi; done; after", [(1, "a for loop"), (1, "after")]),
        ("while read -r l; do echo $l; done < file\nafter", [(1, "a while loop"), (2, "after")]),
        ("case $1 in\n a) x ;;\n (b|c) y ;;\n *) if q; then w; fi ;;\nesac\nafter", [(1, "a case"), (6, "after")]),
        ("f() {\n echo done; fi\n}\nfunction g { x; }\nafter", [(1, "a function"), (4, "a function"), (5, "after")]),
        ("(cd x && y) | z\n{ a; b; }\nafter", [(1, "a subshell"), (2, "a group of commands"), (3, "after")]),
        ("cat <<EOF | x\n tap | target\n$(y)\nEOF\nafter", [(1, "cat | x"), (5, "after")]),
        ("cat <<-'E'\n\tE\nafter", [(1, "cat"), (3, "after")]),
        ("echo if then fi\nafter", [(1, "echo"), (2, "after")]),
        ("echo 'open\nafter", [(1, "something that is no bash")]),
        ('before\necho "$(open\nafter', [(1, "before"), (2, "something that is no bash")]),
        ("[[ a && b ]] && c\n! d\nafter", [(1, "a test"), (1, "c"), (2, "a command with !"), (3, "after")]),
        ("A=(1 2)\nafter", [(1, "A="), (2, "after")]),
        ("a &\nb && \\\n c &&\n d\n", [(1, "a"), (2, "b"), (3, "c"), (4, "d")]),
        ("if x\n", [(1, "an if")]),
        (")))) ;; ;;\nafter | \n", [(2, "something that is no bash")]),
        ("", []),
    ],
)
def test_statements(text: str, expected: list[tuple[int, str]]) -> None:
    assert shape(text) == expected


def test_long_and_deep_scripts_end() -> None:
    assert len(shape("a && " * 50_000 + "b")) == 50_001
    assert shape("(" * 200_000) == [(1, "a subshell")]
    assert shape("$(" * 100_000) == [(1, "something that is no bash")]
    assert len(shape("a | " * 50_000 + "b")) == 1
    assert shape("if x; then " * 50_000) == [(1, "an if")]
