"""`dativo state diff`: what differs between two moments of a bookmark, stream by stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dativo import errors
from dativo.cli import options, report
from dativo.cli.state_given import text_of_file, unwrapped
from dativo.cli.state_store import job_argument, open_to_read, unknown, whole_log

if TYPE_CHECKING:
    from dativo.state.moments import Moment
    from dativo.state.record import Entry


@click.command(
    "diff",
    short_help="Compare a bookmark at two moments.",
    help="""\b
  dativo state diff shop
  dativo state diff shop run:40 run:41
  dativo state diff shop before.json now --stream orders

Show what differs between two moments of a job's bookmark, stream by stream.

\b
A and B: now, run:41 (where run 41 left it), log:2 (the second line of
`dativo state log`), at:2026-11-22T06:00, or a file with a state. Without B it
is compared with now; without both, you see what moved it last.
""",
)
@job_argument
@click.argument("a", required=False)
@click.argument("b", required=False)
@options.stream_option
@options.env_option
@options.json_option
def diff_command(job: str, a: str | None, b: str | None, stream: str | None, env: str | None) -> None:
    """Compare two moments."""
    with open_to_read(env) as store:
        mark = store.bookmark(job)
        own = store.log(job)
        if mark is None and not own:
            unknown(store, job)
        log = whole_log(store, job)
    now = mark.text if mark else None
    left = _moment(a, job, log, now) if a is not None else _before(own)
    right = _moment(b or "now", job, log, now)
    rows = differences(left.text, right.text, stream)
    if not rows:
        report.note(f"{left.name} and {right.name} are the same" + (f" for {stream}" if stream else ""))
    document = {"job": job, "from": left.name, "to": right.name, "streams": rows}
    report.result(document, lambda: _lines(left.name, right.name, rows))


def _before(log: list[Entry]) -> Moment:
    """Before what moved the bookmark last."""
    from dativo.state.moments import Moment

    texts = [(place, entry.text) for place, entry in enumerate(log) if entry.text is not None]
    if len(texts) < 2:
        return Moment("the beginning", "{}", len(log))
    place, text = texts[1]
    number = log[place].number
    return Moment(f"run:{number}" if number is not None else f"log:{place + 1}", text or "{}", place)


def _moment(word: str, job: str, log: list[Entry], now: str | None) -> Moment:
    from dativo.state import moments

    if moments.is_reference(word):
        own = [entry for entry in log if entry.backfill is None] if word.startswith("at:") else log
        return moments.found(word, job, own, now)
    if not Path(word).is_file():
        raise errors.ConfigError(
            "state.invalid", f"{word} is no moment and no file", hint=f"write one of {moments.WORDS}"
        )
    return moments.Moment(word, unwrapped(text_of_file(Path(word))), 0)


def differences(left: str, right: str, stream: str | None = None) -> list[dict[str, Any]]:
    """The streams whose parts differ, with both parts' exact texts; a bookmark without streams is one row."""
    from dativo.state import bookmark

    before, after = bookmark.streams(left), bookmark.streams(right)
    rows = []
    for name in dict.fromkeys([*before, *after]):
        parts = before.get(name), after.get(name)
        same = None not in parts and bookmark.parse(parts[0] or "") == bookmark.parse(parts[1] or "")
        if not same and stream in (None, name):
            rows.append({"stream": name, "from": parts[0], "to": parts[1]})
    if not before and not after and stream is None and bookmark.parse(left) != bookmark.parse(right):
        rows.append({"stream": None, "from": left, "to": right})
    return rows


def _lines(left: str, right: str, rows: list[dict[str, Any]]) -> list[str]:
    from dativo.state import bookmark

    if not rows:
        return []
    shown = [("", left, "", right)]
    for row in rows:
        both = [row["from"], row["to"]]
        short = [bookmark.describe_part(part) if part is not None else "-" for part in both]
        if short[0] == short[1]:  # the difference is in what is left out
            short = [part or "-" for part in both]
        shown.append((row["stream"] or "(all)", short[0], "→", short[1]))
    return report.columns(shown)
