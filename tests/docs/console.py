"""Blocks of a Markdown page: ```console sessions and ```yaml project files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One `$ command` and what the page shows below it; `…` stands for anything."""

    line: int
    command: str
    shown: str

    def matches(self, output: str) -> bool:
        """Whether the output is what is shown, leading and trailing blank space aside."""
        pattern = r"[\s\S]*?".join(re.escape(part) for part in self.shown.strip().split("…"))
        return re.fullmatch(rf"\s*{pattern}\s*", output) is not None


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks of one language as (line number, text)."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start()].count("\n") + 2, m.group(2)) for m in _FENCE.finditer(text) if m.group(1) == language]


def steps(page: Path) -> list[Step]:
    """Every command of the page's console blocks, in order."""
    found: list[Step] = []
    for start, text in blocks(page, "console"):
        line, command, shown = start, "", []
        for number, row in enumerate(text.splitlines(), start):
            if row.startswith("$ "):
                if command:
                    found.append(Step(line, command, "\n".join(shown)))
                line, command, shown = number, row[2:], []
            elif command.endswith("\\"):
                command = f"{command}\n{row}"
            else:
                shown.append(row)
        if command:
            found.append(Step(line, command, "\n".join(shown)))
    return found
