"""A crontab: each line a command of its own, with when it runs. Known by its lines: all of them must be cron's."""

from __future__ import annotations

import re
from pathlib import Path

from dativo.dataclass import dataclass

_FIELD = r"[0-9A-Za-z*][0-9A-Za-z*/,~-]*"
_WHEN = rf"@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|(?:{_FIELD}[ \t]+){{4}}{_FIELD}"
_LINE = re.compile(rf"[ \t]*-?({_WHEN})[ \t]+(\S.*)")
_TIMES = re.compile(r"@|[0-9*]")
_SETTING = re.compile(r"[ \t]*([A-Za-z_]\w*)[ \t]*=[ \t]*(.*?)[ \t]*", re.ASCII)
_PERCENT = re.compile(r"(\\?)%")


@dataclass(frozen=True)
class Entry:
    """A line: `when` and a command, or a setting (`name` and its value in `text`)."""

    line: int
    text: str
    when: str = ""
    name: str = ""
    user: str = ""
    given: bool = False
    """Whether it has a text for the command's standard input, behind a `%`."""


def entries(text: str, path: Path) -> list[Entry]:
    """The lines of a crontab; [] where it is none. In `/etc/crontab` and `cron.d` a user stands before the command."""
    system = path.name == "crontab" or path.parent.name == "cron.d"
    found: list[Entry] = []
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip() or row.lstrip().startswith("#"):
            if row.startswith("#!"):
                return []
            continue
        timed = _LINE.fullmatch(row)
        setting = _SETTING.fullmatch(row)
        if timed is not None and all(_TIMES.match(one) for one in timed[1].split()[:2]):
            user, command = timed[2].partition(" ")[::2] if system else ("", timed[2])
            command, given = _piped(command)
            found.append(Entry(number, command.strip(), timed[1], user=user, given=given))
        elif setting is not None:
            value = setting[2]
            plain = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
            found.append(Entry(number, plain, name=setting[1]))
        else:
            return []
    return found if any(one.when for one in found) else []


def _piped(command: str) -> tuple[str, bool]:
    """A command up to its first `%`, which ends it; `\\%` is a percent sign."""
    for found in _PERCENT.finditer(command):
        if not found[1]:
            return command[: found.start()].replace("\\%", "%"), True
    return command.replace("\\%", "%"), False
