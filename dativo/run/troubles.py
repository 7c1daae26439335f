"""What an Airbyte connector says about its own failure: its words are the error, its failure_type says what can be
done.

config_error: the settings have to change, no attempt can help (`config.refused`). transient_error: another attempt may.
system_error: as of any other plugin, by its words.
"""

from __future__ import annotations

from collections.abc import Sequence

from dativo import errors
from dativo.run.attempt import Seen
from dativo.run.causes import BY_ITS_WORDS, brief

CONFIG, TRANSIENT = "config_error", "transient_error"


def explained(problem: errors.DativoError, seen: Seen) -> errors.DativoError:
    """The error in the words of the connector that failed, if it had any."""
    told = seen.troubles.get(str(problem.context.get("plugin")))
    if told is None or problem.code not in BY_ITS_WORDS:
        return problem
    return in_words(problem, told.kind, told.message, [told.detail] if told.detail else ())


def in_words(problem: errors.DativoError, kind: str, message: str, details: Sequence[str] = ()) -> errors.DativoError:
    """An error with a connector's own words. `details` is what it says to its developers."""
    plugin = problem.context.get("plugin")
    context = {**problem.context, "failure_type": kind}
    said = f"{plugin}: {brief(message, 400)}"
    more = [brief(detail, 400) for detail in details if detail.strip() != message.strip()]
    code = "config.refused" if kind == CONFIG else problem.code
    hint = None
    if code == "config.refused":
        hint = f"fix its settings; to try them: dativo config {plugin} test"
    elif kind == TRANSIENT:
        hint = "it says that this passes: run it again"
    return errors.from_code(code, said, hint=hint, details=(*more, *problem.details), context=context)
