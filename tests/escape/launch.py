"""One run of `dativo-bus` with attacks as its plugin: a plan goes in, reports and events come out as they are made."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.escape import watch

DRIVER = "import sys; sys.path.insert(0, sys.argv[1]); from tests.escape.attacks.driver import main; main(sys.argv[2])"
SIBLING = "import sys; [None for _ in sys.stdin]"
PATIENCE = 90.0


@dataclass
class Run:
    """What came of it."""

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    control: str | None = "the driver did not start"
    said: str = ""
    bus_code: int | None = None
    breach: str | None = None
    """What the watch saw beyond its limit."""

    def end(self) -> dict[str, Any]:
        """The last event, if it came."""
        return next((one for one in self.events if one["event"] == "end"), {})

    def confined(self) -> dict[str, Any] | None:
        """What the data plane says that it promises."""
        return next((one for one in self.events if one["event"] == "confined"), None)


@dataclass
class Launcher:
    """What all runs of a column share."""

    place: Path
    python: str
    sandbox: dict[str, Any]
    limits: dict[str, Any]
    rlimits: dict[str, Any]
    tty: str
    secret_fd: int
    secret_variable: str
    secrets: dict[str, str]
    mine: set[int]
    """Processes that are not attackers."""
    count: int = 0

    def plan(self, told: dict[str, Any], sink: int, control: int, **more: Any) -> dict[str, Any]:
        """The plan: a probe, or a tap with a sibling as its target."""
        self.count += 1
        pair = bool(more.get("pair"))
        code = str(self.place / "code")
        run = f"escape-{os.getpid()}-{self.count}"
        run_dir = str(self.place / "arena" / run)
        told = {**told, "to": 2 if pair else 1, "facts": {**told["facts"], "run_dir": run_dir}}
        child: dict[str, Any] = {
            "name": "tap-attack" if pair else "attack",
            "role": "tap" if pair else "probe",
            "argv": [self.python, "-ISB", "-c", DRIVER, code, "{file:config}"],
            "env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "{home}", "TMPDIR": "{tmp}"},
            "cwd": "{home}",
            "files": {"config": {"content": json.dumps(told), "mode": "memfd"}},
            "sandbox": self.sandbox,
            "limits": {**self.limits, **(more.get("limits", {}) if self.limits else {})},
            "rlimits": self.rlimits,
        }
        sibling = {
            "name": "target-sibling",
            "role": "target",
            "argv": [self.python, "-ISB", "-c", SIBLING, "escape-sibling", "{file:plain}", "{file:sealed}"],
            "env": {"PATH": "/usr/bin:/bin", "PASSWORD": self.secrets["sibling-env"]},
            "cwd": "{tmp}",
            "files": {
                "plain": {"content": json.dumps({"password": self.secrets["sibling-file"]}), "mode": "file"},
                "sealed": {"content": json.dumps({"password": self.secrets["sibling-fd"]}), "mode": "memfd"},
            },
            "sandbox": self.sandbox,
        }
        return {
            "plan": 1,
            "run": run,
            "job": "escape",
            "run_dir": run_dir,
            "children": [child, sibling] if pair else [child],
            "sink": None if pair else {"fd": sink, "name": "escape"},
            "control_fd": control,
            "grace": {"eof": 3, "term": 0.3, "drain": 0.5},
            "policy": {"confirm": "never"},
        }

    def run(
        self,
        told: dict[str, Any],
        judge: Callable[[dict[str, Any], Run], None],
        *,
        end: str | None = None,
        watching: str = "nothing",
        patience: float = PATIENCE,
        **more: Any,
    ) -> Run:
        """Run it; `judge` sees each report while its process still holds what it has."""
        run = Run()
        plan_in, plan_out = os.pipe()
        sink_in, sink_out = os.pipe()
        events_in, events_out = os.pipe()
        control_in, control_out = os.pipe()
        passed = (plan_in, sink_out, events_out, control_in, self.secret_fd)
        terminal = os.open(self.tty, os.O_RDWR | os.O_NOCTTY)
        bus = subprocess.Popen(
            ["setsid", "-c", str(self.place / "dativo-bus"), "--plan-fd", str(plan_in), "--events-fd", str(events_out)],
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            env={"PATH": "/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY": self.secret_variable, "PYTHONSTARTUP": "/dev/null"},
        )
        for fd in (plan_in, sink_out, events_out, control_in, terminal):
            os.close(fd)
        told = {**told, "facts": {**told["facts"], "bus": bus.pid, "inherited": self.secret_fd}}
        with os.fdopen(plan_out, "wb") as pipe:
            pipe.write(json.dumps(self.plan(told, sink_out, control_in, **more)).encode())
        seen = watch.Watch(watching)
        ending = _Ending(bus, control_out, end)
        try:
            self._follow(run, bus, (sink_in, events_in), judge, seen, ending, patience)
            run.breach = seen.breach
        finally:
            ending.hang_up()
            with contextlib.suppress(subprocess.TimeoutExpired):
                bus.wait(3)
            bus.kill()
            run.bus_code = bus.wait()
            assert bus.stderr
            run.said = bus.stderr.read(4000).decode(errors="replace")
            for fd in (sink_in, events_in):
                os.close(fd)
            bus.stderr.close()
        return run

    def attackers(self, bus: int) -> list[int]:
        """Every process of this world that is not ours."""
        return [pid for pid in watch.pids() if pid not in self.mine and pid != bus]

    def _follow(
        self,
        run: Run,
        bus: subprocess.Popen[bytes],
        ends: tuple[int, int],
        judge: Callable[[dict[str, Any], Run], None],
        seen: watch.Watch,
        ending: _Ending,
        patience: float,
    ) -> None:
        buffers = dict.fromkeys(ends, b"")
        until = time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            for fd in ends:
                selector.register(fd, selectors.EVENT_READ)
            while selector.get_map() and time.monotonic() < until:
                for key, _ in selector.select(0.05):
                    fd = int(key.fd)
                    chunk = os.read(fd, 65536)
                    if not chunk:
                        selector.unregister(fd)
                        continue
                    *lines, buffers[fd] = (buffers[fd] + chunk).split(b"\n")
                    for line in lines:
                        self._take(run, json.loads(line), fd == ends[1], judge, ending)
                seen.look(self.attackers(bus.pid))
                if seen.breach:
                    return
                if bus.poll() is not None and not selector.select(0):
                    return

    def _take(
        self,
        run: Run,
        line: dict[str, Any],
        event: bool,
        judge: Callable[[dict[str, Any], Run], None],
        ending: _Ending,
    ) -> None:
        """A line of the driver, or an event; a pair's driver speaks through its log."""
        if event:
            run.events.append(line)
            if line["event"] != "log" or not line["text"].startswith("{"):
                return
            line = json.loads(line["text"])
        if "control" in line:
            run.control, self.driver = line["control"], int(line["pid"])
            return
        if "done" in line:
            if line["holding"] and ending.how is None:
                ending.term()
            return
        run.reports[line["id"]] = line
        if "held" in line:
            line["held"] |= {
                "outside": watch.named(line["held"]["pid"], self.mine),
                "driver": watch.named(self.driver, self.mine),
                "mine": list(self.mine),
                "id": line["id"],
            }
            ending.act()
        judge(line, run)

    driver: int = 0


class _Ending:
    """How a run is brought to its end."""

    def __init__(self, bus: subprocess.Popen[bytes], control: int, how: str | None) -> None:
        self.bus, self.how = bus, how
        self._control: int | None = control

    def act(self) -> None:
        """As the attack wants it."""
        if self.how == "kill":
            self.bus.kill()
            self.bus.wait()
            time.sleep(1)
        if self.how == "term":
            self.term()
        if self.how == "leash":
            self.hang_up()

    def term(self) -> None:
        """Cancel."""
        self.bus.send_signal(signal.SIGTERM)

    def hang_up(self) -> None:
        """The control plane is gone."""
        if self._control is not None:
            os.close(self._control)
            self._control = None
