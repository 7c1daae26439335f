"""The plugin: runs the attacks that its config names, each in a process of its own, and reports one line for each.

An attack that holds its prey stays alive for the looks from outside; then the driver waits to be ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.escape.attacks.attack import Attack, Scene, load

PATIENCE = 6.0
HELD = 40.0


def main(config: str) -> None:
    """`config`: the path of a JSON file with `attacks`, `facts`, `to` (the descriptor for the reports)."""
    told = json.loads(Path(config).read_text())
    attacks, to = load(), int(told["to"])
    say(to, {"control": control(told["facts"]), "pid": os.getpid()})
    holding = 0
    for target in told["attacks"]:
        report = one(attacks[target["id"]], told["facts"], {**target, "to": to})
        holding += "held" in report
        say(to, report)
    say(to, {"done": True, "holding": holding})
    if holding:
        time.sleep(HELD)


def say(to: int, report: dict[str, Any]) -> None:
    """One line, in one write."""
    os.write(to, json.dumps(report).encode() + b"\n")


def control(facts: dict[str, Any]) -> str | None:
    """What an honest plugin does. The text of what went wrong, else None."""
    try:
        scratch = Path(os.environ["TMPDIR"]) / "mine"
        scratch.write_text("mine")
        scratch.unlink()
        (Path(os.environ["HOME"]) / "settings").write_text("mine")
        Path(facts["env"], "pyvenv.cfg").read_text()
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
    except (OSError, KeyError) as problem:
        return f"{type(problem).__name__}: {problem}"
    return None


def one(attack: Attack, facts: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """Run it to its end, its hold or the end of patience."""
    if target.get("inline"):
        attempt(attack, facts, target, int(target["to"]))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        attempt(attack, facts, target, writer)
    os.close(writer)
    heard, until = b"", time.monotonic() + float(target.get("patience") or PATIENCE)
    while not heard.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            os.kill(child, signal.SIGKILL)
            break
        if not (chunk := os.read(reader, 65536)):
            break
        heard += chunk
    os.close(reader)
    report = json.loads(heard.splitlines()[0]) if heard.endswith(b"\n") else None
    if report is not None and "held" in report:
        return report
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return report or {"id": attack.id, "stopped": f"signal {-status}" if status < 0 else f"exit {status}"}


def attempt(attack: Attack, facts: dict[str, Any], target: dict[str, Any], writer: int) -> None:
    """In the attack's process: never returns."""

    def hold(prey: dict[str, Any]) -> None:
        say(writer, {"id": attack.id, "held": {"pid": os.getpid(), **prey}})
        time.sleep(HELD)
        os._exit(0)

    scene = Scene(facts, target.get("file", ""), int(target.get("pid", 0)), target["token"], hold)
    try:
        say(writer, {"id": attack.id, "got": attack.run(scene)})
    except OSError as problem:
        say(writer, {"id": attack.id, "stopped": f"{type(problem).__name__}: {problem}"})
    except BaseException as problem:
        import traceback

        said = "".join(traceback.format_exception(problem))[-1500:]
        say(writer, {"id": attack.id, "broken": said})
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
