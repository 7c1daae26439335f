"""The two ends of a shell pipe between `dativo tap-x` and `dativo target-y`: meet, agree, and say how it ended.

Both ends of a pipe have the same inode, so each side publishes a small file named after it (`rendezvous`) and looks
who holds the other end (`neighbours`). The target's side decides: it names the job, holds it, and answers with the
bookmark.

    tap side (left)                                   target side (right)
    left advert: starting, then ready      <->        right advert
    waits for the answer                   <-         answer {job, run, state} or {error}
    discovers, then: go                    ->         starts its target
    … records …
    left-end {verdict, reason, exit, …}    ->         at EOF: did the tap end or die? (I11)
                                           <-         right-end, if it failed: the tap side need not say it again

Beside a foreign program a side is alone: nothing is agreed, and the caller says what is off.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import Any, Literal, Self

from dativo import errors
from dativo.dataclass import dataclass
from dativo.run.neighbours import SHELLS, Holder, Kind, Process, holders, is_anonymous, pipe_key
from dativo.run.rendezvous import Kind as FileKind
from dativo.run.rendezvous import Rendezvous

DATIVO_PATIENCE = 20.0
"""Seconds for a neighbour of ours to come up with its advert."""
SHELL_PATIENCE = 2.0
"""Seconds for a shell's fork to become a program."""
SCAN_EVERY = 0.05
LAST_WORDS = 10.0
"""Seconds for a neighbour that closed the pipe on us to say why."""


class ToldElsewhere(Exception):
    """The run failed and the other side of the pipe reports it; this side only leaves with an exit code."""

    code = "pipe.upstream_died"

    def __init__(self, exit_code: int, *, told: bool = True) -> None:
        self.exit_code = exit_code
        self.told = told
        """False if it is still to be told: this side was cancelled and leaves the word to the other."""
        self.context: dict[str, Any] = {}
        """What --json says about the run."""
        super().__init__(f"reported on the other side of the pipe (exit {exit_code})")


@dataclass(frozen=True)
class Neighbour:
    """Who is at the other end."""

    kind: Literal["dativo", "foreign", "none"]
    name: str = ""
    """The program's name; for one of ours, its plugin's."""
    process: Process | None = None
    advert: dict[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it talks to us."""
        return self.kind == "dativo"


@dataclass(frozen=True)
class Answer:
    """What the target side tells the tap side before it starts."""

    job: str | None
    run: str | None
    state: str | None
    """The exact text of the state to hand to the tap."""
    alone: str | None = None
    """A mapper's: the name of the foreign program at the end, where no bookmark is kept."""


class _End:
    """What both ends have in common: one pipe, one rendezvous, one neighbour."""

    def __init__(self, fd: int, mine: FileKind, theirs: FileKind, their_end: FileKind) -> None:
        self._fd = fd
        self._mine, self._theirs, self._their_end = mine, theirs, their_end
        key = pipe_key(fd)
        self._files = Rendezvous(key) if key is not None else None
        # A named pipe lives on, so a last word found beside it may be from an earlier use.
        self._anonymous = is_anonymous(fd)
        self._advert: dict[str, Any] = {"phase": "starting"}
        self.neighbour = Neighbour("none")
        self.met = False

    @property
    def is_pipe(self) -> bool:
        """Whether there is a pipe at all, and not a file or a terminal."""
        return self._files is not None

    def publish(self, **changes: Any) -> None:
        """Say who we are and how far we have come."""
        self._advert.update(changes)
        if self._files is not None:
            self._files.write(self._mine, self._advert)

    def meet(self) -> Neighbour:
        """Find out who is at the other end; waits only for a neighbour that is one of ours, or about to be."""
        self.neighbour = self._look() if self._files is not None else Neighbour("none")
        self.met = True
        if not self.neighbour.ours:
            self.publish(phase="alone")
        return self.neighbour

    def _look(self) -> Neighbour:
        assert self._files is not None
        begun = time.monotonic()
        scanned = -SCAN_EVERY
        seen: list[Holder] = []
        for now in _ticks():
            found = self._advertised()
            if found is not None:
                return found
            if now - scanned < SCAN_EVERY:
                continue
            scanned = now
            seen = holders(self._fd, writing=self._theirs == "left")
            waited = now - begun
            if any(one.kind is Kind.DATIVO for one in seen):
                if waited > DATIVO_PATIENCE:
                    return Neighbour("foreign", "dativo")
            elif any(one.kind is Kind.SHELL for one in seen):
                if waited > SHELL_PATIENCE:
                    return _foreign(seen)
            else:  # foreign, or gone: what it may have left behind was written before it went
                return self._advertised() or _foreign(seen)
        raise AssertionError  # the ticks never end

    def _advertised(self) -> Neighbour | None:
        assert self._files is not None
        advert = self._files.read(self._theirs)
        if advert is not None:
            author = self._files.author(advert)
            if author.alive:
                return Neighbour("dativo", str(advert.get("plugin", "dativo")), author, advert)
        end = self._files.read(self._their_end) if self._anonymous else None
        if end is not None:  # it came, failed and went before we were there
            return Neighbour("dativo", str(end.get("plugin", "dativo")), self._files.author(end), advert or {})
        return None

    def their_end(self) -> dict[str, Any] | None:
        """How the neighbour says it ended; None while it runs, and when it could not say so."""
        if self._files is None or self.neighbour.process is None:
            return None
        return self._files.read(self._their_end, self.neighbour.process)

    def neighbour_lives(self) -> bool:
        """Whether the neighbour's process is there."""
        return self.neighbour.process is not None and self.neighbour.process.alive

    def _await(self, ready: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """What `ready` finds, or None when the neighbour ended without it."""
        for _ in _ticks():
            lived = self.neighbour_lives()
            found = ready()
            if found is not None:
                return found
            if not lived or self.their_end() is not None:
                return None
        raise AssertionError

    def _may_come(self) -> bool:
        """Whether one of ours is, or may soon be, at the other end."""
        return any(one.kind is not Kind.FOREIGN for one in holders(self._fd, writing=self._theirs == "left"))

    def _close(self, end_kind: FileKind, end: dict[str, Any] | None) -> None:
        """Leave `end` for a neighbour that may still ask, and take the advert away. The last one out cleans up."""
        if self._files is None:
            return
        if end is not None and (self.neighbour_lives() if self.met else self._may_come()):
            self._files.write(end_kind, end, self.neighbour.process)
        self._files.remove(self._mine)
        if self.met or not self._may_come():
            # A neighbour that is gone, or has taken its own advert away, reads nothing any more.
            alone = not self.neighbour_lives() or self._files.read(self._theirs, self.neighbour.process) is None
        else:
            alone = self._files.read(self._their_end) is not None
        if alone:
            self._files.remove("left", "right", "answer", "left-end", "right-end")


class Downstream(_End):
    """The pipe that this process writes to: the tap side's end, and a mapper's right one."""

    def __init__(self, fd: int, plugin: str, **about: Any) -> None:
        super().__init__(fd, "left", "right", "right-end")
        self.counts: dict[str, Any] = {}
        """What this side counted, for the summary that the other side prints."""
        self._told: dict[str, Any] = {}
        self.publish(plugin=plugin, **about)

    def agree(self, **about: Any) -> Answer:
        """Say that this side is ready, and wait for the other side to name the job and hand out its bookmark."""
        self.publish(phase="ready", **about)
        files, neighbour = self._files, self.neighbour.process
        assert files is not None

        def answered() -> dict[str, Any] | None:
            advert = files.read("right", neighbour)
            if advert is not None and advert.get("phase") == "alone":  # it did not find us in time
                return {"alone": self.neighbour.name, "for": None}
            return files.read("answer", neighbour)

        found = self._await(answered) or answered()
        if found is None:
            self.gone("before it began")
            raise AssertionError
        if not files.for_us(found):  # `(dativo tap-a; dativo tap-b) | dativo target-c`: the bookmark is tap-a's
            raise errors.ConfigError(
                "usage",
                f"{self.neighbour.name} has another tap on this pipe already",
                hint="give each tap a pipe of its own",
            )
        if "error" in found:
            raise ToldElsewhere(int(found["error"].get("exit", 1)))
        return Answer(found.get("job"), found.get("run"), found.get("state"), found.get("alone"))

    def go(self, catalog: str | None = None) -> None:
        """The plugin is about to start. The other side is told its catalog if it asked for that."""
        if self.neighbour.ours:
            self._told = {"catalog": catalog} if catalog is not None and self.asked() else {}
            self.publish(phase="go", **self._told)

    def asked(self) -> bool:
        """Whether the other side has to know the streams before it starts."""
        advert = self._files.read("right", self.neighbour.process) if self._files is not None else None
        return bool(advert and advert.get("asks"))

    def gone(self, when: str = "half way") -> None:
        """The neighbour closed the pipe: raise ToldElsewhere if it said, or is saying, why; else the error for that."""
        until = time.monotonic() + LAST_WORDS
        end = self.their_end()
        while end is None and self.neighbour_lives() and time.monotonic() < until:
            time.sleep(0.01)
            end = self.their_end()
        end = end or self.their_end()
        if end is not None:
            raise ToldElsewhere(int(end.get("exit") or 1))
        raise errors.RunError(
            "pipe.closed",
            f"the side of {self.neighbour.name} was killed {when}",
            hint="run the line again: it goes on at the bookmark",
            context={"plugin": self.neighbour.name},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        """Leave word how this side ended, and remove the advert."""
        end = {"verdict": "done", "exit": 0} if problem is None else _word(problem)
        end |= {"plugin": self._advert["plugin"], **self.counts, **self._told}
        self._close("left-end", end if not self.met or self.neighbour.ours else None)


class Upstream(_End):
    """The pipe that this process reads from: the target side's end, and a mapper's left one."""

    def __init__(self, fd: int, plugin: str) -> None:
        super().__init__(fd, "right", "left", "left-end")
        self._answered = False
        self.publish(plugin=plugin)

    @property
    def chain(self) -> tuple[str, ...]:
        """The programs to the left, outermost first."""
        if self.neighbour.ours:
            return tuple(self.neighbour.advert.get("chain") or [self.neighbour.name])
        return (self.neighbour.name or "stdin",)

    def ask(self) -> None:
        """Say that this side has to know the streams before it starts: the other one tells its catalog with `go`."""
        self.publish(asks=True)

    @property
    def catalog(self) -> str | None:
        """The catalog that the other side told, None if it did not."""
        told = self.neighbour.advert.get("catalog")
        return told if isinstance(told, str) else None

    @property
    def alone(self) -> bool:
        """Whether no answer is expected on the left: a foreign program, a file, or one of ours that gave us up."""
        return not self.neighbour.ours or self.neighbour.advert.get("phase") == "alone"

    def await_ready(self) -> None:
        """Wait until the neighbour has checked its own settings. Raises when it fails before that."""
        if self.neighbour.ours:
            self._await_phase(("ready", "go", "alone"))

    def still_there(self) -> None:
        """Raise when the left side of ours ended before it was answered: there is nothing left to wait for."""
        if not self.alone and (not self.neighbour_lives() or self.their_end() is not None):
            self.failed()

    def await_go(self, beat: Callable[[], None]) -> None:
        """Wait until the neighbour starts its plugin; it may discover for a long time, so the lease is kept."""
        if not self.alone:
            self._await_phase(("go", "alone"), beat)

    def _await_phase(self, phases: Sequence[str], beat: Callable[[], None] | None = None) -> None:
        files, process = self._files, self.neighbour.process
        assert files is not None

        def reached() -> dict[str, Any] | None:
            if beat is not None:
                beat()
            advert = files.read("left", process)
            return advert if advert is not None and advert.get("phase") in phases else None

        advert = self._await(reached)
        if advert is None:
            end = self.their_end()
            if end is not None and end.get("verdict") == "done":
                # A short tap that came and went between two looks: what it wrote is in the pipe.
                advert = {**self.neighbour.advert, "catalog": end.get("catalog")}
                self.neighbour = replace(self.neighbour, advert=advert)
                return
            self.failed()
            raise AssertionError
        self.neighbour = Neighbour("dativo", self.neighbour.name, process, advert)

    def failed(self) -> None:
        """The left side ended without success: raise ToldElsewhere if it told its user, else say that it died."""
        end = self.their_end()
        if end is not None and end.get("reported"):
            raise ToldElsewhere(int(end.get("exit") or 1))
        how = end["message"] if end is not None and end.get("message") else "was killed"
        raise errors.RunError(
            "pipe.upstream_died",
            f"the side of {self.neighbour.name} {how}",
            hint="run the line again: it goes on at the bookmark",
            context={"plugin": self.neighbour.name},
        )

    def answer(self, job: str | None, run: str | None, state: str | None, alone: str | None = None) -> None:
        """Let the neighbour start."""
        if not self.alone and self._files is not None:
            self._answered = True
            content = {"job": job, "run": run, "state": state, "alone": alone}
            self._files.write("answer", content, self.neighbour.process)

    def refuse(self, exit_code: int, code: str) -> None:
        """Tell the neighbour not to start; this side says why."""
        if self._files is not None and (not self.alone if self.met else self._may_come()):
            self._files.write("answer", {"error": {"code": code, "exit": exit_code}}, self.neighbour.process)

    def verdict(self) -> dict[str, Any] | None:
        """After EOF: what to tell the bus about the writer, None while that is not known (I11)."""
        lived = self.neighbour_lives()
        end = self.their_end()
        if end is not None:
            if end.get("verdict") == "done":
                return {"source": "ended"}
            return {"source": "died", "reason": str(end.get("reason") or "delivery.interrupted")}
        return None if lived else {"source": "died", "reason": "pipe.upstream_died"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        """Remove the advert; after a failure, let a neighbour that is still there know that it was told."""
        if problem is None:
            self._close("right-end", None)
            return
        word = _word(problem)
        if not self._answered:
            self.refuse(word["exit"], word["reason"])
        self._close("right-end", {**word, "plugin": self._advert["plugin"]})


def leave_word(plugin: str, problem: BaseException) -> None:
    """For a command line that failed before it knew its side: tell whoever is at the other end of either pipe."""
    for fd, end in ((0, Upstream), (1, Downstream)):
        if pipe_key(fd) is not None:
            with contextlib.suppress(Exception), end(fd, plugin):
                raise problem


def _word(problem: BaseException) -> dict[str, Any]:
    """A failure for the other side: how it ended, and whether this side tells its user."""
    if isinstance(problem, ToldElsewhere):
        exit_code, reason, reported = problem.exit_code, "delivery.interrupted", problem.told
    elif isinstance(problem, errors.DativoError):
        exit_code, reason = problem.exit_code, problem.code
        reported = not isinstance(problem, errors.Cancelled)
    else:
        exit_code, reason, reported = 1, "bug", True
    message = "was cancelled" if not reported else None
    return {"verdict": "interrupted", "exit": exit_code, "reason": reason, "reported": reported, "message": message}


def _ticks() -> Any:
    """Moments to look again: often at first, then less so."""
    pause = 0.002
    while True:
        yield time.monotonic()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def _foreign(seen: list[Holder]) -> Neighbour:
    named = sorted((one.name for one in seen if one.name), key=lambda name: name in SHELLS)
    return Neighbour("foreign", named[0]) if named else Neighbour("none")
