"""One attempt: start the data plane with a plan, do at once what each event asks for, return how it ended.

The order is the point. I1, I2: when a bookmark event arrives it is committed and fsync'd before anything else is looked
at. I5: the lease is renewed from the same loop. I8: whatever goes wrong here, the data plane is killed on the way out.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dativo.bus import events
from dativo.bus.plan import Plan
from dativo.bus.process import BusProcess, start
from dativo.observe.log import PluginLog
from dativo.observe.progress import Progress
from dativo.run import rundirs
from dativo.run.interrupts import Interrupts

TICK = 0.25
CONNECTIONS = 500
"""How many different hosts are kept in a run's record."""
WAITING = 0.02
"""How often, in seconds, a neighbour that is about to say how it ended is asked."""


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
    """Those among them whose SCHEMA names no key."""
    covered: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    notices: list[events.Notice] = field(default_factory=list)
    profiles: dict[str, str] = field(default_factory=dict)
    """The sandbox profile that the plan gives each plugin."""
    confined: dict[str, events.Confined] = field(default_factory=dict)
    connections: dict[tuple[str, str, int | None], dict[str, Any]] = field(default_factory=dict)
    """(plugin, host, port) -> how often, how much and how it went."""

    accesses: list[events.Access] = field(default_factory=list)
    """What observed plugins tried; the data plane bounds it."""

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
    stdin: int | None = None
    stdout: int | None = None
    upstream_verdict: Callable[[], dict[str, Any] | None] | None = None
    """Asked after the shell pipe ended, until it knows: did its writer end, or die?"""
    shows_junk: bool = False
    says: bool = True
    """Whether this process tells the user what Ctrl-C does; of two sides of a shell pipe only one does."""

    def drive(self) -> Seen:
        """Run the plan to its end."""
        seen = Seen(
            profiles={one["name"]: one.get("sandbox", {}).get("profile", "standard") for one in self.plan.children}
        )
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
            elif event is not None:
                self._take(event, seen)
            if self.keeper is not None:
                self.keeper.beat()
            if asking and self.upstream_verdict is not None:
                verdict = self.upstream_verdict()
                if verdict is not None:
                    bus.control(verdict)
                    asking, bus.patience = False, TICK
            news = self.interrupts.news()
            if news and self.says:
                print(f"  {news}", file=sys.stderr, flush=True)
            if event is None:
                self.progress.tick()

    def _keep(self, event: events.Bookmark, seen: Seen) -> None:
        if self.keeper is not None:
            self.keeper.commit(event.text, event.records, event.of)
        seen.covered = event.records
        self.progress.bookmark(event.text)

    def _take(self, event: events.Event, seen: Seen) -> None:
        match event:
            case events.Counters():
                self.progress.counters(event.streams, event.bytes_in)
            case events.Log():
                self.log.line(event.child, event.text, event.dropped)
            case events.Schema():
                if event.stream not in seen.streams:
                    seen.streams.append(event.stream)
                (seen.keyless.discard if event.key_properties else seen.keyless.add)(event.stream)
            case events.Exited():
                seen.exits[event.child] = event
            case events.Confined():
                seen.confined[event.child] = event
            case events.Connection():
                seen.connected(event)
            case events.StateIgnored():
                seen.ignored[event.why] = seen.ignored.get(event.why, 0) + 1
            case events.Notice():
                seen.notices.append(event)
            case events.Junk() if self.shows_junk:
                self.log.line(event.child, f"line {event.line} is no message ({event.kind}): {event.text}")
            case events.End():
                seen.end = event
            case _:
                pass


def tidy() -> None:
    """Sweep what crashed runs left behind; never in the way of a run."""
    from dativo.run import rendezvous

    with contextlib.suppress(OSError):
        rundirs.sweep()
        rendezvous.sweep()
