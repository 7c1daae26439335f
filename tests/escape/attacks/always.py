"""What every child is kept from, with the profile off too: not scored, but never to succeed."""

from __future__ import annotations

import os
import stat

from tests.escape.attacks.attack import Scene, attack
from tests.escape.attacks.resources import daemon

off = {"always": "off"}
alone = {"always": "off", "alone": "run"}


@attack("resources", "daemon-end", "leaves a process behind when it ends", **alone)
def _(scene: Scene) -> str:
    return daemon(scene)


@attack(
    "resources", "daemon-term", "leaves a process behind when it is cancelled", slow=True, plan={"end": "term"}, **alone
)
def _(scene: Scene) -> object:
    return scene.hold({"mark": daemon(scene)})


@attack("resources", "daemon-leash", "outlives the control plane", slow=True, plan={"end": "leash"}, **alone)
def _(scene: Scene) -> object:
    return scene.hold({"mark": daemon(scene)})


@attack("processes", "inherited-fd", "reads what the data plane was started with", secret="inherited", **off)
def _(scene: Scene) -> str:
    return os.pread(scene["inherited"], 200, 0).decode("latin-1")


@attack("processes", "inherited-variable", "finds a secret in its environment", secret="variable", **off)
def _(scene: Scene) -> str:
    found = str(dict(os.environ))
    if "CANARY" not in found:
        raise PermissionError("not in the environment")
    return found


@attack("files", "truncate-log", "empties the file that its log goes to", **off)
def _(scene: Scene) -> None:
    os.ftruncate(2, 0)


@attack("files", "standard-files", "is given something else than pipes as stdin, stdout and stderr", **off)
def _(scene: Scene) -> str:
    kinds = [oct(stat.S_IFMT(os.fstat(fd).st_mode)) for fd in (0, 1, 2) if not stat.S_ISFIFO(os.fstat(fd).st_mode)]
    if not kinds:
        raise PermissionError("pipes")
    return " ".join(kinds)
