"""What the last lines of a failed plugin mean, in the words of databases, HTTP libraries and operating systems."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from dativo.run.ratelimit import is_limited

_DENIED = re.compile(
    r"""password\ authentication\ failed | authentication\ (?:failed|failure|error) | access\ ?denied
    | permission\ denied | not\ authori[sz]ed | unauthori[sz]ed | \bforbidden\b
    | no\ pg_hba\.conf\ entry | insufficient\ privileges?
    | invalid\ (?:credentials|password|username|api[ _]?key|client|grant|(?:access[ _]|auth\w*\ )?token)
    | (?:credentials|token)\ (?:has\ |have\ )?expired | login\ failed | bad\ credentials
    | certificate[ _]verify[ _]failed | nosuchbucket | invalidaccesskeyid | signaturedoesnotmatch""",
    re.IGNORECASE | re.VERBOSE,
)
_MISSING = re.compile(
    r"""\bdoes\ not\ exist\b | no\ such\ (?:table|column|database|bucket|index|schema)
    | unknown\ (?:database|column|table) | (?:undefined|invalid)\ (?:table|column|object\ name|column\ name)
    | \b(?:ModuleNotFound|Import|Syntax|Indentation|NotImplemented|Config(?:uration)?(?:Validation)?)Error\b
    | missing\ required\ (?:keys?|config|settings?|propert) | is\ a\ required\ property""",
    re.IGNORECASE | re.VERBOSE,
)
_PASSING = re.compile(
    r"""deadlock | could\ not\ serialize | serialization\ failure | \b40001\b | \b40P01\b | lock\ (?:wait\ )?time-?out
    | (?:database|table|file)\ is\ locked | could\ not\ obtain\ lock | snapshot\ too\ old
    | lost\ connection | server\ has\ gone\ away | server\ closed\ the\ connection | closed\ (?:by|unexpectedly)
    | terminating\ (?:the\ )?connection | connection\ (?:was\ |has\ been\ |is\ |already\ )?
      (?:lost|reset|refused|aborted|closed|terminated|broken|timed\ out|dropped)
    | could\ not\ connect | cannot\ connect | unable\ to\ connect | failed\ to\ connect | failed\ to\ establish
    | too\ many\ (?:connections|clients|open\ connections) | connection\ slots
    | (?:database\ system|server)\ is\ (?:starting\ up|shutting\ down|not\ yet\ accepting|in\ recovery)
    | broken\ pipe | unexpected\ (?:eof|end\ of\ file) | remote\ end\ closed | incompleteread | protocolerror
    | time-?d?[ -]?out | temporar(?:y|ily) | try\ again | \bunavailable\b | bad\ gateway | internal\ server\ error
    | name\ resolution | name\ or\ service\ not\ known | no\ route\ to\ host | network\ is\ unreachable
    | \b(?:ECONN(?:REFUSED|RESET|ABORTED)|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|EPIPE)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_STATUS = re.compile(
    r"""\b(?:HTTP(?:\s?Error|/\d(?:\.\d)?)?|(?:status|response|error)(?:[ _-]?code)?|code)
    ['"]?\s*(?:is\b|was\b|of\b)?\s*[:=(\[]?\s*(?P<after>[45]\d\d)\b
    | \b(?P<before>[45]\d\d)\s+(?:client|server)\s+error""",
    re.IGNORECASE | re.VERBOSE,
)
_PASSING_STATUS = {408, 421, 423, 425, 429, 500, 502, 503, 504, 507, 508, 509, 520, 521, 522, 523, 524, 529, 598, 599}


def kind(lines: Sequence[str]) -> Literal["transient", "permanent"] | None:
    """What the last line that means something says; None when none does. A traceback's frames are code, no words."""
    for line in (one for one in reversed(lines) if not one.startswith("    ")):
        found = _of_line(line[:2000])
        if found is not None:
            return found
    return None


def _of_line(line: str) -> Literal["transient", "permanent"] | None:
    if is_limited(line):
        return "transient"  # often told as 403
    status = _STATUS.search(line)
    if status:
        number = int(status["after"] or status["before"])
        return "transient" if number in _PASSING_STATUS else "permanent"
    if _DENIED.search(line) or _MISSING.search(line):
        return "permanent"
    return "transient" if _PASSING.search(line) else None
