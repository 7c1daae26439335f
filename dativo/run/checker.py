"""The checker of a plan: who judges records whose SCHEMA the data plane cannot use (`judging` is its program).

The data plane starts it only when such a SCHEMA comes. It is confined as plugins are: it may read the interpreter and
jsonschema, and reaches nobody.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dativo.bus.plan import Policy
from dativo.engines.shebang import SYSTEM_PATH
from dativo.engines.singer import ENVIRONMENT, home_of
from dativo.run import judging, readable

LIBRARIES = ("jsonschema", "jsonschema_specifications", "referencing", "rpds", "attrs", "attr", "typing_extensions")
MEMORY = 2 * 1024**3
"""Bytes of address space."""
PATIENCE = 30
"""Seconds for an answer."""
NAME = "checker"


def block(policy: Policy, *, job: str, run: str, profile: str | None = None) -> dict[str, Any] | None:
    """The plan's `checker`; None where records are not checked. `profile` is the command line's --sandbox."""
    if policy.validate != "on":
        return None
    python = Path(sys.executable)
    folders = _folders()
    start = readable.to_start(python, home_of(python))
    return {
        "name": NAME,
        "role": "checker",
        "argv": [str(python), "-I", "-B", "-X", "utf8", "{file:program}", *folders],
        "env": {**ENVIRONMENT, "PATH": SYSTEM_PATH, "DATIVO_JOB": job, "DATIVO_RUN": run},
        "files": {"program": {"content": Path(judging.__file__).read_text(encoding="utf-8"), "mode": "memfd"}},
        "sandbox": {
            "profile": profile or "standard",
            "read": list(dict.fromkeys([*start, *folders])),
            "network": "none",
        },
        "limits": {"idle": PATIENCE},
        "rlimits": {"core": 0, "as": MEMORY},
    }


def _folders() -> list[str]:
    """Where the libraries are: usually one folder, the environment's own."""
    found = [spec.origin for name in LIBRARIES if (spec := find_spec(name)) is not None and spec.origin]
    return list(
        dict.fromkeys(
            str(Path(one).parent.parent if one.endswith("__init__.py") else Path(one).parent) for one in found
        )
    )
