"""Why an attempt failed, and whether another one can help.

The order of evidence: what no attempt can change (cancelled, lease lost, a limit, a broken contract), what the plugin's
manifest says about its own words, what a signal or an exit code means, and what the plugin's last lines say. Where they
say nothing a plugin that exited with 1 is tried again.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dativo import errors
from dativo.dataclass import dataclass

Kind = Literal["transient", "permanent", "never"]

NEVER = frozenset({"run.cancelled", "job.lease_lost", "job.busy", "job.breaker_open", "bug", "usage"})
"""Not to be tried again by anybody but the user."""
TRANSIENT = frozenset({"bus.died", "env.locked", "plugin.hung", "plugin.stopped"})
"""What passes by itself, whatever the plugin said."""
BY_ITS_WORDS = frozenset({"plugin.exited", "plugin.early_end", "target.unread", "delivery.interrupted", "env.duckdb"})
"""The code says that a plugin failed; its exit code and its lines say why."""
_OURS_SAY_NO = (2, 3, 4)
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP})
_PUNISHED = frozenset({signal.SIGSYS, signal.SIGXCPU, signal.SIGXFSZ})
"""The kernel's answer to something that the plugin would do again."""


@dataclass(frozen=True)
class Cause:
    """What ended an attempt."""

    kind: Kind
    reason: str
    """The error's code."""
    message: str
    plugin: str | None = None
    stream: str | None = None
    wait: float | None = None
    """Seconds that the source asked for."""
    bound: int | None = None
    """How often this may be tried again, where that is less than the policy says."""

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes two causes the same."""
        return self.reason, self.plugin


@dataclass(frozen=True)
class Evidence:
    """What is known about the plugin that is blamed. Everything may be missing."""

    lines: Sequence[str] = ()
    """Its last lines on stderr."""
    code: int | None = None
    signal: int | None = None
    ours: bool = False
    """Whether its manifest promises our exit codes."""
    declared: Mapping[str, Any] | None = None
    """The manifest's `errors` block."""
    unreachable: Sequence[str] = ()
    """Hosts that it may reach and that could not be reached."""


def cause_of(problem: errors.DativoError, evidence: Evidence | None = None) -> Cause:
    """The cause of a failed attempt."""
    found = evidence or Evidence()
    plugin, stream = problem.context.get("plugin"), problem.context.get("stream")
    kind, wait, bound = _judged(problem, found)
    return Cause(kind, problem.code, problem.message, plugin, stream, wait if kind == "transient" else None, bound)


def _judged(problem: errors.DativoError, found: Evidence) -> tuple[Kind, float | None, int | None]:
    from dativo.run import patterns, ratelimit  # expressions that only a failure needs

    code = problem.code
    if code in NEVER:
        return "never", None, None
    if code in TRANSIENT:
        return "transient", None, None
    by_words = code in BY_ITS_WORDS or code == "plugin.killed"
    if by_words:
        says_so = code in BY_ITS_WORDS and problem.context.get("failure_type") == "transient_error"
        declared = "transient" if says_so else patterns.verdict(found.declared or {}, found.lines)
        if declared is not None:
            return declared, ratelimit.told_wait(found.lines), None
    if code == "plugin.killed":
        return _killed(found.signal)
    if not by_words or problem.exit_code not in (1, 3):
        return "permanent", None, None
    return _by_words(problem, found)


def _killed(number: int | None) -> tuple[Kind, float | None, int | None]:
    if number in _PUNISHED:
        return "permanent", None, None
    return "transient", None, 1 if number in _CRASHES else None


def _by_words(problem: errors.DativoError, found: Evidence) -> tuple[Kind, float | None, int | None]:
    from dativo.run import ratelimit, symptoms

    kind = symptoms.kind(found.lines or [problem.message])
    if kind is None and found.unreachable:
        kind = "transient"
    if kind is None and (problem.exit_code != 1 or (found.ours and found.code in _OURS_SAY_NO)):
        kind = "permanent"
    if kind == "permanent":
        return "permanent", None, None
    wait = ratelimit.told_wait(found.lines)
    ended_well = kind is None and found.code == 0
    return "transient", wait, 1 if ended_well else None


# -- which of a manifest's words are used


def declared(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The manifest's `errors` block, {} if it has none."""
    block = manifest.get("errors")
    return block if isinstance(block, Mapping) else {}


_SPACES = re.compile(r"\s+")


def brief(message: str, width: int = 160) -> str:
    """A cause on one short line."""
    text = _SPACES.sub(" ", message).strip()
    return text if len(text) <= width else text[: width - 1] + "…"
