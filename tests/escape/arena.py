"""`python -m tests.escape.arena PLACE COLUMN`: all attacks in one column of one user, in a world made for them.

Writes one JSON document to descriptor 3: what each attack came to, and what the data plane promised.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.escape import evidence, probes, victims, watch
from tests.escape.attacks.attack import FAMILIES, Attack, load
from tests.escape.attacks.calls import call
from tests.escape.columns import BY_NAME, Column
from tests.escape.launch import Launcher, Run


class Arena:
    """One column and one user."""

    def __init__(self, column: Column, scene: victims.Scene, attacks: list[Attack], missing: dict[str, str]) -> None:
        self.column, self.scene = column, scene
        self.attacks = {one.id: one for one in attacks}
        self.results: dict[str, dict[str, Any]] = {}
        self.missing = missing
        self.confined: dict[str, Any] | None = None
        self.problems: list[str] = []
        self.refused: str | None = None
        self.seconds: dict[str, float] = {}
        secret = os.memfd_create("inherited")
        os.write(secret, scene.secrets["inherited"].encode())
        place = scene.place
        self.launcher = Launcher(
            place,
            column.python(),
            column.sandbox(str(place / "code"), scene.facts["env"], f"{scene.facts['name']}:{scene.facts['tcp_host']}"),
            column.limits(),
            column.rlimits(),
            scene.terminal_path,
            secret,
            scene.secrets["variable"],
            scene.secrets,
            set(),
        )

    def run(self, attacks: Iterable[Attack]) -> None:
        """All of them: by family in one run, the lonely ones each in a run of its own."""
        here = [one for one in attacks if self.here(one)]
        for family in FAMILIES:
            batch = [one for one in here if one.family == family and not one.alone]
            if batch and not self.refused:
                self.batch(batch)
        for attack in (one for one in here if one.alone):
            if not self.refused:
                self.batch([attack])

    def here(self, attack: Attack) -> bool:
        """Whether this machine has what it is about; otherwise its result says what is missing."""
        if attack.needs in self.missing:
            self.results[attack.id] = {"result": "absent", "why": f"{attack.needs}: {self.missing[attack.needs]}"}
            return False
        return True

    def batch(self, attacks: list[Attack]) -> None:
        """One run of the data plane."""
        first, plan = attacks[0], attacks[0].plan
        targets = [
            self.scene.target(one) | {k: plan[k] for k in ("inline", "patience") if k in plan} for one in attacks
        ]
        began = time.monotonic()
        self.launcher.mine = self.ours()
        self.scene.echoes = watch.echoes()
        run = self.launcher.run(
            {"attacks": targets, "facts": self.scene.facts},
            self.judge,
            end=plan.get("end"),
            watching=plan.get("watch", "nothing"),
            patience=25.0 if first.alone else 90.0,
            limits=plan.get("limits", {}),
            pair=first.alone == "pair",
        )
        self.confined = self.confined or run.confined()
        if run.end().get("reason") == "sandbox.unavailable":
            self.refused = str(run.end()["message"])
        elif run.control is not None:
            said = run.end().get("message") or run.said or f"the bus exited with {run.bus_code}"
            self.problems.append(f"{first.id}: {run.control}: {said}")
        for attack in attacks:
            self.conclude(attack, run)
        self.sweep()
        self.seconds[first.id if first.alone else first.family] = round(time.monotonic() - began, 1)

    def judge(self, report: dict[str, Any], run: Run) -> None:
        """At the moment of the report."""
        attack = self.attacks[report["id"]]
        if "broken" in report:
            self.results[attack.id] = {"result": "broken", "why": report["broken"]}
        elif attack.plan.get("end") or str(attack.plan.get("watch", "nothing")) != "nothing":
            return
        elif (proof := evidence.judge(self.scene, attack, report)) is not None:
            self.results[attack.id] = {"result": "breach", "why": proof}

    def conclude(self, attack: Attack, run: Run) -> None:
        """After the run: what only shows then, and what was not shown at all."""
        report = run.reports.get(attack.id)
        proof = run.breach
        if attack.plan.get("end") or attack.id == "daemon-end":
            proof = self.survivors(report or {}, run)
        elif attack.id == "kill-bus":
            proof = "the bus was killed" if run.bus_code == -signal.SIGKILL and report is None else None
        elif attack.id == "sibling-kill":
            ends = {one["child"]: one["signal"] for one in run.events if one["event"] == "exited"}
            blamed = run.end().get("child") == "target-sibling"
            proof = "the target was killed" if blamed and ends.get("target-sibling") == signal.SIGKILL else None
        elif attack.id in evidence.OUTSIDE and attack.id not in self.results and report is None:
            proof = evidence.judge(self.scene, attack, {"id": attack.id})
        if proof:
            self.results[attack.id] = {"result": "breach", "why": proof}
        why = (report or {}).get("stopped") or ("stopped with its run" if report is None else "nothing came of it")
        lost = report is None and not attack.alone
        self.results.setdefault(attack.id, {"result": "broken" if lost else "blocked", "why": why})

    def survivors(self, report: dict[str, Any], run: Run) -> str | None:
        """A process that lives on when its run is over."""
        held = report.get("held", {})
        mark = held.get("mark") or str(report.get("got") or "")
        pid = held.get("outside")
        time.sleep(0.2)
        if mark and (left := watch.marked(mark)):
            return f"{len(left)} process left"
        if "alive" in held and pid and watch.state(pid) not in "XZ":
            return "it lives on"
        return None

    def ours(self) -> set[int]:
        """Who was here before the run."""
        return set(watch.pids()) | {1, os.getpid()}

    def sweep(self) -> None:
        """End what a run has left, victims of its attacks included."""
        keep = {1, os.getpid(), self.scene.town.pid, self.scene.keeper.pid}
        for _ in range(200):
            left = [pid for pid in watch.pids() if pid not in keep]
            if not left:
                break
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
            if (identity := int(line.split()[1])) not in self.scene.ipc.values():
                call("shmctl", identity, 0, None)
        for process in self.scene.processes.values():
            process.wait()
        self.scene.processes.clear()


def main(place: Path, name: str, only: str, quick: bool) -> None:
    """Run the column, write what came of it."""
    column = BY_NAME[name]
    user = "root" if os.getuid() == 0 else "user"
    attacks = [one for one in load().values() if user in one.users and column.takes(one)]
    attacks = [one for one in attacks if one.id in only.split(",") or not (only or (quick and one.slow))]
    missing = probes.missing(place / "arena")
    with victims.scene(place, attacks) as scene:
        arena = Arena(column, scene, attacks, missing)
        arena.run(attacks)
    if column.granted and not arena.refused:
        control = arena.results.pop("tcp-host")
        if control["result"] != "breach":
            arena.problems.append(f"tcp-host: what is granted cannot be reached: {control['why']}")
    if column.cgroup and not {"memory", "pids"} <= set((arena.confined or {}).get("guarantees", [])):
        arena.problems.append("the data plane does not use the control group that it was given")
    answer = {
        "results": {
            one.id: {"family": one.family, "always": one.always, **arena.results[one.id]}
            for one in attacks
            if one.id in arena.results
        },
        "confined": arena.confined,
        "problems": arena.problems,
        "unavailable": arena.refused,
        "required": column.requires not in missing,
        "seconds": arena.seconds,
    }
    with os.fdopen(3, "w") as out:
        json.dump(answer, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "quick")
