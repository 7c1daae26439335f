"""One running data plane: start it with a plan, read its events, tell it to stop.

The plan goes in through a sealed memfd, events come back through a pipe, and a third pipe carries the few lines the
control plane has to say. That third pipe is also the leash: when Python dies it hangs up and the bus ends everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dativo import children, errors
from dativo.bus import events as bus_events
from dativo.bus import orphans
from dativo.bus.plan import Plan
from dativo.native import find_bus

READ_SIZE = 1 << 16


class BusProcess:
    """A started `dativo-bus`. Use `events()` to its end; `kill()` is safe at any time."""

    def __init__(self, process: subprocess.Popen[bytes], events_fd: int, control_fd: int, stderr_fd: int) -> None:
        self._process = process
        self._events_fd = events_fd
        self._control_fd: int | None = control_fd
        self._stderr_fd = stderr_fd
        self._spared: set[int] = set()
        self._ended = False
        self._said = ""
        self.patience: float | None = None
        """How long `events` waits before it yields None; may be changed while it is being read."""

    @property
    def pid(self) -> int:
        """The process id of the bus."""
        return self._process.pid

    def spare(self, pids: set[int]) -> None:
        """Children of ours that are not the bus's: never killed as orphans."""
        self._spared = pids

    def events(self, timeout: float | None = None) -> Iterator[bus_events.Event | None]:
        """Every event up to `end`; None whenever `timeout` seconds (then `patience`) passed without one.

        Raises RunError bus.died when the pipe closes before `end` did come; nothing is left running then (I8).
        """
        self.patience, rest = timeout, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._events_fd, selectors.EVENT_READ)
            while True:
                if not selector.select(self.patience):
                    yield None
                    continue
                chunk = os.read(self._events_fd, READ_SIZE)
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                for event in _without_overtaken([_parse(line) for line in lines]):
                    yield event
                    if isinstance(event, bus_events.End):
                        self._finish()
                        return
        self._died()

    def control(self, message: dict[str, Any]) -> None:
        """Say one line to the bus. A bus that is gone is no error here: `events` reports it."""
        self._say(json.dumps(message))

    def restart(self, child: dict[str, Any], bookmark: str | None, search: str | None = None) -> None:
        """Answer a `lost` event: start the child again. `bookmark` is the exact text of the one that it remembers.

        `search`: what of a target's input is set aside, the `record` that it dies of or the `batch` that it had read.
        """
        word = json.dumps({"restart": child} | ({"search": search} if search else {}), ensure_ascii=False)
        self._say(word if bookmark is None else f'{word[:-1]}, "bookmark": {bookmark}}}')

    def _say(self, line: str) -> None:
        if self._control_fd is not None:
            with contextlib.suppress(BrokenPipeError):
                rest = line.replace("\n", " ").encode() + b"\n"
                while rest:
                    rest = rest[os.write(self._control_fd, rest) :]

    def interrupt(self) -> None:
        """Drain; called a second time: stop everything now."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the bus and all it started. Its leash is cut first, so that it can tidy up; then it is not asked."""
        if self._ended:
            return
        self._drop_control()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
        self._finish()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _drop_control(self) -> None:
        if self._control_fd is not None:
            os.close(self._control_fd)
            self._control_fd = None

    def _finish(self) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            # The verdict is its last word, but not its last act: it still removes the run directory.
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        children.release(self.pid)
        orphans.kill_orphans(self._spared)
        self._said = os.pread(self._stderr_fd, READ_SIZE, 0).decode(errors="replace")
        self._drop_control()
        os.close(self._events_fd)
        os.close(self._stderr_fd)

    def _died(self) -> None:
        self._finish()
        said = self._said.strip().splitlines()
        code = self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        group = {2: "config.invalid"}.get(code, "bus.died")
        raise errors.from_code(
            group,
            f"the data plane (dativo-bus) {how} before it gave its verdict",
            hint="the plan was refused: report it" if group != "bus.died" else None,
            details=tuple(said[-10:]),
        )


def _parse(line: bytes) -> bus_events.Event | None:
    try:
        return bus_events.parse(line)
    except ValueError as problem:
        raise errors.RunError("bus.died", f"the data plane said something that is no event: {line[:80]!r}") from problem


def _without_overtaken(found: list[bus_events.Event | None]) -> list[bus_events.Event]:
    """What came at once, without bookmarks that a later one overtook: each costs an fsync, and the last says all."""
    known = [event for event in found if event is not None]
    marks = [(at, event) for at, event in enumerate(known) if isinstance(event, bus_events.Bookmark)]
    if len(marks) > 1:
        # Each tells the books that changed since the one before.
        last, newest = marks[-1]
        books = {stream: book for _, mark in marks for stream, book in mark.streams.items()}
        known[last] = replace(newest, streams=books)
    overtaken = {at for at, _ in marks[:-1]}
    return [event for at, event in enumerate(known) if at not in overtaken]


# I13: the user's environment holds secrets, and anybody of the same user can read a process's. What is left here is for
# looking names up; whose run it is, is added.
NEEDED = ("RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES", "RUST_BACKTRACE")


def start(plan: Plan, *, stdin: int | None = None, stdout: int | None = None) -> BusProcess:
    """Start the data plane. `stdin` and `stdout` are the shell pipe's ends, given away to it.

    After this the caller's own copies of a given end are /dev/null: only then does the neighbour in the shell pipe
    see EOF or EPIPE when the bus closes its end.
    """
    executable = find_bus()
    spared = orphans.children()
    orphans.become_subreaper()
    events_read, events_write = os.pipe2(os.O_CLOEXEC)
    control_read, control_write = os.pipe2(os.O_CLOEXEC)
    stderr = os.memfd_create("dativo-bus-stderr", os.MFD_CLOEXEC)
    document = _sealed("dativo-plan", plan.encode(control_read))
    back = plan.back_fds()
    try:
        process = children.popen(
            [str(executable), "--plan-fd", str(document), "--events-fd", str(events_write)],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=stderr,
            env={name: os.environ[name] for name in NEEDED if name in os.environ}
            | {"DATIVO_JOB": plan.job, "DATIVO_RUN": plan.run},
            pass_fds=(document, events_write, control_read, *back),
            process_group=0,  # Ctrl-C reaches the control plane only, which then asks for a drain
        )
    except OSError as problem:
        os.close(events_read)
        os.close(control_write)
        raise errors.EnvironmentFault(
            "bus.missing", f"the data plane could not be started: {problem.strerror}", details=(str(executable),)
        ) from problem
    finally:
        for fd in (document, events_write, control_read):
            os.close(fd)
    if stdin is not None:
        _give_away(stdin, os.O_RDONLY)
    if stdout is not None:
        _give_away(stdout, os.O_WRONLY)
    bus = BusProcess(process, events_read, control_write, stderr)
    bus.spare(spared)
    return bus


def _sealed(name: str, content: bytes) -> int:
    """A memfd that nobody can change any more (I13: it has no name in any file system)."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _give_away(fd: int, mode: int) -> None:
    null = os.open(os.devnull, mode | os.O_CLOEXEC)
    os.dup2(null, fd)
    os.close(null)
