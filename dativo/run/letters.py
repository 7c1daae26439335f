"""Dead letters: the records that a run set aside, by job and run, and which of them were replayed.

A run's letters are `dead-letters/JOB/RUN.jsonl` beside the state store. They are never rewritten: what was replayed is
noted in `RUN.replayed.json` (stream -> the last line that counts as replayed) when, and only when, a replay is done. So
a replay that breaks off loses no letter, and one that was replayed is not loaded again. I9: a letter that is rejected
once more is in the letters of the replay's own run by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from dativo import errors
from dativo.config import atomic
from dativo.config.project import Project
from dativo.dataclass import dataclass
from dativo.run import letterbox
from dativo.state.store import Store

NO_MESSAGE = None
"""The stream of what was no message."""


@dataclass(frozen=True)
class Letter:
    """One line of a letters' file that was set aside."""

    line: int
    stream: str | None
    record: Any
    about: Mapping[str, Any]
    """Its `dead_letter` member: reason, rule, path, line …"""
    size: int


@dataclass(frozen=True)
class Letters:
    """The letters of one run."""

    job: str
    run: str
    path: Path
    number: int | None = None
    """The run's number, if the store knows it."""

    @property
    def named(self) -> str:
        """How a user names the run."""
        return str(self.number) if self.number is not None else self.run

    @property
    def index(self) -> Path:
        """Where it is noted what was replayed."""
        return self.path.with_suffix(".replayed.json")

    @cached_property
    def replayed(self) -> dict[str, int]:
        """Stream -> up to which line its letters were replayed."""
        try:
            found = json.loads(self.index.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(isinstance(line, int) for line in found.values()):
            raise errors.ConfigError(
                "letters.unknown", f"{self.index} cannot be read", hint="remove it: all letters are then replayed"
            )
        return found

    def read(self) -> Iterator[Letter]:
        """Every letter, replayed or not, in the order in which they were set aside."""
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    found = json.loads(raw)
                except (ValueError, RecursionError):
                    continue  # the last line of a run that was killed while it wrote it
                if not isinstance(found, dict) or found.get("type") not in ("RECORD", "DEAD_LETTER"):
                    continue
                stream, about = found.get("stream"), found.get("dead_letter")
                record = found.get("record") if found["type"] == "RECORD" else found.get("raw")
                yield Letter(
                    number,
                    stream if isinstance(stream, str) and found["type"] == "RECORD" else NO_MESSAGE,
                    record,
                    about if isinstance(about, dict) else {},
                    len(raw),
                )

    def open(self) -> Iterator[Letter]:
        """The letters that were not replayed yet."""
        for letter in self.read():
            if letter.stream is NO_MESSAGE or letter.line > self.replayed.get(letter.stream, 0):
                yield letter


def schemas(found: Sequence[Letters], streams: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The newest SCHEMA message of each stream of these letters."""
    seen: dict[str, dict[str, Any]] = {}
    for one in found:
        with one.path.open("rb") as file:
            for raw in file:
                if b'"SCHEMA"' not in raw:
                    continue
                try:
                    message = json.loads(raw)
                except (ValueError, RecursionError):
                    continue
                if isinstance(message, dict) and message.get("type") == "SCHEMA":
                    name = message.get("stream")
                    if isinstance(name, str) and (not streams or name in streams):
                        seen[name] = message
    return seen


@dataclass
class Tally:
    """The letters of one stream of one run."""

    count: int = 0
    replayed: int = 0
    size: int = 0
    reason: str = ""
    """Of the first one that waits."""


def tally(letters: Letters) -> dict[str | None, Tally]:
    """Stream -> how many letters wait, how many were replayed, and what the first was set aside for."""
    found: dict[str | None, Tally] = {}
    for letter in letters.read():
        one = found.setdefault(letter.stream, Tally())
        if letter.stream is not NO_MESSAGE and letter.line <= letters.replayed.get(letter.stream, 0):
            one.replayed += 1
            continue
        one.reason = one.reason or str(letter.about.get("reason") or "")
        one.count += 1
        one.size += letter.size
    return found


def all_letters(project: Project) -> list[Letters]:
    """The letters of every run, by job and age."""
    folder = project.state_path.parent / letterbox.FOLDER
    paths = sorted(path for path in folder.glob("*/*.jsonl") if path.is_file())
    if not paths:
        return []
    numbers: dict[str, int] = {}
    with Store.open_to_read(project.state_path) as store:
        for job in {path.parent.name for path in paths}:
            numbers |= {entry.run: entry.number for entry in store.log(job) if entry.run and entry.number is not None}
    return [Letters(path.parent.name, path.stem, path, numbers.get(path.stem)) for path in paths]


def find(project: Project, named: str) -> list[Letters]:
    """The letters of a run, by its number or name, or of all runs of a job."""
    known = all_letters(project)
    found = [one for one in known if named in (one.run, str(one.number))] or [one for one in known if one.job == named]
    if not found:
        import difflib

        names = [one.named for one in known] + [one.job for one in known]
        near = difflib.get_close_matches(named, names, n=1)
        kind = "run" if re.fullmatch(r"\d+|r-.*", named) else "job or run"
        hint = f"did you mean {near[0]}?" if near else None
        raise errors.ConfigError("letters.unknown", f"there are no dead letters of the {kind} {named}", hint=hint)
    return found


def to_replay(
    found: Sequence[Letters], streams: Sequence[str], until: int | None
) -> tuple[int, dict[Path, dict[str, int]]]:
    """What a replay takes: how many letters, and up to which line of each stream in each file."""
    count = 0
    taken: dict[Path, dict[str, int]] = {}
    for one in found:
        for letter in one.open():
            if letter.stream is NO_MESSAGE or (streams and letter.stream not in streams):
                continue
            if until is not None and count >= until:
                return count, taken
            taken.setdefault(one.path, {})[letter.stream] = letter.line
            count += 1
    return count, taken


def replayed_before(found: Sequence[Letters]) -> dict[str, dict[str, int]]:
    """For the player: stream -> run -> line."""
    before: dict[str, dict[str, int]] = {}
    for one in found:
        for stream, line in one.replayed.items():
            before.setdefault(stream, {})[one.run] = line
    return before


def mark(found: Sequence[Letters], taken: Mapping[Path, Mapping[str, int]]) -> None:
    """Note durably what was replayed."""
    for one in found:
        if one.path in taken:
            atomic.write(one.index, json.dumps({**one.replayed, **taken[one.path]}))
            one.index.chmod(0o600)


def drop(project: Project, found: Sequence[Letters]) -> None:
    """Remove letters for good. Refused while a run of their jobs writes or replays them (I5)."""
    with Store.open(project.state_path) as store, ExitStack() as held:
        for job in dict.fromkeys(one.job for one in found):
            held.callback(store.release, store.acquire(job))
        for one in found:
            one.index.unlink(missing_ok=True)
            one.path.unlink(missing_ok=True)
