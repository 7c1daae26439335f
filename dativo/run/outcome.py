"""From the data plane's verdict to the error a user reads, with the exit code of DESIGN.md.

A plugin of ours that fails says so in our own words on stderr (`error[code]  message`, then a hint): that is the error.
Any other plugin's last line on stderr is quoted as the likely cause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dativo import errors
from dativo.bus import kernel
from dativo.bus.events import End
from dativo.dataclass import dataclass
from dativo.run.interrupts import Interrupts

_SAID = re.compile(r"error\[([a-z0-9_.]+)\]\s+(.+)")
_HINT = re.compile(r"\s+hint:\s*(.+)")
_ERROR = re.compile(r"[\w.]*(?:Error|Exception): |(?:[a-z_]\w*\.)+[A-Z]\w*: ")
"""As Python writes it, psycopg2.errors.UntranslatableCharacter included."""
_TOLD_BY_PLUGIN = {"plugin.exited", "plugin.early_end", "target.unread", "target.unconfirmed"}
_NO_CAUSE = {"plugin.start_failed", "plugin.hung"}
"""Where the plugin's last line explains nothing: what happened came from outside."""
_OWN_WORDS = ("data.", "env.", "run.", "pipe.", "limit.", "sandbox.")
"""What the data plane says about itself is the whole of it."""


@dataclass(frozen=True)
class Said:
    """What a plugin of ours said about its own failure."""

    code: str
    message: str
    hint: str | None


def said(lines: Sequence[str]) -> Said | None:
    """The last error that a plugin printed in our own words, if it did."""
    for at in range(len(lines) - 1, -1, -1):
        found = _SAID.fullmatch(lines[at].strip())
        if found:
            hint = _HINT.fullmatch(lines[at + 1]) if at + 1 < len(lines) else None
            return Said(found[1], found[2], hint[1] if hint else None)
    return None


def is_said(line: str) -> bool:
    """Whether a line is part of what `said` finds: shown as the error already."""
    return bool(_SAID.fullmatch(line.strip()) or _HINT.fullmatch(line))


def failure(
    end: End,
    *,
    lines: Sequence[str],
    ours: bool,
    exit_code: int | None,
    interrupts: Interrupts,
    details: Sequence[str] = (),
    context: dict[str, Any] | None = None,
) -> errors.DativoError:
    """The error for a run that did not end as done.

    `lines` are the last stderr lines of the plugin that the verdict blames, `ours` whether its manifest promises our
    exit codes, `exit_code` what it left with.
    """
    about: dict[str, Any] = {**(context or {}), "plugin": end.child}
    for key in ("stream", "line", "offset", "setting"):
        value = getattr(end, key)
        if value is not None:
            about[key] = value
    code = end.reason or "delivery.interrupted"
    if code == "run.cancelled":
        cancelled = interrupts.cancelled()
        return errors.Cancelled(
            cancelled.code, cancelled.message, details=tuple(details), context={**about, **cancelled.context}
        )
    own = said(lines) if ours and exit_code != 0 and code in _TOLD_BY_PLUGIN else None
    if own is not None:
        return _in_own_words(own, end.child, exit_code, details, about)
    message = end.message or errors.CATALOG[code].title if code in errors.CATALOG else f"{end.message} ({code})"
    cause = _last_words(lines)
    if cause and exit_code and code not in _NO_CAUSE and not code.startswith(_OWN_WORDS):
        message = f"{message}: {cause}"
    hint = f"set {end.setting}" if end.setting and code not in errors.CATALOG else None
    if code == "plugin.exited" and hint is None and not ours:
        from dativo.plugins import lacking

        hint = lacking.told_in_a_run(lines)
    if code == "sandbox.unavailable":
        hint = kernel.advice()
    return errors.from_code(code, message, hint=hint, details=tuple(details), context=about)


def _in_own_words(
    own: Said, child: str | None, exit_code: int | None, details: Sequence[str], about: dict[str, Any]
) -> errors.DativoError:
    message = own.message if not child or child in own.message else f"{child}: {own.message}"
    if own.code not in errors.CATALOG and exit_code in (2, 3, 4):
        about = {**about, "exit": exit_code}  # a newer plugin knows more codes than we do; its exit code is understood
    return errors.from_code(own.code, message, hint=own.hint, details=tuple(details), context=about)


def _last_words(lines: Sequence[str]) -> str:
    """The last line that is an error as Python writes it, else the last that says something, cut to a sentence."""
    told = [line for line in lines if line.strip()]
    last = next((line for line in reversed(told) if _ERROR.match(line)), told[-1] if told else "")
    text = " ".join(last.split())
    return text if len(text) <= 200 else text[:199] + "…"
