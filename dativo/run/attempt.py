"""One attempt: start the data plane with a plan, do at once what each event asks for, return how it ended.

The order is the point. I1, I2: when a bookmark event arrives it is committed and fsync'd before anything else is looked
at. I5: the lease is renewed from the same loop. I8: whatever goes wrong here, the data plane is killed on the way out.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from dativo.bus import events
from dativo.bus.plan import Plan
from dativo.bus.process import BusProcess, start
from dativo.dataclass import dataclass
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress
from dativo.run import letterbox, rundirs
from dativo.run.interrupts import Interrupts

TICK = 0.25
CONNECTIONS = 500
"""How many different hosts are kept in a run's record."""
REJECTS = 1_000
"""How many lines that were not delivered are kept with their reasons."""
WAITING = 0.02
"""How often, in seconds, a neighbour that is about to say how it ended is asked."""


class Mender(Protocol):
    """Who has a plugin that died started again: `mend.Mending`."""

    def heard(self, event: events.Event | None, bus: BusProcess, seen: Seen) -> None:
        """Told of each event, and from time to time of none: decides about a loss, and says the word when it is due."""


class Keeper(Protocol):
    """Who persists bookmarks: `hold.Hold`."""

    def commit(self, text: str, records: int, of: int) -> None:
        """Make a bookmark durable."""

    def beat(self) -> None:
        """Keep the lease."""


@dataclass
class Seen:
    """What an attempt did, as its events told it."""

    end: events.End = field(default_factory=events.End)
    exits: dict[str, events.Exited] = field(default_factory=dict)
    streams: list[str] = field(default_factory=list)
    """Every stream that had a SCHEMA, in order."""
    keyless: set[str] = field(default_factory=set)
    """Those of them whose SCHEMA names no key."""
    schemas: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)
    """By stream: the SCHEMA that the receiver was given last, and its keys."""
    books: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By stream: how many records the last bookmark covers, and the sum of their hashes."""
    marked: str | None = None
    """The last bookmark."""
    flowing: str | None = None
    """The stream whose records came last, as far as the totals tell."""
    covered: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    notices: list[events.Notice] = field(default_factory=list)
    profiles: dict[str, str] = field(default_factory=dict)
    """The sandbox profile that the plan gives each plugin."""
    confined: dict[str, events.Confined] = field(default_factory=dict)
    connections: dict[tuple[str, str, int | None], dict[str, Any]] = field(default_factory=dict)
    """(plugin, host, port) -> how often, how much and how it went."""

    rejects: list[events.Reject] = field(default_factory=list)
    """The first lines of each stream that were not delivered; the data plane bounds them."""
    letters: str | None = None
    """The file for them."""
    adapted: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """By plugin that reads, by rule: how much was changed for it, in how many streams."""
    _changed: set[tuple[str, str, str]] = field(default_factory=set, repr=False)
    renamed: dict[str, str] = field(default_factory=dict)
    """By stream: the name that the target knows it by."""
    troubles: dict[str, events.Trouble] = field(default_factory=dict)
    """By plugin: the first error that an Airbyte source told of."""
    accesses: list[events.Access] = field(default_factory=list)
    """What observed plugins tried; the data plane bounds it."""
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    """What was last told of each stream; a data plane that died tells no end."""

    def counted(self, streams: dict[str, dict[str, int]]) -> None:
        """Totals at the target's edge: of the streams that grew, the one that began last is the one that flows."""
        grown = [
            name for name, one in streams.items() if one.get("records", 0) > self.totals.get(name, {}).get("records", 0)
        ]
        if grown:
            self.flowing = max(grown, key=lambda name: self.streams.index(name) if name in self.streams else -1)
        self.totals = streams

    def declared(self, event: events.Schema) -> None:
        """A SCHEMA went by."""
        if event.stream not in self.streams:
            self.streams.append(event.stream)
        self.schemas[event.stream] = (event.schema, event.key_properties or [])
        (self.keyless.discard if event.key_properties else self.keyless.add)(event.stream)

    def changed(self, event: events.Adapted) -> None:
        """A stream goes on in another way than it came."""
        for rule, number in event.changes.items():
            held = self.adapted.setdefault(event.child, {}).setdefault(rule, {"changes": 0, "streams": 0})
            held["changes"] += number
            if (event.child, rule, event.stream) not in self._changed:  # a stream has many SCHEMAs and BATCHes
                self._changed.add((event.child, rule, event.stream))
                held["streams"] += 1
        if event.alias is not None:
            self.renamed[event.stream] = event.alias

    def keyed(self) -> bool:
        """Whether every stream so far has a key."""
        return not self.keyless

    def unreachable(self, child: str) -> list[str]:
        """The hosts that a plugin may reach and never could."""
        return [host for (name, host, _), one in self.connections.items()
                if name == child and one["failed"] and not one["open"] and not one["denied"]]  # fmt: skip

    def denied(self, child: str) -> list[tuple[str, int | None, str | None]]:
        """The hosts that a plugin was refused, in the order they were tried; a port is known or None."""
        return [(host, port, one["reason"]) for (name, host, port), one in self.connections.items()
                if name == child and one["denied"]]  # fmt: skip

    def connected(self, event: events.Connection) -> None:
        """Count a connection. Bounded (I10): a plugin may try as many names as it likes."""
        key = (event.child, event.host, event.port)
        if key not in self.connections and len(self.connections) >= CONNECTIONS:
            return
        fresh = {"open": 0, "denied": 0, "failed": 0, "sent": 0, "received": 0, "reason": None}
        held = self.connections.setdefault(key, fresh)
        if event.outcome in held:
            held[event.outcome] += 1
        held["sent"] += event.sent
        held["received"] += event.received
        held["reason"] = event.reason or held["reason"]


@dataclass
class Attempt:
    """What one attempt needs. `stdin` and `stdout` are given to the data plane for good."""

    plan: Plan
    interrupts: Interrupts
    log: PluginLog
    progress: Progress
    keeper: Keeper | None = None
    mender: Mender | None = None
    """Without one, a plugin that dies ends the attempt; needs a plan with a spill."""
    stdin: int | None = None
    stdout: int | None = None
    upstream_verdict: Callable[[], dict[str, Any] | None] | None = None
    """Asked after the shell pipe ended, until it knows: did its writer end, or die?"""
    shows_junk: bool = False
    seen: Seen = field(default_factory=Seen)
    """Filled while it runs: what is known when it does not come to its end."""
    says: bool = True
    """Whether this process tells the user what Ctrl-C does; of two sides of a shell pipe only one does."""

    def drive(self) -> Seen:
        """Run the plan to its end."""
        seen = self.seen
        seen.profiles = {one["name"]: one.get("sandbox", {}).get("profile", "standard") for one in self.plan.children}
        seen.letters = self.plan.dead_letters
        if self.plan.dead_letters is not None:
            letterbox.make(self.plan.dead_letters)
        bus = start(self.plan, stdin=self.stdin, stdout=self.stdout)
        try:
            with self.interrupts.reaching(bus):
                self._follow(bus, seen)
        except BaseException:
            bus.kill()
            raise
        finally:
            self.progress.close()
            # A bus that was killed could not tidy up; one that ended has nothing left here.
            rundirs.remove(Path(self.plan.run_dir))
            if self.plan.spool is not None:
                rundirs.remove(Path(self.plan.spool.dir))
        return seen

    def _follow(self, bus: BusProcess, seen: Seen) -> None:
        asking = False
        for event in bus.events(TICK):
            if isinstance(event, events.Bookmark):
                self._keep(event, seen)
            elif isinstance(event, events.SourceEof):
                asking, bus.patience = True, WAITING
            elif isinstance(event, events.Access):
                seen.accesses.append(event)
            elif isinstance(event, events.Reject):
                self._reject(event, seen)
            elif event is not None:
                self._take(event, seen)
            if self.mender is not None:
                self.mender.heard(event, bus, seen)
            if self.keeper is not None:
                self.keeper.beat()
            if asking and self._fate_told(bus):
                asking, bus.patience = False, TICK
            news = self.interrupts.news()
            if news and self.says:
                print(f"  {news}", file=sys.stderr, flush=True)
            if event is None:
                self.progress.tick()

    def _fate_told(self, bus: BusProcess) -> bool:
        """Pass on how the writer of the shell pipe ended, once that is known."""
        verdict = self.upstream_verdict() if self.upstream_verdict is not None else None
        if verdict is not None:
            bus.control(verdict)
        return verdict is not None

    def _keep(self, event: events.Bookmark, seen: Seen) -> None:
        if self.keeper is not None:
            self.keeper.commit(event.text, event.records, event.of)
        seen.covered, seen.marked = event.records, event.text
        seen.books |= event.streams
        self.progress.bookmark(event.text)

    def _reject(self, event: events.Reject, seen: Seen) -> None:
        if len(seen.rejects) < REJECTS:
            seen.rejects.append(event)
        if self.shows_junk:
            self.log.line(event.child, f"line {event.line} is not delivered: {event.reason}")

    def _take(self, event: events.Event, seen: Seen) -> None:
        match event:
            case events.Counters():
                self.progress.counters(event.streams, event.bytes_in)
                seen.counted(event.streams)
            case events.Log():
                self.log.line(event.child, event.text, event.dropped)
            case events.Schema():
                seen.declared(event)
            case events.Adapted():
                seen.changed(event)
            case events.Exited():
                seen.exits[event.child] = event
            case events.Confined():
                seen.confined[event.child] = event
            case events.Connection():
                seen.connected(event)
            case events.StateIgnored():
                seen.ignored[event.why] = seen.ignored.get(event.why, 0) + 1
            case events.Notice() | events.Trouble() | events.Estimate():
                self._hear(event, seen)
            case events.Junk() if self.shows_junk:
                self.log.line(event.child, f"line {event.line} is no message ({event.kind}): {event.text}")
            case events.End():
                seen.counted(event.streams)
                seen.end = event
            case _:
                pass

    def _hear(self, event: events.Notice | events.Trouble | events.Estimate, seen: Seen) -> None:
        """What is said beside the data."""
        match event:
            case events.Notice():
                seen.notices.append(event)
            case events.Trouble():
                seen.troubles.setdefault(event.child, event)
            case events.Estimate():
                self.progress.estimate(event.stream, event.records)


def tidy() -> None:
    """Sweep what crashed runs left behind; never in the way of a run."""
    from dativo.run import rendezvous

    with contextlib.suppress(OSError):
        rundirs.sweep()
        rendezvous.sweep()
